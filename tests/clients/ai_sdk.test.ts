import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, Output, streamText } from "ai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { checkedFetch } from "./checked_fetch.ts";
import { endless, longContext, startServer, type Server } from "./server.ts";

// The completion model warns of tools, which nobody gave it.
globalThis.AI_SDK_LOG_WARNINGS = false;

let server: Server;
let provider: ReturnType<typeof createOpenAICompatible>;

beforeAll(async () => {
  server = await startServer(...longContext);
  provider = createOpenAICompatible({
    name: "minimax",
    baseURL: server.api,
    fetch: checkedFetch,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
});
afterAll(() => server.stop());

const ask = { prompt: "Tell me a story about a dog.", temperature: 0, maxOutputTokens: 24, maxRetries: 0 };

describe("ai with @ai-sdk/openai-compatible", () => {
  it("generates, and streams the same text", async () => {
    const whole = await generateText({ ...ask, model: provider("mini"), instructions: "Tell stories." });
    expect(whole.text).toBeTruthy();
    expect(whole.finishReason).toBe("length");
    expect(whole.usage.outputTokens).toBe(24);

    const stream = streamText({ ...ask, model: provider("mini"), instructions: "Tell stories." });
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    expect(text).toBe(whole.text);
    expect(await stream.finishReason).toBe("length");
    expect((await stream.usage).inputTokens).toBe(whole.usage.inputTokens);
    expect((await stream.usage).outputTokens).toBe(24);
  });

  it("continues text with the completion model", async () => {
    const model = provider.completionModel("mini");
    const { text, usage } = await generateText({ ...ask, model, prompt: "Once upon a time" });
    expect(text).toBeTruthy();
    expect(usage.outputTokens).toBe(24);
  });

  it("generates objects of a schema, whole and streamed", async () => {
    const schema = z.object({
      name: z.string().max(10),
      breed: z.enum(["terrier", "poodle"]),
      legs: z.number().int().min(0).max(8),
    });
    const options = { ...ask, maxOutputTokens: 200, model: provider("mini"), output: Output.object({ schema }) };
    const whole = await generateText(options);
    expect(schema.parse(whole.output)).toEqual(JSON.parse(whole.text));

    const stream = streamText(options);
    let last: unknown;
    for await (const partial of stream.partialOutputStream) last = partial;
    expect(last).toEqual(whole.output);
    expect(await stream.output).toEqual(whole.output);
  });

  it("is cancelled in the server when it is aborted", async () => {
    const abort = new AbortController();
    const stream = streamText({
      ...ask,
      model: provider("mini"),
      maxOutputTokens: endless,
      providerOptions: { minimax: { ignore_eos: true } },
      abortSignal: abort.signal,
    });
    for await (const part of stream.fullStream) {
      if (part.type === "text-delta") abort.abort();
    }
    await server.awaitMetric('minimax_generations_total{reason="cancelled"}', (value) => value === 1);
  });

  it("raises errors with the server's words", async () => {
    const error = await generateText({ ...ask, model: provider("gpt-5") }).catch((e: unknown) => e);
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ statusCode: 404, isRetryable: false });
    expect((error as APICallError).message).toContain("gpt-5");
  });
});
