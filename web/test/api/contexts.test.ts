import { expect, test } from "vitest";
import { createContext, deleteContext, forkContext, listContexts, verifyContext, type WriteEvent } from "../../src/api/contexts";

/** A server that gives one answer, and what it was asked. */
function server(body: string, status = 200) {
  const asked: { path: string; method: string; body: unknown }[] = [];
  const send: typeof fetch = async (path, init) => {
    asked.push({ path: String(path), method: init?.method ?? "GET", body: init?.body === undefined ? null : JSON.parse(String(init.body)) });
    return new Response(body, { status });
  };
  return { send, asked };
}

const book = {
  object: "context", name: "book", tokens: 750, bytes: 2199104, complete: true, raw: false, turn_is_open: true, kv_dtype: "BF16",
  state_format: "f32", backend: "cpu", checkpoints: [704],
};
const info = { name: "book", tokens: 750, bytes: 2199104, complete: true, checkpoints: [704], kvDtype: "BF16", stateFormat: "f32", backend: "cpu", problem: "" };

async function all(stream: AsyncGenerator<WriteEvent>): Promise<WriteEvent[]> {
  const events: WriteEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

test("lists contexts; of damaged ones there is a name and a problem", async () => {
  const { send } = server(JSON.stringify({ data: [book, { name: "old", problem: "a checksum disagrees" }] }));
  expect(await listContexts(send)).toEqual([info, { ...info, name: "old", tokens: 0, bytes: 0, checkpoints: [], kvDtype: "", stateFormat: "", backend: "", problem: "a checksum disagrees" }]);
});

test("a server without them is no error, others are", async () => {
  expect(await listContexts(server("{}", 404).send)).toBeNull();
  await expect(listContexts(server('{"error":{"message":"no key"}}', 401).send)).rejects.toMatchObject({ status: 401, message: "no key" });
});

test("tells how far reading is, and what came of it", async () => {
  const events = [{ context_progress: { processed: 512, total: 750 } }, { context: book }];
  const { send, asked } = server(events.map((e) => `data: ${JSON.stringify(e)}\n\n`).join("") + "data: [DONE]\n\n");
  expect(await all(createContext("book", "text", new AbortController().signal, send))).toEqual([
    { kind: "progress", processed: 512, total: 750 },
    { kind: "done", context: info },
  ]);
  expect(asked).toEqual([{ path: "/v1/contexts", method: "POST", body: { name: "book", text: "text", stream: true } }]);
});

test.each([
  ["data: {}\n\n", "cut off"],
  ["data: [DONE]\n\n", "cut off"],
  ['data: {"error":{"message":"the disk is full"}}\n\n', "the disk is full"],
])("reading that ends otherwise is an error: %j", async (body, message) => {
  await expect(all(createContext("book", "text", new AbortController().signal, server(body).send))).rejects.toThrow(message);
});

test("forks at a token or at all, verifies, deletes", async () => {
  const fork = server(JSON.stringify(book));
  expect(await forkContext("a", "b", undefined, fork.send)).toEqual(info);
  await forkContext("a", "b", 100, fork.send);
  expect(fork.asked).toEqual([
    { path: "/v1/contexts/a/fork", method: "POST", body: { name: "b" } },
    { path: "/v1/contexts/a/fork", method: "POST", body: { name: "b", at: 100 } },
  ]);
  const verify = server('{"name":"a","ok":false,"tokens":9,"usable_tokens":4,"problems":["bad"]}');
  expect(await verifyContext("a", verify.send)).toEqual({ ok: false, usableTokens: 4, problems: ["bad"] });
  const remove = server("{}");
  await deleteContext("../a b", remove.send);
  expect(remove.asked).toEqual([{ path: "/v1/contexts/..%2Fa%20b", method: "DELETE", body: null }]);
});
