import type { Running } from "../controller";
import { ReadingBar } from "./reading_bar";

/** Prompts below this are read before a bar could be looked at. */
export const worthABar = 256;

/** What happens before the first word: the prompt is read, which may take long. */
export function PrefillBar({ running }: { running: Running }) {
  const { prefill, startedAt } = running;
  if (!prefill || prefill.total < worthABar) {
    return <p class="thinking"><span /><span /><span /><span class="visually-hidden">Waiting for the answer</span></p>;
  }
  return <ReadingBar title="Reading the prompt" label="Tokens of the prompt that are read" startedAt={startedAt} prefill={prefill} />;
}
