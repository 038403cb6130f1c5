export type Theme = "auto" | "light" | "dark";

/** Fields of a request that a person may set; those left out are the model's own. */
export interface Sampling {
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly repetition_penalty?: number;
  readonly max_tokens?: number;
  readonly seed?: number;
}

export interface Settings {
  readonly theme: Theme;
  readonly key: string;
  readonly sampling: Sampling;
}

export const defaultSettings: Settings = { theme: "auto", key: "", sampling: {} };

/** The inputs of the sampling panel. */
export interface SamplingField {
  readonly name: keyof Sampling;
  readonly label: string;
  readonly hint: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

export const samplingFields: readonly SamplingField[] = [
  { name: "temperature", label: "Temperature", hint: "0 always takes the likeliest token", min: 0, max: 2, step: 0.05 },
  { name: "top_p", label: "Top p", hint: "The likeliest tokens up to this share", min: 0, max: 1, step: 0.01 },
  { name: "top_k", label: "Top k", hint: "At most this many tokens; 0 is all", min: 0, max: 200, step: 1 },
  { name: "min_p", label: "Min p", hint: "At least this share of the likeliest", min: 0, max: 1, step: 0.01 },
  { name: "repetition_penalty", label: "Repetition penalty", hint: "Above 1 avoids what was said", min: 0.5, max: 2, step: 0.05 },
  { name: "max_tokens", label: "Longest answer", hint: "In tokens; empty is until it ends", min: 1, max: 1_000_000, step: 1 },
  { name: "seed", label: "Seed", hint: "The same seed gives the same answer", min: 0, max: 2_147_483_647, step: 1 },
];

const place = "minimax-settings";

/** What was saved, or the defaults where that is missing or damaged. */
export function loadSettings(storage: Pick<Storage, "getItem">): Settings {
  try {
    const saved = JSON.parse(storage.getItem(place) ?? "{}") as Partial<Settings>;
    const sampling: Record<string, number> = {};
    for (const { name } of samplingFields) {
      const value = saved.sampling?.[name];
      if (typeof value === "number" && Number.isFinite(value)) sampling[name] = value;
    }
    return {
      theme: saved.theme === "light" || saved.theme === "dark" ? saved.theme : "auto",
      key: typeof saved.key === "string" ? saved.key : "",
      sampling,
    };
  } catch {
    return defaultSettings;
  }
}

/** A browser that keeps nothing is no error: the settings hold until the page is left. */
export function saveSettings(storage: Pick<Storage, "setItem">, settings: Settings): void {
  try {
    storage.setItem(place, JSON.stringify(settings));
  } catch {
    return;
  }
}
