import { File } from "node:buffer";
import { expect, test } from "vitest";
import { Controller } from "../src/controller";
import { defaultSettings } from "../src/store/settings";
import type { Chat, ChatStorage } from "../src/store/storage";
import { path } from "../src/store/tree";

class Memory implements ChatStorage {
  readonly chats = new Map<string, Chat>();
  all = async () => [...this.chats.values()];
  put = async (chat: Chat) => void this.chats.set(chat.id, chat);
  remove = async (id: string) => void this.chats.delete(id);
}

const sse = (...chunks: object[]) => chunks.map((c) => `data: ${JSON.stringify(c)}\n\n`).join("");
const text = (content: string) => ({ choices: [{ delta: { content }, finish_reason: null }] });
const usage = { choices: [], usage: { prompt_tokens: 9, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4, replayed_tokens: 1 } } };

/** Node's, whose type is not quite a browser's. */
const file = (content: string | Uint8Array, name: string) => new File([content], name) as unknown as globalThis.File;

/** A controller over a server that answers "answer 1", "answer 2", …, and what it was asked. */
function make(send?: typeof fetch) {
  const storage = new Memory();
  const bodies: { context?: string; messages: { role: string; content: string }[] }[] = [];
  let id = 0;
  let now = 0;
  const answer: typeof fetch = async (_, init) => {
    bodies.push(JSON.parse(String(init?.body)));
    return new Response(sse(text("answer "), text(String(bodies.length)), usage) + "data: [DONE]\n\n");
  };
  const controller = new Controller(
    { storage, send: send ?? answer, now: () => ++now, newId: () => String(++id), saveSettings: () => undefined },
    defaultSettings,
  );
  const shown = () => path(controller.current!.tree).map((m) => m.text);
  return { controller, storage, bodies, shown };
}

test("asks, keeps the answer with its cost, and saves both", async () => {
  const { controller, storage, bodies, shown } = make();
  await controller.submit("Hello", []);
  expect(shown()).toEqual(["Hello", "answer 1"]);
  expect(path(controller.current!.tree)[1]?.stats).toMatchObject({ prompt: 9, cached: 4, replayed: 1, completion: 2 });
  expect(controller.state.value.running).toEqual({});
  expect([...storage.chats.values()]).toEqual([controller.current]);
  await controller.submit("More", []);
  expect(bodies[1]?.messages.map((m) => m.content)).toEqual(["Hello", "answer 1", "More"]);
});

test("edits and repeats make branches, and the request holds the branch alone", async () => {
  const { controller, bodies, shown } = make();
  await controller.submit("one", []);
  await controller.submit("two", []);
  const [first, answer] = path(controller.current!.tree);
  await controller.regenerate(answer!.id);
  expect(shown()).toEqual(["one", "answer 3"]);
  expect(bodies[2]?.messages.map((m) => m.content)).toEqual(["one"]);
  await controller.edit(first!.id, "uno");
  expect(shown()).toEqual(["uno", "answer 4"]);
  controller.showBranch(answer!.id);
  expect(shown()).toEqual(["one", "answer 1", "two", "answer 2"]);
});

test("an answer that is stopped keeps its text", async () => {
  const send: typeof fetch = async (_, init) => {
    const stream = new ReadableStream<Uint8Array>({
      start(sink) {
        sink.enqueue(new TextEncoder().encode(sse(text("begun"))));
        init?.signal?.addEventListener("abort", () => sink.error(new DOMException("", "AbortError")));
      },
    });
    return new Response(stream);
  };
  const { controller, shown, storage } = make(send);
  const done = controller.submit("Hello", []);
  while (shown()[1] !== "begun") await new Promise((resolve) => setTimeout(resolve, 1));
  controller.stop();
  await done;
  expect(shown()).toEqual(["Hello", "begun"]);
  expect(path([...storage.chats.values()][0]!.tree)[1]?.note).toBe("Stopped");
});

