import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkedFetch } from "./checked_fetch.ts";
import { endless, longContext, startServer, type Server } from "./server.ts";

let server: Server;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer(...longContext);
  client = new OpenAI({ baseURL: server.api, apiKey: "none", fetch: checkedFetch, maxRetries: 0 });
});
afterAll(() => server.stop());

const story = {
  model: "mini",
  messages: [{ role: "user" as const, content: "Tell me a story about a dog." }],
  max_completion_tokens: 24,
  temperature: 0,
};

describe("openai, models", () => {
  it("lists the one model and finds it by its id", async () => {
    const { data } = await client.models.list();
    expect(data.map((model) => model.id)).toEqual(["mini"]);
    expect(await client.models.retrieve("mini")).toEqual(data[0]);
  });
});

describe("openai, chats", () => {
  it("answers, and streams the same answer with its usage", async () => {
    const whole = await client.chat.completions.create(story);
    const text = whole.choices[0]?.message.content;
    expect(text).toBeTruthy();
    expect(whole.usage?.completion_tokens).toBe(24);

    const stream = await client.chat.completions.create({
      ...story,
      stream: true,
      stream_options: { include_usage: true },
    });
    let streamed = "";
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage;
    }
    expect(streamed).toBe(text);
    expect(usage?.prompt_tokens).toBe(whole.usage?.prompt_tokens);
    expect(usage?.total_tokens).toBe(whole.usage?.total_tokens);
  });

  it("is put together by the stream helper", async () => {
    const runner = client.chat.completions.stream({
      ...story,
      logprobs: true,
      top_logprobs: 1,
      stream_options: { include_usage: true },
    });
    const pieces: string[] = [];
    runner.on("content", (delta) => pieces.push(delta));
    const final = await runner.finalChatCompletion();
    const [choice] = final.choices;
    expect(pieces.join("")).toBe(choice?.message.content);
    expect(choice?.finish_reason).toBe("length");
    expect(choice?.logprobs?.content).toHaveLength(24);
    expect(final.usage?.completion_tokens).toBe(24);
  });

  it("draws n choices that a seed decides", async () => {
    const ask = async (seed: number) => {
      const answer = await client.chat.completions.create({ ...story, temperature: 1.2, n: 3, seed });
      return answer.choices.map((choice) => choice.message.content);
    };
    const texts = await ask(7);
    expect(new Set(texts).size).toBe(3);
    expect(await ask(7)).toEqual(texts);
    expect((await ask(8))[0]).toBe(texts[1]);

    const stream = client.chat.completions.stream({ ...story, temperature: 1.2, n: 3, seed: 7 });
    const { choices } = await stream.finalChatCompletion();
    expect(choices.map((choice) => choice.message.content)).toEqual(texts);
  });

  it("ends before a stop string", async () => {
    const text = (await client.chat.completions.create(story)).choices[0]?.message.content ?? "";
    const stop = text.slice(20, 26);
    const [choice] = (await client.chat.completions.create({ ...story, stop })).choices;
    expect(choice?.message.content).toBe(text.slice(0, text.indexOf(stop)));
    expect(choice?.finish_reason).toBe("stop");
  });

  it("gives log-probabilities, best first, whose bytes join to the text", async () => {
    const answer = await client.chat.completions.create({ ...story, logprobs: true, top_logprobs: 3 });
    const [choice] = answer.choices;
    const tokens = choice?.logprobs?.content ?? [];
    expect(tokens).toHaveLength(24);
    for (const token of tokens) {
      expect(token.top_logprobs).toHaveLength(3);
      expect(token.top_logprobs[0]?.token).toBe(token.token);
      const values = token.top_logprobs.map((top) => top.logprob);
      expect(values).toEqual([...values].sort((a, b) => b - a));
    }
    const bytes = tokens.flatMap((token) => token.bytes ?? []);
    expect(Buffer.from(bytes).toString()).toBe(choice?.message.content);
  });

  it("takes the parts of a conversation in all their forms", async () => {
    const answer = await client.chat.completions.create({
      model: "mini",
      max_completion_tokens: 8,
      messages: [
        { role: "developer", content: "Answer briefly." },
        { role: "user", content: [{ type: "text", text: "Hello" }, { type: "text", text: " there." }] },
        { role: "assistant", content: "Hello." },
        { role: "user", name: "Ann", content: "Who are you?" },
      ],
    });
    expect(answer.choices[0]?.message.role).toBe("assistant");
  });

  it("is cancelled in the server when its stream is aborted", async () => {
    const cancelled = 'minimax_generations_total{reason="cancelled"}';
    const before = await server.metric(cancelled);
    const forever = { ...story, max_completion_tokens: endless, stream: true as const };
    const ignoreEos = { ignore_eos: true }; // a field of ours goes through the client as it is
    const stream = await client.chat.completions.create({ ...forever, ...ignoreEos });
    let pieces = 0;
    for await (const chunk of stream) {
      expect(chunk.object).toBe("chat.completion.chunk");
      if (++pieces === 5) break; // the client aborts its request
    }
    await server.awaitMetric(cancelled, (value) => value === before + 1);

    const abort = new AbortController();
    const second = client.chat.completions.create({ ...forever, ...ignoreEos, stream: false }, { signal: abort.signal });
    const outcome = expect(second).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await server.awaitMetric("minimax_sequences_running", (value) => value === 1);
    abort.abort();
    await outcome;
    await server.awaitMetric(cancelled, (value) => value === before + 2);
  });
});

describe("openai, completions", () => {
  it("continues texts and token ids", async () => {
    const ask = { model: "mini", max_tokens: 8, temperature: 0, logprobs: 2 };
    const both = await client.completions.create({ ...ask, prompt: ["Once upon", "A cat"] });
    expect(both.choices.map((choice) => choice.index)).toEqual([0, 1]);
    expect(both.choices[0]?.logprobs?.tokens).toHaveLength(8);
    const response = await checkedFetch(`${server.url}/tokenize`, {
      method: "POST",
      body: JSON.stringify({ content: "A cat" }),
    });
    const { tokens } = (await response.json()) as { tokens: number[] };
    const byIds = await client.completions.create({ ...ask, prompt: tokens });
    expect(byIds.choices[0]?.text).toBe(both.choices[1]?.text);
  });

  it("streams what it answers whole", async () => {
    const ask = { model: "mini", prompt: "Once upon a time", max_tokens: 16, temperature: 0 };
    const whole = await client.completions.create(ask);
    const stream = await client.completions.create({
      ...ask,
      stream: true,
      logprobs: 1,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage: OpenAI.CompletionUsage | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? "";
      usage = chunk.usage;
    }
    expect(text).toBe(whole.choices[0]?.text);
    expect(usage?.completion_tokens).toBe(16);
  });
});
