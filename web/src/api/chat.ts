import { SseParser } from "./sse";

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

/** An answer of the server that is not a success, or a stream that ended too early (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/**
 * Streams an answer from /v1/chat/completions. `sampling` holds request fields such as temperature;
 * absent ones are left to the server. Throws ApiError, or fetch's AbortError once `signal` fires.
 */
export async function* chat(
  messages: readonly ChatMessage[],
  sampling: Readonly<Record<string, number | undefined>>,
  signal: AbortSignal,
  send: typeof fetch = fetch,
): AsyncGenerator<ChatEvent> {
  const response = await send("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      ...sampling,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      return_progress: true,
    }),
    signal,
  });
  if (!response.ok || !response.body) throw await errorOf(response);
  const parser = new SseParser();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new ApiError(0, "The answer was cut off.");
      for (const data of parser.push(value)) {
        if (data === "[DONE]") return;
        yield* eventsOf(data);
      }
    }
  } finally {
    // A reader who stops early must also end the generation.
    await reader.cancel().catch(() => undefined);
  }
}

/** The fields of the server's events that are read here; all may be absent. */
interface Chunk {
  error?: { message?: string };
  prompt_progress?: { processed: number; total: number };
  choices?: { delta?: { content?: string | null; reasoning_content?: string | null }; finish_reason?: string | null }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number; replayed_tokens?: number };
  } | null;
}

function* eventsOf(data: string): Generator<ChatEvent> {
  const chunk = JSON.parse(data) as Chunk;
  if (chunk.error) throw new ApiError(0, chunk.error.message ?? "The server failed.");
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

async function errorOf(response: Response): Promise<ApiError> {
  const fallback = `The server answered ${response.status}.`;
  const body = (await response.json().catch(() => null)) as Chunk | null;
  return new ApiError(response.status, body?.error?.message ?? fallback);
}
