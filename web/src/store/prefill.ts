/** How far a prompt is read, over time; what came from the cache does not count as speed. */
export interface Prefill {
  readonly processed: number;
  readonly total: number;
  /** The first report and its time in milliseconds: everything before it may have been cached. */
  readonly firstProcessed: number;
  readonly firstAt: number;
  readonly at: number;
}

export function advance(before: Prefill | null, processed: number, total: number, at: number): Prefill {
  const { firstProcessed, firstAt } = before ?? { firstProcessed: processed, firstAt: at };
  return { processed, total, firstProcessed, firstAt, at };
}

/** Tokens a second, or null while that is not known. */
export function readingRate(prefill: Prefill): number | null {
  const read = prefill.processed - prefill.firstProcessed;
  const took = prefill.at - prefill.firstAt;
  return read > 0 && took > 0 ? (read * 1000) / took : null;
}

/** Milliseconds until the prompt is read, or null while no speed is known. */
export function timeLeft(prefill: Prefill): number | null {
  const rate = readingRate(prefill);
  return rate === null ? null : ((prefill.total - prefill.processed) * 1000) / rate;
}
