import { expect, test } from "vitest";
import { chat, type ChatEvent } from "../../src/api/chat";
import { ApiError } from "../../src/api/http";

const answer = (body: string, status = 200): typeof fetch => async () => new Response(body, { status });

async function all(send: typeof fetch): Promise<ChatEvent[]> {
  const events: ChatEvent[] = [];
  for await (const event of chat([], {}, new AbortController().signal, send)) events.push(event);
  return events;
}

test("tells progress, reasoning, text, finish and usage in order", async () => {
  const chunks = [
    { prompt_progress: { processed: 5, total: 9 } },
    { choices: [{ delta: { role: "assistant", content: "" }, finish_reason: null }] },
    { choices: [{ delta: { reasoning_content: "Hm" }, finish_reason: null }] },
    { choices: [{ delta: { content: "Hi" }, finish_reason: null }], usage: null },
    { choices: [{ delta: {}, finish_reason: "stop" }] },
    { choices: [], usage: { prompt_tokens: 9, completion_tokens: 1,
      prompt_tokens_details: { cached_tokens: 4, replayed_tokens: 2 } } },
  ];
  const body = chunks.map((c) => `data: ${JSON.stringify(c)}\n\n`).join("") + "data: [DONE]\n\n";
  expect(await all(answer(body))).toEqual([
    { kind: "progress", processed: 5, total: 9 },
    { kind: "reasoning", text: "Hm" },
    { kind: "text", text: "Hi" },
    { kind: "finish", reason: "stop" },
    { kind: "usage", usage: { prompt: 9, cached: 4, replayed: 2, completion: 1 } },
  ]);
});

test("a stream without its end is an error", async () => {
  await expect(all(answer("data: {}\n\n"))).rejects.toThrow("cut off");
});

test("errors keep the server's words and status", async () => {
  const error = await all(answer('{"error":{"message":"queue full"}}', 429)).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 429, message: "queue full" });
});
