import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { checkedFetch } from "./checked_fetch.ts";
import { endless, longContext, startServer, type Server } from "./server.ts";

let server: Server;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer(...longContext);
  client = new OpenAI({ baseURL: server.api, apiKey: "none", fetch: checkedFetch, maxRetries: 0 });
});
afterAll(() => server.stop());

const ask = {
  model: "mini",
  instructions: "Tell stories.",
  input: "Tell me a story about a dog.",
  max_output_tokens: 24,
  temperature: 0,
};

describe("openai, responses", () => {
  it("answers, and streams the same answer", async () => {
    const whole = await client.responses.create({ ...ask, metadata: { topic: "dogs" } });
    expect(whole.output_text).toBeTruthy();
    expect(whole.status).toBe("incomplete");
    expect(whole.incomplete_details?.reason).toBe("max_output_tokens");
    expect(whole.metadata).toEqual({ topic: "dogs" });
    expect(whole.usage?.output_tokens).toBe(24);

    const stream = client.responses.stream(ask);
    const types: string[] = [];
    let text = "";
    let numbers = 0;
    for await (const event of stream) {
      types.push(event.type);
      expect(event.sequence_number).toBe(numbers++);
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    expect(text).toBe(whole.output_text);
    expect(types.slice(0, 4)).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
    ]);
    expect(types.slice(-4)).toEqual([
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.incomplete",
    ]);
    expect((await stream.finalResponse()).output_text).toBe(whole.output_text);
  });

  it("goes on from the items of an earlier answer", async () => {
    const first = await client.responses.create(ask);
    const input: OpenAI.Responses.ResponseInput = [
      { role: "user", content: ask.input },
      ...first.output.filter((item) => item.type === "message"),
      { role: "user", content: "And then?" },
    ];
    const second = await client.responses.create({ ...ask, input });
    expect(second.output_text).toBeTruthy();
    expect(second.usage?.input_tokens).toBeGreaterThan(first.usage?.input_tokens ?? 0);
  });

  it("parses an answer of a format", async () => {
    const Dog = z.object({ name: z.string().max(12), legs: z.number().int().min(0).max(8) });
    const text = { format: zodTextFormat(Dog, "dog") };
    const answer = await client.responses.parse({ ...ask, max_output_tokens: 200, text });
    expect(answer.status).toBe("completed");
    expect(Dog.parse(answer.output_parsed)).toEqual(JSON.parse(answer.output_text));
    expect(answer.text?.format).toMatchObject({ type: "json_schema", name: "dog" });

    const stream = client.responses.stream({ ...ask, max_output_tokens: 200, text });
    expect((await stream.finalResponse()).output_parsed).toEqual(answer.output_parsed);
  });

  it("is cancelled in the server when its stream is aborted", async () => {
    const forever = { ...ask, max_output_tokens: endless, stream: true as const, ignore_eos: true };
    const stream = await client.responses.create(forever);
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") stream.controller.abort();
    }
    await server.awaitMetric('minimax_generations_total{reason="cancelled"}', (value) => value === 1);
  });
});
