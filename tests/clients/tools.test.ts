import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool as langchainTool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, isStepCount, streamText, tool } from "ai";
import OpenAI from "openai";
import { zodFunction, zodResponsesFunction } from "openai/helpers/zod";
import type { ParsedChatCompletionMessage } from "openai/resources/chat/completions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { checkedFetch } from "./checked_fetch.ts";
import { startServer, type Server } from "./server.ts";

let server: Server;
let folder: string;

// The bundled model with a template that has a place for tools: it calls when it must.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "minimax-clients-"));
  const model = join(folder, "model");
  execFileSync("python3", [fileURLToPath(new URL("../e2e/tool_model.py", import.meta.url)), model]);
  server = await startServer("-m", model, "--served-model-name", "mini");
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const Place = z.object({ city: z.enum(["Oslo", "Rome"]), days: z.number().int().min(1).max(9) });
const Word = z.object({ word: z.string().min(1).max(8) });
const question = "What is the weather like in Rome?";
const messages = [{ role: "user" as const, content: question }];

/** The calls of a message, which are calls of functions. */
const callsOf = (message: ParsedChatCompletionMessage<unknown> | undefined) =>
  (message?.tool_calls ?? []).filter((call) => call.type === "function");

describe("openai, tools", () => {
  const weather = zodFunction({ name: "weather", description: "The weather.", parameters: Place });
  const define = zodFunction({ name: "define", description: "What a word means.", parameters: Word });
  const tools = [weather, define];
  const settings = { model: "mini", temperature: 0, parallel_tool_calls: false };
  const ask = { ...settings, messages, tools, max_completion_tokens: 200 };
  let client: OpenAI;

  beforeAll(() => {
    client = new OpenAI({ baseURL: server.api, apiKey: "none", fetch: checkedFetch, maxRetries: 0 });
  });

  it("may be called, or not", async () => {
    for (const tool_choice of ["auto", "none"] as const) {
      const answer = await client.chat.completions.create({ ...ask, tool_choice, max_completion_tokens: 16 });
      expect(answer.choices[0]?.message.role).toBe("assistant");
      if (tool_choice === "none") expect(answer.choices[0]?.message.tool_calls).toBeUndefined();
    }
  });

  it("must be called: one of them, or the one that is named", async () => {
    const any = await client.chat.completions.parse({ ...ask, tool_choice: "required" });
    const [call] = callsOf(any.choices[0]?.message);
    expect(any.choices[0]?.finish_reason).toBe("tool_calls");
    const schema = call?.function.name === "weather" ? Place : Word;
    expect(schema.parse(call?.function.parsed_arguments)).toEqual(JSON.parse(call?.function.arguments ?? ""));

    const tool_choice = { type: "function" as const, function: { name: "define" } };
    const named = await client.chat.completions.parse({ ...ask, tool_choice });
    const calls = callsOf(named.choices[0]?.message);
    expect(calls.map((c) => c.function.name)).toEqual(["define"]);
    expect(Word.parse(calls[0]?.function.parsed_arguments)).toBeDefined();
  });

  it("are called in streams", async () => {
    const tool_choice = { type: "function" as const, function: { name: "weather" } };
    const stream = client.chat.completions.stream({ ...ask, tool_choice });
    const names: string[] = [];
    stream.on("tool_calls.function.arguments.done", (event) => names.push(event.name));
    const { choices } = await stream.finalChatCompletion();
    const [call] = callsOf(choices[0]?.message);
    expect(names).toEqual(["weather"]);
    expect(Place.parse(call?.function.parsed_arguments)).toEqual(JSON.parse(call?.function.arguments ?? ""));
  });

  it("are run by the client's helper", async () => {
    const seen: unknown[] = [];
    const look = zodFunction({
      name: "weather",
      parameters: Place,
      function: (place) => {
        seen.push(Place.parse(place));
        return `Sunny in ${place.city}.`;
      },
    });
    const runner = client.chat.completions.runTools({
      ...ask,
      tools: [look],
      tool_choice: { type: "function", function: { name: "weather" } },
    });
    await runner.done();
    expect(seen).toHaveLength(1);
    expect(runner.messages.map((message) => message.role)).toEqual(["user", "assistant", "tool"]);

    // What the helper has gathered is a conversation that goes on.
    const next = await client.chat.completions.create({ ...ask, messages: runner.messages, tool_choice: "none" });
    expect(next.choices[0]?.message.content).toBeTruthy();
  });

  it("are called by Responses", async () => {
    const input = question;
    const places = [zodResponsesFunction({ name: "weather", parameters: Place })];
    const options = { ...settings, tools: places, max_output_tokens: 200 };
    const answer = await client.responses.parse({ ...options, input, tool_choice: "required" });
    const [item] = answer.output;
    if (item?.type !== "function_call") throw new Error(`no call: ${answer.output_text}`);
    expect(Place.parse(item.parsed_arguments)).toEqual(JSON.parse(item.arguments));

    const stream = client.responses.stream({ ...options, input, tool_choice: { type: "function", name: "weather" } });
    const final = await stream.finalResponse();
    expect(final.output[0]).toMatchObject({ type: "function_call", arguments: item.arguments });

    const next = await client.responses.create({
      ...options,
      tool_choice: "none",
      input: [
        { role: "user", content: question },
        { type: "function_call", call_id: item.call_id, name: item.name, arguments: item.arguments },
        { type: "function_call_output", call_id: item.call_id, output: "Sunny." },
      ],
    });
    expect(next.output_text).toBeTruthy();
  });
});

