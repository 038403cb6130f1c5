import { SseParser } from "./sse";

/** An answer of the server that is not a success, or a stream that ended too early (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Errors as the server writes them, as answers and within streams. */
interface ErrorBody {
  readonly error?: { readonly message?: string };
}

/** The answer's JSON. Throws ApiError with the server's words. */
export async function json<T>(response: Response): Promise<T> {
  const body = (await response.json().catch(() => null)) as (T & ErrorBody) | null;
  if (!response.ok || body === null) throw errorOf(response.status, body);
  return body;
}

export function postJson(send: typeof fetch, path: string, body: object, signal?: AbortSignal): Promise<Response> {
  return send(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
}

/**
 * The events of a stream, up to its [DONE]. Throws ApiError where the server refuses, fails midway or
 * the stream ends early (`cutOff` says so). A reader that leaves early ends what the server does.
 */
export async function* streamEvents<T extends object>(response: Response, cutOff: string): AsyncGenerator<T, void, undefined> {
  if (!response.ok || !response.body) {
    throw errorOf(response.status, (await response.json().catch(() => null)) as ErrorBody | null);
  }
  const parser = new SseParser();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new ApiError(0, cutOff);
      for (const data of parser.push(value)) {
        if (data === "[DONE]") return;
        const event = JSON.parse(data) as Awaited<T> & ErrorBody;
        if (event.error) throw new ApiError(0, event.error.message ?? "The server failed.");
        yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function errorOf(status: number, body: ErrorBody | null): ApiError {
  return new ApiError(status, body?.error?.message ?? `The server answered ${status}.`);
}
