import { postJson, streamEvents } from "./http";

/** One thing a streamed answer tells, in the order the server sends them. */
export type ChatEvent =
  | { readonly kind: "progress"; readonly processed: number; readonly total: number }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "reasoning"; readonly text: string }
  | { readonly kind: "finish"; readonly reason: string }
  | { readonly kind: "usage"; readonly usage: Usage };

/** Counts of tokens. The prompt is cached + replayed + computed. */
export interface Usage {
  readonly prompt: number;
  readonly cached: number;
  readonly replayed: number;
  readonly completion: number;
}

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Other fields of a request, such as temperature; those that are undefined are left to the server. */
export type ChatFields = Readonly<Record<string, number | string | undefined>>;

/** Streams an answer from /v1/chat/completions. Throws ApiError, or fetch's AbortError once `signal` fires. */
export async function* chat(
  messages: readonly ChatMessage[],
  fields: ChatFields,
  signal: AbortSignal,
  send: typeof fetch = fetch,
): AsyncGenerator<ChatEvent> {
  const body = { ...fields, messages, stream: true, stream_options: { include_usage: true }, return_progress: true };
  const response = await postJson(send, "/v1/chat/completions", body, signal);
  for await (const chunk of streamEvents<Chunk>(response, "The answer was cut off.")) yield* eventsOf(chunk);
}

/** The fields of the server's events that are read here; all may be absent. */
interface Chunk {
  prompt_progress?: { processed: number; total: number };
  choices?: { delta?: { content?: string | null; reasoning_content?: string | null }; finish_reason?: string | null }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number; replayed_tokens?: number };
  } | null;
}

function* eventsOf(chunk: Chunk): Generator<ChatEvent> {
  if (chunk.prompt_progress) yield { kind: "progress", ...chunk.prompt_progress };
  const choice = chunk.choices?.[0];
  const thought = choice?.delta?.reasoning_content;
  if (thought) yield { kind: "reasoning", text: thought };
  if (choice?.delta?.content) yield { kind: "text", text: choice.delta.content };
  if (choice?.finish_reason) yield { kind: "finish", reason: choice.finish_reason };
  if (chunk.usage) {
    const details = chunk.usage.prompt_tokens_details;
    yield {
      kind: "usage",
      usage: {
        prompt: chunk.usage.prompt_tokens,
        cached: details?.cached_tokens ?? 0,
        replayed: details?.replayed_tokens ?? 0,
        completion: chunk.usage.completion_tokens,
      },
    };
  }
}
