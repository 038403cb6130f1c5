import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findProblem } from "./schemas.ts";
import { startServer, type Server } from "./server.ts";

let server: Server;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const messages = [{ role: "user", content: "Hi" }];
const cases = [
  ["chat_completion", "/v1/chat/completions", { messages, max_tokens: 2, logprobs: true, top_logprobs: 1 }],
  ["completion", "/v1/completions", { prompt: "Hi", max_tokens: 2, logprobs: 1 }],
  ["response", "/v1/responses", { input: "Hi", max_output_tokens: 2 }],
  ["message", "/v1/messages", { messages, max_tokens: 2 }],
] as const;

/** Every object inside a value. */
function* objectsOf(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const member of Object.values(value)) yield* objectsOf(member);
}

/** Objects whose names are the data's own. */
const isOpen = (object: object) => Object.values(object).every((value) => typeof value === "number");

// What the schemas are worth: an answer with a field more in any place is found out.
describe.each(cases)("the schema of %s", (schema, path, body) => {
  it("allows the server's answer and nothing more", async () => {
    const response = await fetch(server.url + path, { method: "POST", body: JSON.stringify(body) });
    const answer: unknown = await response.json();
    expect(findProblem(schema, answer)).toBeUndefined();
    let changed = 0;
    for (const object of objectsOf(answer)) {
      if (Object.keys(object).length === 0) continue;
      object["surprise"] = isOpen(object) ? "text" : true;
      expect(findProblem(schema, answer), JSON.stringify(object)).toBeDefined();
      delete object["surprise"];
      ++changed;
    }
    expect(changed).toBeGreaterThan(2);
    expect(findProblem(schema, answer)).toBeUndefined();
    for (const name of Object.keys(answer as object)) {
      expect(findProblem(schema, { ...(answer as object), [name]: [[]] }), name).toBeDefined();
    }
  });
});
