import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkedFetch, takeChecks } from "./checked_fetch.ts";
import { startServer, type Server } from "./server.ts";

let server: Server;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "minimax-clients-"));
  server = await startServer("--context-dir", join(folder, "contexts"));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

async function call(method: string, path: string, body?: object): Promise<{ status: number; json: unknown }> {
  const init = body ? { method, body: JSON.stringify(body) } : { method };
  const response = await checkedFetch(server.url + path, init);
  return { status: response.status, json: await response.json() };
}

/** The answer's JSON, which fits the endpoint's schema. */
async function ask(method: string, path: string, body?: object, expected = 200): Promise<Record<string, unknown>> {
  const { status, json } = await call(method, path, body);
  expect(status).toBe(expected);
  expect(takeChecks()).toEqual({ problems: [], checked: 1 });
  return json as Record<string, unknown>;
}

describe("endpoints without a client of their own", () => {
  it("say what runs here", async () => {
    await ask("GET", "/health");
    const { version } = await ask("GET", "/version");
    expect((await ask("GET", "/props"))["build"]).toContain(version);
    expect(await ask("GET", "/v1/models")).toMatchObject({ data: [{ id: "mini" }] });
  });

  it("turn text to tokens and back", async () => {
    const content = "Grüße, dog! 🐕";
    const { tokens } = await ask("POST", "/tokenize", { content });
    expect(await ask("POST", "/detokenize", { tokens })).toEqual({ content });
    const pieces = await ask("POST", "/tokenize", { content, with_pieces: true });
    expect((pieces["tokens"] as { id: number }[]).map((token) => token.id)).toEqual(tokens);
    const { prompt } = await ask("POST", "/apply-template", { messages: [{ role: "user", content }] });
    expect(prompt).toContain(content);
  });

  it("keep contexts", async () => {
    const text = "Once upon a time there was a dog. ".repeat(20);
    const made = await ask("POST", "/v1/contexts", { name: "book", text }, 201);
    expect(await ask("POST", "/v1/contexts/book/append", { text })).toMatchObject({ name: "book" });
    const book = await ask("GET", "/v1/contexts/book");
    expect(await ask("GET", "/v1/contexts")).toEqual({ object: "list", data: [book] });
    expect(await ask("POST", "/v1/contexts/book/verify")).toMatchObject({ ok: true, tokens: book["tokens"] });
    expect(book["tokens"]).toBeGreaterThan(made["tokens"] as number);
    const fork = await ask("POST", "/v1/contexts/book/fork", { name: "half", at: 50 });
    expect(fork).toMatchObject({ name: "half", tokens: 50 });
    const messages = [{ role: "user", content: "Who is it about?" }];
    await ask("POST", "/v1/chat/completions", { context: "book", messages, max_tokens: 4 });
    expect(await ask("DELETE", "/v1/contexts/half")).toMatchObject({ name: "half" });
    expect((await call("GET", "/v1/contexts/half")).status).toBe(404);
  });

  it("write contexts in events", async () => {
    const text = "Once upon a time there was a cat. ".repeat(40);
    const body = JSON.stringify({ name: "cat", text, checkpoint_every: 64, stream: true });
    const response = await checkedFetch(`${server.url}/v1/contexts`, { method: "POST", body });
    const events = (await response.text()).trimEnd().split("\n\n");
    expect(events[0]).toContain("context_progress");
    expect(events.at(-2)).toContain('"name":"cat"');
    expect(events.at(-1)).toBe("data: [DONE]");
    expect(takeChecks()).toEqual({ problems: [], checked: events.length - 1 });
    expect((await call("POST", "/v1/contexts", { name: "cat", text: "another" })).status).toBe(409);
  });

  it("refuse in OpenAI's form, and in Anthropic's on its paths", async () => {
    expect((await call("GET", "/v1/nothing")).status).toBe(404);
    expect((await call("DELETE", "/v1/models")).status).toBe(405);
    expect((await call("POST", "/tokenize", {})).status).toBe(400);
    expect((await call("POST", "/v1/messages", {})).status).toBe(400);
    expect((await call("GET", "/v1/messages")).status).toBe(405);
    expect(takeChecks()).toEqual({ problems: [], checked: 5 });
  });
});
