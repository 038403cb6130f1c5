import { expect, test } from "vitest";
import { ContextsController } from "../src/contexts_controller";

const book = { name: "book", tokens: 9, bytes: 1, complete: true, checkpoints: [] };
const sse = (...events: object[]) => events.map((e) => `data: ${JSON.stringify(e)}\n\n`).join("");
const progress = (processed: number) => ({ context_progress: { processed, total: 9 } });

type Answer = (path: string, init: RequestInit | undefined) => Response;

/** Contexts over a server that answers as told; `list` is what it holds. */
function make(answer: Answer, list: object[] = []) {
  const said: [string, string | undefined][] = [];
  const opened: string[] = [];
  const asked: string[] = [];
  let keys = 0;
  const contexts = new ContextsController({
    send: async (path, init) => {
      asked.push(`${init?.method ?? "GET"} ${String(path)}`);
      if (init?.method === undefined) return new Response(JSON.stringify({ data: list }));
      return answer(String(path), init);
    },
    now: () => 0,
    say: (text, open) => said.push([text, open]),
    open: (name) => opened.push(name),
    askKey: () => void ++keys,
  });
  return { contexts, said, opened, asked, state: () => contexts.state.value, keys: () => keys };
}

/** A stream that begins and then waits for the request to be given up. */
function hanging(begin: string, init: RequestInit | undefined): Response {
  return new Response(new ReadableStream<Uint8Array>({
    start(sink) {
      sink.enqueue(new TextEncoder().encode(begin));
      init?.signal?.addEventListener("abort", () => sink.error(new DOMException("", "AbortError")));
    },
  }));
}

const failing = (status: number, message: string) => new Response(JSON.stringify({ error: { message } }), { status });

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test("what is read while it is watched is opened, otherwise it is told", async () => {
  const done = () => new Response(sse(progress(5), { context: book }) + "data: [DONE]\n\n");
  const { contexts, said, opened, state } = make(done, [book]);
  contexts.show({ kind: "write", mode: "new", name: "book" });
  expect(await contexts.create("book", "text")).toBe("");
  expect([opened, said, state().dialog, state().writing.size]).toEqual([["book"], [], null, 0]);
  expect(await contexts.append("book", "more")).toBe("");
  expect([opened, said]).toEqual([["book"], [["book is read", "book"]]]);
  expect(state().entries.map((entry) => entry.name)).toEqual(["book"]);
});

test("reading stops when asked to, and goes on with the same text", async () => {
  const texts: string[] = [];
  let stops = true;
  const { contexts, state, said } = make((_, init) => {
    texts.push((JSON.parse(String(init?.body)) as { text: string }).text);
    return stops ? hanging(sse(progress(4)), init) : new Response(sse({ context: book }) + "data: [DONE]\n\n");
  });
  const reading = contexts.create("book", "text");
  await until(() => state().writing.get("book")?.prefill?.processed === 4);
  contexts.stop("book");
  expect(await reading).toBe("");
  expect(state().writing.get("book")?.halted).toBe("Stopped");
  stops = false;
  await contexts.resume("book");
  expect(texts).toEqual(["text", "text"]);
  expect(state().writing.size).toBe(0);
  expect(said).toEqual([["book is read", "book"]]);
});

test("what the server refuses at once is returned with what to do, and forgotten", async () => {
  const { contexts, state } = make(() => failing(409, "context book exists"));
  expect(await contexts.create("book", "text")).toBe("There is a context book already. Choose another name, or delete that one first.");
  expect(state().writing.size).toBe(0);
});

test("a context that is being written is tried again for a while", async () => {
  let busy = 2;
  const { contexts, asked } = make(() => (busy-- > 0 ? failing(409, "context book is being written by process 7") : new Response(sse({ context: book }) + "data: [DONE]\n\n")));
  expect(await contexts.create("book", "text")).toBe("");
  expect(asked.filter((line) => line.startsWith("POST")).length).toBe(3);
});

test("what is added is parted by a blank line from what is there", async () => {
  let text = "";
  const { contexts } = make((_, init) => {
    ({ text } = JSON.parse(String(init?.body)) as { text: string });
    return new Response(sse({ context: book }) + "data: [DONE]\n\n");
  });
  await contexts.append("book", "More.");
  expect(text).toBe("\n\nMore.");
});

test("what fails midway can be taken up again", async () => {
  const { contexts, state, said } = make(() => new Response(sse(progress(3), { error: { message: "the disk is full" } })));
  expect(await contexts.create("book", "text")).toBe("");
  expect(state().writing.get("book")?.halted).toBe("the disk is full");
  expect(said).toEqual([["book: the disk is full", undefined]]);
});

test("what was interrupted before is finished as it was begun", async () => {
  const { contexts, asked } = make((path) => (path.endsWith("/append") ? new Response(sse({ context: book }) + "data: [DONE]\n\n") : failing(409, "exists")));
  expect(await contexts.finish("book", "text")).toBe("");
  expect(asked.filter((line) => line.startsWith("POST"))).toEqual(["POST /v1/contexts", "POST /v1/contexts/book/append"]);
});

test.each([
  [413, "larger than the server takes"],
  [503, "busy Try again in a moment."],
  [404, "no context book any more"],
  [400, "busy"],
])("says what can be done after %i", async (status, words) => {
  const { contexts } = make(() => failing(status, "busy"));
  await expect(contexts.verify("book")).rejects.toThrow(words);
});

test("a deleted context is gone from the list, and a key is asked for where one is needed", async () => {
  const list: object[] = [book];
  const { contexts, state, keys } = make((_, init) => {
    if (init?.method === "DELETE") list.length = 0;
    return init?.method === "DELETE" ? new Response("{}") : failing(401, "no API key");
  }, list);
  await contexts.refresh();
  expect(state().entries.length).toBe(1);
  await contexts.remove("book");
  expect(state().entries).toEqual([]);
  await expect(contexts.fork("book", "other", 5)).rejects.toThrow("asks for a key");
  expect(keys()).toBe(1);
});

test("a server that does not answer leaves what was known", async () => {
  const { contexts, state } = make(() => failing(500, "x"), [book]);
  await contexts.refresh();
  const broken = new ContextsController({ send: () => Promise.reject(new TypeError("network")), now: () => 0, say: () => undefined, open: () => undefined, askKey: () => undefined });
  await broken.refresh();
  expect(broken.state.value.available).toBe("unknown");
  expect(await broken.create("a", "b")).toMatch(/cannot be reached/);
  expect(state().available).toBe("on");
});
