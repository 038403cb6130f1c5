import { timeLeft, type Prefill } from "../store/prefill";
import { count, duration } from "../format";
import { useClock } from "./hooks";

interface Props {
  readonly title: string;
  /** Names the bar. */
  readonly label: string;
  readonly startedAt: number;
  readonly prefill: Prefill | null;
}

/** How much of a text is read, and how long the rest takes. */
export function ReadingBar({ title, label, startedAt, prefill }: Props) {
  const now = useClock(true);
  const left = prefill && timeLeft(prefill);
  return (
    <div class="reading">
      <div class="reading-words">
        <strong>{title}</strong>
        <span>{left === null ? `${duration(now - startedAt)} so far` : `about ${duration(Math.max(left, 1000))} left`}</span>
      </div>
      {/* Without a value it says that something is done, and not how much of it. */}
      <progress max={prefill?.total ?? 1} value={prefill?.processed} aria-label={label} />
      <small>{prefill ? `${count(prefill.processed)} of ${count(prefill.total)} tokens` : "Waiting for the server"}</small>
    </div>
  );
}