describe("@anthropic-ai/sdk, tools", () => {
  const tools: Anthropic.Tool[] = [
    { name: "weather", description: "The weather.", input_schema: z.toJSONSchema(Place) as Anthropic.Tool.InputSchema },
  ];
  const ask = { model: "mini", messages, tools, max_tokens: 200, temperature: 0 };
  const alone = { disable_parallel_tool_use: true };
  let client: Anthropic;

  beforeAll(() => {
    client = new Anthropic({ baseURL: server.url, apiKey: "none", fetch: checkedFetch, maxRetries: 0 });
  });

  it("are called, and their results read", async () => {
    const whole = await client.messages.create({ ...ask, tool_choice: { type: "any", ...alone } });
    const use = whole.content.find((block) => block.type === "tool_use");
    expect(whole.stop_reason).toBe("tool_use");
    expect(Place.parse(use?.input)).toEqual(use?.input);

    const stream = client.messages.stream({ ...ask, tool_choice: { type: "tool", name: "weather", ...alone } });
    const final = await stream.finalMessage();
    expect(final.content.find((block) => block.type === "tool_use")?.input).toEqual(use?.input);

    const result = { type: "tool_result" as const, tool_use_id: use?.id ?? "", content: "Sunny." };
    const next = await client.messages.create({
      ...ask,
      tool_choice: { type: "none" },
      messages: [...messages, { role: "assistant", content: whole.content }, { role: "user", content: [result] }],
    });
    expect(next.content[0]?.type).toBe("text");
  });

  it("count as tokens", async () => {
    const { input_tokens } = await client.messages.countTokens({ model: "mini", messages, tools });
    const bare = await client.messages.countTokens({ model: "mini", messages });
    expect(input_tokens).toBeGreaterThan(bare.input_tokens);
  });
});

describe("ai, tools", () => {
  const seen: unknown[] = [];
  const weather = tool({
    description: "The weather.",
    inputSchema: Place,
    execute: ({ city }) => {
      seen.push(city);
      return `Sunny in ${city}.`;
    },
  });
  const options = () => ({
    model: createOpenAICompatible({ name: "minimax", baseURL: server.api, fetch: checkedFetch })("mini"),
    tools: { weather },
    prompt: question,
    temperature: 0,
    maxOutputTokens: 200,
    maxRetries: 0,
    providerOptions: { minimax: { parallel_tool_calls: false } },
  });

  it("are called and run, step by step", async () => {
    const result = await generateText({
      ...options(),
      stopWhen: isStepCount(2),
      // A call first, and then an answer.
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? "required" : "none" }),
    });
    expect(result.steps).toHaveLength(2);
    expect(result.steps[0]?.toolCalls[0]?.toolName).toBe("weather");
    expect(seen).toHaveLength(1);
    expect(result.text).toBeTruthy();
  });

  it("are called in streams", async () => {
    const stream = streamText({ ...options(), toolChoice: "required" });
    const parts: string[] = [];
    for await (const part of stream.fullStream) parts.push(part.type);
    expect(parts).toContain("tool-call");
    expect(parts).toContain("tool-result");
    expect(await stream.finishReason).toBe("tool-calls");
  });
});

describe("@langchain/openai, tools", () => {
  const weather = langchainTool(({ city }) => `Sunny in ${city}.`, {
    name: "weather",
    description: "The weather.",
    schema: Place,
  });
  const model = () =>
    new ChatOpenAI({
      model: "mini",
      apiKey: "none",
      temperature: 0,
      maxTokens: 200,
      maxRetries: 0,
      configuration: { baseURL: server.api, fetch: checkedFetch },
    });

  it("are bound, called and answered", async () => {
    const alone = { tool_choice: "required", parallel_tool_calls: false };
    const bound = model().bindTools([weather], alone);
    const answer = await bound.invoke(question);
    const [call] = answer.tool_calls ?? [];
    expect(call?.name).toBe("weather");
    expect(Place.parse(call?.args)).toEqual(call?.args);

    const result: ToolMessage = await weather.invoke(call as never);
    const next = await model()
      .bindTools([weather], { tool_choice: "none" })
      .invoke([new HumanMessage(question), answer, result]);
    expect(next.text).toBeTruthy();

    let streamed = "";
    for await (const chunk of await bound.stream(question)) {
      streamed += chunk.tool_call_chunks?.map((piece) => piece.args ?? "").join("") ?? "";
    }
    expect(JSON.parse(streamed)).toEqual(call?.args);
  });

  it("give structure", async () => {
    const place = await model().withStructuredOutput(Place, { name: "weather", method: "functionCalling" }).invoke(question);
    expect(Place.parse(place)).toEqual(place);
  });
});
