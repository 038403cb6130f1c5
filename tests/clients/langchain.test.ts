import { HumanMessage, SystemMessage } from "@langchain/core/messages";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { ChatOpenAI, OpenAI as TextOpenAI } from "@langchain/openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { checkedFetch } from "./checked_fetch.ts";
import { endless, longContext, startServer, type Server } from "./server.ts";

let server: Server;

beforeAll(async () => {
  server = await startServer(...longContext);
});
afterAll(() => server.stop());

const settings = { model: "mini", apiKey: "none", temperature: 0, maxTokens: 24, maxRetries: 0 };
const connection = () => ({ baseURL: server.api, fetch: checkedFetch });
const chat = (fields: object = {}) =>
  new ChatOpenAI({ ...settings, configuration: connection(), ...fields });

const messages = [new SystemMessage("Tell stories."), new HumanMessage("Tell me a story about a dog.")];

describe("@langchain/openai", () => {
  it("answers, and streams the same answer, with counts of tokens", async () => {
    const whole = await chat().invoke(messages);
    expect(whole.text).toBeTruthy();
    expect(whole.usage_metadata?.output_tokens).toBe(24);
    expect(whole.response_metadata).toMatchObject({ finish_reason: "length", model_name: "mini" });

    let text = "";
    let usage = whole.usage_metadata;
    for await (const chunk of await chat().stream(messages)) {
      text += chunk.text;
      usage = chunk.usage_metadata ?? usage;
    }
    expect(text).toBe(whole.text);
    expect(usage?.total_tokens).toBe(whole.usage_metadata?.total_tokens);
  });

  it("is a link of a chain", async () => {
    const prompt = ChatPromptTemplate.fromMessages([["human", "Tell me a story about a {animal}."]]);
    const chain = prompt.pipe(chat()).pipe(new StringOutputParser());
    const answers = await chain.batch([{ animal: "dog" }, { animal: "cat" }]);
    expect(answers.every((answer) => answer.length > 0)).toBe(true);
  });

  it("gives log-probabilities", async () => {
    const answer = await chat({ logprobs: true, topLogprobs: 2 }).invoke(messages);
    expect(answer.response_metadata["logprobs"]).toMatchObject({ content: { length: 24 } });
  });

  it("speaks the Responses API", async () => {
    const whole = await chat({ useResponsesApi: true }).invoke(messages);
    expect(whole.text).toBe((await chat().invoke(messages)).text);
    let text = "";
    for await (const chunk of await chat({ useResponsesApi: true }).stream(messages)) text += chunk.text;
    expect(text).toBe(whole.text);
  });

  it("answers in the structure of a schema", async () => {
    const Dog = z.object({ name: z.string().max(10), legs: z.number().int().min(0).max(8) });
    const model = chat({ maxTokens: 200 }).withStructuredOutput(Dog, { name: "dog", method: "jsonSchema" });
    const dog = await model.invoke("Tell me about a dog.");
    expect(Dog.parse(dog)).toEqual(dog);
  });

  it("continues text", async () => {
    const model = new TextOpenAI({ ...settings, configuration: connection() });
    expect(await model.invoke("Once upon a time")).toBeTruthy();
  });

  it("is cancelled in the server when it is aborted", async () => {
    const abort = new AbortController();
    const model = chat({ maxTokens: endless, modelKwargs: { ignore_eos: true } });
    const read = async () => {
      for await (const chunk of await model.stream(messages, { signal: abort.signal })) {
        if (chunk.text) abort.abort();
      }
    };
    await expect(read()).rejects.toThrow(/abort/i);
    await server.awaitMetric('minimax_generations_total{reason="cancelled"}', (value) => value === 1);
  });

  it("raises errors with the server's words", async () => {
    await expect(chat({ model: "gpt-5" }).invoke(messages)).rejects.toMatchObject({ status: 404 });
    await expect(chat({ temperature: -1 }).invoke(messages)).rejects.toThrow(/temperature/);
  });
});
