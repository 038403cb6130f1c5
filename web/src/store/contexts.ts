import type { ContextInfo } from "../api/contexts";
import { count } from "../format";
import type { Prefill } from "./prefill";

/** A text that is being read into a context, or was until something stopped it. */
export interface Writing {
  readonly name: string;
  readonly kind: "create" | "append";
  /** Kept, so that reading can go on after it was stopped. */
  readonly text: string;
  /** Milliseconds. */
  readonly startedAt: number;
  readonly prefill: Prefill | null;
  /** Why it does not go on, in words for people; null while it does. */
  readonly halted: string | null;
}

export interface Contexts {
  /** Whether the server has any; "unknown" until it has said so. */
  readonly available: "unknown" | "on" | "off";
  /** By name. */
  readonly entries: readonly ContextInfo[];
  readonly writing: ReadonlyMap<string, Writing>;
}

export const noContexts: Contexts = { available: "unknown", entries: [], writing: new Map() };

export function findContext(contexts: Contexts, name: string): ContextInfo | undefined {
  return contexts.entries.find((entry) => entry.name === name);
}

/** The server's rule. */
export function isContextName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(name);
}

/** A name that is free, made of a file's name or what else a person has called it. */
export function suggestName(title: string, contexts: Contexts): string {
  const plain = title.normalize("NFD").replace(/\p{M}/gu, "").replace(/\.[A-Za-z0-9]{1,5}$/, "");
  const base = plain.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+|[.-]+$/g, "").slice(0, 60) || "context";
  for (let number = 1; ; ++number) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!findContext(contexts, name) && !contexts.writing.has(name)) return name;
  }
}

/**
 * Why no question can be asked about a context, in words for people; empty if one can, or while
 * nothing is known. `room`: the most tokens of the server's sequences.
 */
export function obstacle(name: string, contexts: Contexts, room: number): string {
  if (contexts.available === "unknown") return "";
  if (contexts.available === "off") return "This conversation is about a context, and this server keeps none.";
  const writing = contexts.writing.get(name);
  if (writing && writing.halted === null) return `${name} is being read. It can be asked about as soon as that is done.`;
  const entry = findContext(contexts, name);
  if (!entry) return `There is no context ${name} on this server.`;
  if (entry.problem !== "") return `${name} is damaged.`;
  if (!entry.complete) return `${name} was not read to its end.`;
  if (entry.tokens >= room) return `${name} has ${count(entry.tokens)} tokens; this server has room for ${count(room)}.`;
  return "";
}
