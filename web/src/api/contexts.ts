import { ApiError, json, postJson, streamEvents } from "./http";

/** A durable context of the server: a text that was read once, for many conversations. */
export interface ContextInfo {
  readonly name: string;
  readonly tokens: number;
  readonly bytes: number;
  /** False while it is being written, and after that was interrupted. */
  readonly complete: boolean;
  /** Lengths at which states are kept: going on from there replays nothing. */
  readonly checkpoints: readonly number[];
  readonly kvDtype: string;
  readonly stateFormat: string;
  readonly backend: string;
  /** Why it cannot be used; empty where it can. */
  readonly problem: string;
}

/** What reading every byte of a context found. */
export interface ContextReport {
  readonly ok: boolean;
  readonly usableTokens: number;
  readonly problems: readonly string[];
}

export type WriteEvent =
  | { readonly kind: "progress"; readonly processed: number; readonly total: number }
  | { readonly kind: "done"; readonly context: ContextInfo };

/** As the server writes it; of a damaged one it knows the name and the problem alone. */
interface ContextJson {
  name: string;
  tokens?: number;
  bytes?: number;
  complete?: boolean;
  checkpoints?: number[];
  kv_dtype?: string;
  state_format?: string;
  backend?: string;
  problem?: string;
}

function infoOf(context: ContextJson): ContextInfo {
  return {
    name: context.name,
    tokens: context.tokens ?? 0,
    bytes: context.bytes ?? 0,
    complete: context.complete ?? true,
    checkpoints: context.checkpoints ?? [],
    kvDtype: context.kv_dtype ?? "",
    stateFormat: context.state_format ?? "",
    backend: context.backend ?? "",
    problem: context.problem ?? "",
  };
}

const root = "/v1/contexts";
const pathOf = (name: string, action = "") => `${root}/${encodeURIComponent(name)}${action}`;

/** All of them, or null where the server was started without --context-dir. Throws ApiError. */
export async function listContexts(send: typeof fetch): Promise<ContextInfo[] | null> {
  const response = await send(root);
  if (response.status === 404) return null;
  return (await json<{ data: ContextJson[] }>(response)).data.map(infoOf);
}

/** Reads a text into a new context, or goes on where the same request was interrupted. */
export function createContext(name: string, text: string, signal: AbortSignal, send: typeof fetch): AsyncGenerator<WriteEvent> {
  return write(root, { name, text }, signal, send);
}

/** Adds a text to the end of a context, or goes on where the same request was interrupted. */
export function appendToContext(name: string, text: string, signal: AbortSignal, send: typeof fetch): AsyncGenerator<WriteEvent> {
  return write(pathOf(name, "/append"), { text }, signal, send);
}

/** Makes `newName` of the first `at` tokens, or of all. Throws ApiError. */
export async function forkContext(name: string, newName: string, at: number | undefined, send: typeof fetch): Promise<ContextInfo> {
  const body = at === undefined ? { name: newName } : { name: newName, at };
  return infoOf(await json<ContextJson>(await postJson(send, pathOf(name, "/fork"), body)));
}

/** Throws ApiError; damage is no error but what the report tells. */
export async function verifyContext(name: string, send: typeof fetch): Promise<ContextReport> {
  const body = await json<{ ok: boolean; usable_tokens: number; problems: string[] }>(await postJson(send, pathOf(name, "/verify"), {}));
  return { ok: body.ok, usableTokens: body.usable_tokens, problems: body.problems };
}

/** Throws ApiError. */
export async function deleteContext(name: string, send: typeof fetch): Promise<void> {
  await json(await send(pathOf(name), { method: "DELETE" }));
}

async function* write(path: string, body: object, signal: AbortSignal, send: typeof fetch): AsyncGenerator<WriteEvent> {
  type Event = { context_progress?: { processed: number; total: number }; context?: ContextJson };
  const response = await postJson(send, path, { ...body, stream: true }, signal);
  let done = false;
  for await (const event of streamEvents<Event>(response, "Reading was cut off.")) {
    if (event.context_progress) yield { kind: "progress", ...event.context_progress };
    if (!event.context) continue;
    done = true;
    yield { kind: "done", context: infoOf(event.context) };
  }
  if (!done) throw new ApiError(0, "Reading was cut off.");
}