test("what the server refuses is noted on the answer; 401 asks for a key", async () => {
  const { controller } = make(async () => new Response('{"error":{"message":"no API key"}}', { status: 401 }));
  await controller.submit("Hello", []);
  expect(path(controller.current!.tree)[1]?.note).toBe("no API key");
  expect(controller.state.value.needsKey).toBe(true);
});

test("a deleted conversation can be brought back", async () => {
  const { controller, storage, shown } = make();
  await controller.submit("Hello", []);
  controller.remove(controller.current!.id);
  expect(controller.current).toBeUndefined();
  expect(storage.chats.size).toBe(0);
  controller.state.value.toast?.action?.run();
  expect(shown()).toEqual(["Hello", "answer 1"]);
  expect(storage.chats.size).toBe(1);
});

test("a conversation about a context names it, and sends no system prompt", async () => {
  const { controller, storage, bodies } = make();
  controller.openContext("book");
  controller.setSystem("Be kind.");
  expect(controller.context).toBe("book");
  await controller.submit("Who?", []);
  await controller.submit("And then?", []);
  expect(bodies.map((body) => [body.context, body.messages[0]?.role])).toEqual([["book", "user"], ["book", "user"]]);
  expect([...storage.chats.values()][0]?.context).toBe("book");

  // The next one is about nothing again.
  controller.open(null);
  expect(controller.context).toBeNull();
  await controller.submit("Hello", []);
  expect("context" in bodies[2]!).toBe(false);
});

test("a conversation can go on without its context, with its system prompt", async () => {
  const { controller, storage, bodies } = make();
  controller.openContext("book");
  controller.setSystem("Be kind.");
  await controller.submit("Who?", []);
  controller.leaveContext();
  await controller.submit("And then?", []);
  expect(bodies[1]?.context).toBeUndefined();
  expect(bodies[1]?.messages.map((m) => m.role)).toEqual(["system", "user", "assistant", "user"]);
  expect("context" in [...storage.chats.values()][0]!).toBe(false);
});

test("conversations come back, newest first; a browser without storage says so", async () => {
  const { controller, storage } = make();
  const chat = (id: string, updated: number): Chat => ({ id, updated, title: id, system: "", tree: { messages: [], leaf: null } });
  storage.chats.set("old", chat("old", 1)).set("new", chat("new", 2));
  await controller.load();
  expect(controller.state.value.chats.map((c) => c.id)).toEqual(["new", "old"]);

  const broken = make();
  broken.storage.all = () => Promise.reject(new Error("private window"));
  await broken.controller.load();
  expect(broken.controller.state.value.toast?.text).toMatch(/keeps no conversations/);
});

test("documents are counted by the server; what is no text is refused", async () => {
  const { controller } = make(async () => new Response('{"tokens":[1,2,3]}'));
  expect(await controller.readDocument(file("abc", "a.txt"))).toEqual({ name: "a.txt", text: "abc", tokens: 3 });
  await expect(controller.readDocument(file(new Uint8Array([255, 65]), "b.bin"))).rejects.toThrow("b.bin is not a text file");
  await expect(controller.readDocument(file("a\0b", "d.bin"))).rejects.toThrow("d.bin is not a text file");
  await expect(controller.readDocument(file(" \n", "c.txt"))).rejects.toThrow("c.txt is empty");
});

test("the key goes with each request, and /props tells of the server", async () => {
  const seen: (string | null)[] = [];
  const { controller } = make(async (_, init) => {
    seen.push(new Headers(init?.headers).get("Authorization"));
    return new Response(JSON.stringify({ model: "mini", backend: "cpu", context_length: 64, default_generation_settings: { top_k: 40 } }));
  });
  controller.set({ key: "secret" });
  await controller.connect();
  expect(seen).toEqual(["Bearer secret", "Bearer secret"]);
  expect(controller.state.value.server).toEqual({ model: "mini", backend: "cpu", contextLength: 64, defaults: { top_k: 40 } });
});
