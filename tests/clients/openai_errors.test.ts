import OpenAI, {
  APIConnectionError,
  APIError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
} from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkedFetch } from "./checked_fetch.ts";
import { endless, key, longContext, startServer, type Server } from "./server.ts";

let server: Server;

beforeAll(async () => {
  const access = ["--api-key", key, "--max-body", "1M"];
  server = await startServer("--parallel", "1", "--max-queue", "0", ...access, ...longContext);
});
afterAll(() => server.stop());

const connect = (options: { apiKey?: string; maxRetries?: number; fetch?: typeof fetch } = {}) =>
  new OpenAI({ baseURL: server.api, apiKey: key, maxRetries: 0, fetch: checkedFetch, ...options });

const chat = { model: "mini", messages: [{ role: "user" as const, content: "Hi" }], max_completion_tokens: 4 };

async function failure(promise: Promise<unknown>): Promise<APIError> {
  const error = await promise.then(() => undefined, (e: unknown) => e);
  expect(error).toBeInstanceOf(APIError);
  return error as APIError;
}

describe("openai, errors", () => {
  it("asks for a key", async () => {
    const error = await failure(connect({ apiKey: "another" }).models.list());
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error.code).toBe("invalid_api_key");
    expect(error.requestID).toBeTruthy();
    expect((await connect().models.list()).data).toHaveLength(1);
  });

  it("knows one model", async () => {
    const error = await failure(connect().chat.completions.create({ ...chat, model: "gpt-5" }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found", param: "model" });
    expect(await failure(connect().models.retrieve("gpt-5"))).toBeInstanceOf(NotFoundError);
  });

  it("names the field that is wrong", async () => {
    const error = await failure(connect().chat.completions.create({ ...chat, temperature: -1 }));
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ param: "temperature", type: "invalid_request_error" });
    const stream = connect().chat.completions.create({ ...chat, top_p: 2, stream: true });
    expect(await failure(stream)).toMatchObject({ status: 400, param: "top_p" });
    const response = connect().responses.create({ model: "mini", input: "Hi", background: true });
    expect(await failure(response)).toMatchObject({ status: 400, param: "background" });
  });

  it("says when a prompt is too long for the context", async () => {
    const content = "word ".repeat(150_000);
    const messages = [{ role: "user" as const, content }];
    const error = await failure(connect().chat.completions.create({ ...chat, messages }));
    expect(error).toMatchObject({ status: 400, code: "context_length_exceeded" });
  });

  it("refuses a body that is too large", async () => {
    const messages = [{ role: "user" as const, content: "x".repeat(3 << 20) }];
    const error = await failure(connect().chat.completions.create({ ...chat, messages }));
    expect(error.status).toBe(413);
  });

  it("is full, and says when to come again", async () => {
    const long = { ...chat, max_completion_tokens: endless, ignore_eos: true, stream: true as const };
    const busy = await connect().chat.completions.create(long);
    const error = await failure(connect().chat.completions.create(chat));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error.headers?.get("retry-after")).toBe("1");

    // The client tries again by itself, when it was told to. Without being told it would wait for
    // half a second at most before the first time.
    const refused: number[] = [];
    const watch: typeof fetch = async (input, init) => {
      const response = await checkedFetch(input, init);
      if (response.status === 429) {
        refused.push(performance.now());
        busy.controller.abort();
      }
      return response;
    };
    const answer = await connect({ maxRetries: 20, fetch: watch }).chat.completions.create(chat);
    expect(answer.usage?.completion_tokens).toBeGreaterThan(0);
    expect(refused.length).toBeGreaterThan(0);
    expect(performance.now() - (refused[0] ?? 0)).toBeGreaterThan(990); // timers may be early by 1 ms
  });

  it("is not there", async () => {
    const nowhere = new OpenAI({ baseURL: "http://127.0.0.1:9/v1", apiKey: key, maxRetries: 1 });
    await expect(nowhere.models.list()).rejects.toBeInstanceOf(APIConnectionError);
  });
});
