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

/** 950 bytes, 2.2 MB, 1.4 GB: of 1,000 each, as disks are sold. */
export function bytes(value: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let size = value;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    ++unit;
  }
  return `${unit > 0 && size < 99.95 ? size.toFixed(1) : count(size)} ${units[unit]}`;
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
