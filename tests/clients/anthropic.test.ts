import Anthropic, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError } from "@anthropic-ai/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkedFetch } from "./checked_fetch.ts";
import { endless, key, longContext, startServer, type Server } from "./server.ts";

let server: Server;
let client: Anthropic;

const connect = (apiKey: string) =>
  new Anthropic({ baseURL: server.url, apiKey, fetch: checkedFetch, maxRetries: 0 });

beforeAll(async () => {
  server = await startServer("--api-key", key, "--max-body", "1M", ...longContext);
  client = connect(key);
});
afterAll(() => server.stop());

const ask = {
  model: "mini",
  system: "Tell stories.",
  messages: [{ role: "user" as const, content: "Tell me a story about a dog." }],
  max_tokens: 24,
  temperature: 0,
};

const textOf = (message: Anthropic.Message) =>
  message.content.map((block) => (block.type === "text" ? block.text : "")).join("");

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => undefined, (error: unknown) => error);

describe("@anthropic-ai/sdk", () => {
  it("answers, and streams the same answer", async () => {
    const whole = await client.messages.create(ask);
    expect(textOf(whole)).toBeTruthy();
    expect(whole.stop_reason).toBe("max_tokens");
    expect(whole.usage.output_tokens).toBe(24);

    const pieces: string[] = [];
    const stream = client.messages.stream(ask).on("text", (text) => pieces.push(text));
    const final = await stream.finalMessage();
    expect(textOf(final)).toBe(textOf(whole));
    expect(pieces.join("")).toBe(textOf(whole));
    expect(final.stop_reason).toBe("max_tokens");
    expect(final.usage.output_tokens).toBe(24);

    const events: string[] = [];
    for await (const event of await client.messages.create({ ...ask, stream: true })) {
      events.push(event.type);
    }
    expect(events.slice(0, 3)).toEqual(["message_start", "content_block_start", "content_block_delta"]);
    expect(events.slice(-3)).toEqual(["content_block_stop", "message_delta", "message_stop"]);
  });

  it("ends at a stop sequence, and says which", async () => {
    const text = textOf(await client.messages.create(ask));
    const stop = text.slice(20, 26);
    const cut = await client.messages.create({ ...ask, stop_sequences: ["never said", stop] });
    expect(cut).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: stop });
    expect(textOf(cut)).toBe(text.slice(0, text.indexOf(stop)));
  });

  it("counts the tokens that an answer then reports", async () => {
    const { model, system, messages } = ask;
    const { input_tokens } = await client.messages.countTokens({ model, system, messages });
    const { usage } = await client.messages.create({ ...ask, max_tokens: 1 });
    expect(usage.input_tokens + (usage.cache_read_input_tokens ?? 0)).toBe(input_tokens);
  });

  it("goes on from an earlier answer", async () => {
    const first = await client.messages.create(ask);
    const messages: Anthropic.MessageParam[] = [
      ...ask.messages,
      { role: "assistant", content: first.content },
      {
        role: "user",
        content: [{ type: "text", text: "And then?", cache_control: { type: "ephemeral" } }],
      },
    ];
    expect(textOf(await client.messages.create({ ...ask, messages }))).toBeTruthy();
  });

  it("is cancelled in the server when its stream is aborted", async () => {
    const cancelled = 'minimax_generations_total{reason="cancelled"}';
    const forever = { ...ask, max_tokens: endless, ignore_eos: true };
    const stream = client.messages.stream(forever);
    stream.on("text", () => stream.abort());
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(APIUserAbortError);
    await server.awaitMetric(cancelled, (value) => value === 1);
  });

  it("raises errors of their kind", async () => {
    const unknown = await failure(connect("another").messages.create(ask));
    expect(unknown).toBeInstanceOf(AuthenticationError);
    expect(unknown).toMatchObject({ error: { type: "error", error: { type: "authentication_error" } } });
    const { messages } = client;
    expect(await failure(messages.create({ ...ask, model: "claude" }))).toBeInstanceOf(NotFoundError);
    const cold = { ...ask, temperature: -1 };
    expect(await failure(messages.create(cold))).toBeInstanceOf(BadRequestError);
    expect(await failure(messages.countTokens({ model: "mini", messages: [] }))).toBeInstanceOf(BadRequestError);
    const long = { role: "user" as const, content: "x".repeat(3 << 20) };
    const large = await failure(messages.create({ ...ask, messages: [long] }));
    expect(large).toMatchObject({ status: 413, error: { error: { type: "request_too_large" } } });
    const wrong = { ...ask, stream: true as const, top_p: 2 };
    expect(await failure(messages.create(wrong))).toBeInstanceOf(BadRequestError);
  });
});
