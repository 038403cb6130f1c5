const numbers = new Intl.NumberFormat("en");

export function count(value: number): string {
  return numbers.format(Math.round(value));
}

/** Text that came in less time came at once: the network's speed is not the model's. */
const shortestMs = 20;

/** 1,234 tokens/s, 12.3 tokens/s; empty where the time is too short to tell. */
export function rate(tokens: number, ms: number): string {
  if (ms < shortestMs) return "";
  const value = (tokens * 1000) / ms;
  return `${value >= 100 ? count(value) : value.toFixed(1)} tokens/s`;
}

/** How long something takes still, or took, in one unit or two. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
