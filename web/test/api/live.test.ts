import { expect, test } from "vitest";
import { chat, type ChatEvent } from "../../src/api/chat";

// Runs where MINIMAX_URL names a running server.
const base = process.env.MINIMAX_URL;

test.skipIf(!base)("a real server's stream is understood", async () => {
  const events: ChatEvent[] = [];
  const send: typeof fetch = (path, init) => fetch(`${base}${String(path)}`, init);
  const messages = [{ role: "user", content: "Tell me a story." }] as const;
  for await (const event of chat(messages, { max_tokens: 3 }, new AbortController().signal, send)) {
    events.push(event);
  }
  expect(events.filter((e) => e.kind === "progress").length).toBeGreaterThan(0);
  expect(events.filter((e) => e.kind === "text").length).toBeGreaterThan(0);
  expect(events).toContainEqual({ kind: "finish", reason: "length" });
  expect(events.at(-1)).toMatchObject({ kind: "usage", usage: { completion: 3 } });
}, 30_000);
