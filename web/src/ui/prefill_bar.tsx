import type { Running } from "../controller";
import { timeLeft } from "../store/prefill";
import { count, duration } from "./format";
import { useClock } from "./hooks";

/** Prompts below this are read before a bar could be looked at. */
const worthABar = 256;

/** What happens before the first word: the prompt is read, which may take long. */
export function PrefillBar({ running }: { running: Running }) {
  const now = useClock(true);
  const { prefill, startedAt } = running;
  if (!prefill || prefill.total < worthABar) {
    return <p class="thinking"><span /><span /><span /><span class="visually-hidden">Waiting for the answer</span></p>;
  }
  const left = timeLeft(prefill);
  return (
    <div class="prefill">
      <div class="prefill-words">
        <strong>Reading the prompt</strong>
        <span>{left === null ? `${duration(now - startedAt)} so far` : `about ${duration(Math.max(left, 1000))} left`}</span>
      </div>
      <progress max={prefill.total} value={prefill.processed} aria-label="Tokens of the prompt that are read" />
      <small>{count(prefill.processed)} of {count(prefill.total)} tokens</small>
    </div>
  );
}
