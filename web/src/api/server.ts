import { json, postJson } from "./http";

/** What the page asks of /props. */
export interface ServerInfo {
  readonly model: string;
  readonly backend: string;
  readonly contextLength: number;
  /** Sampling fields and the values that hold where a request leaves them out. */
  readonly defaults: Readonly<Record<string, number>>;
}

/** A fetch that sends the key, where there is one. */
export function withKey(send: typeof fetch, key: string): typeof fetch {
  if (key === "") return send;
  return (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("Authorization", `Bearer ${key}`);
    return send(input, { ...init, headers });
  };
}

/** Throws ApiError; 401 asks for a key, 503 says that the model is loading. */
export async function serverInfo(send: typeof fetch): Promise<ServerInfo> {
  const body = await json<{
    model: string;
    backend: string;
    context_length: number;
    default_generation_settings?: Record<string, number>;
  }>(await send("/props"));
  return {
    model: body.model,
    backend: body.backend,
    contextLength: body.context_length,
    defaults: body.default_generation_settings ?? {},
  };
}

/** How many tokens a text is, without any that a template adds. */
export async function countTokens(text: string, send: typeof fetch): Promise<number> {
  const body = await json<{ tokens: number[] }>(await postJson(send, "/tokenize", { content: text }));
  return body.tokens.length;
}
