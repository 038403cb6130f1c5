import { expect, test } from "vitest";
import type { ContextInfo } from "../../src/api/contexts";
import { isContextName, noContexts, obstacle, suggestName, type Contexts } from "../../src/store/contexts";

const info = (name: string, change: Partial<ContextInfo> = {}): ContextInfo =>
  ({ name, tokens: 10, bytes: 1, complete: true, checkpoints: [], kvDtype: "", stateFormat: "", backend: "", problem: "", ...change });
const holding = (...entries: ContextInfo[]): Contexts => ({ available: "on", entries, writing: new Map() });
const writing = (name: string, halted: string | null): Contexts =>
  ({ ...holding(), writing: new Map([[name, { name, kind: "create", text: "", startedAt: 0, prefill: null, halted }]]) });

test("names are what the server takes", () => {
  expect(["a", "A-1_b.c", "-", "__proto__", "x".repeat(100)].every(isContextName)).toBe(true);
  expect(["", ".a", "a b", "ä", "a/b", "<b>", "x".repeat(101)].some(isContextName)).toBe(false);
});

test.each([
  ["Anna Karénina.txt", "Anna-Karenina"],
  ["war.and.peace.md", "war.and.peace"],
  ["<img src=x onerror=hit()>", "img-src-x-onerror-hit"],
  ["книга", "context"],
  ["..", "context"],
  ["x".repeat(300), "x".repeat(60)],
])("a name is made of %j", (title, name) => {
  expect(suggestName(title, noContexts)).toBe(name);
  expect(isContextName(name)).toBe(true);
});

test("names that are taken are left alone", () => {
  expect(suggestName("book.txt", holding(info("book"), info("book-2")))).toBe("book-3");
  expect(suggestName("book.txt", writing("book", null))).toBe("book-2");
});

test("tells why nothing can be asked", () => {
  expect(obstacle("a", noContexts, 100)).toBe("");
  expect(obstacle("a", { ...noContexts, available: "off" }, 100)).toMatch(/keeps none/);
  expect(obstacle("a", holding(info("b")), 100)).toMatch(/no context a/);
  expect(obstacle("a", holding(info("a")), 100)).toBe("");
  expect(obstacle("a", holding(info("a", { problem: "gone" })), 100)).toMatch(/damaged/);
  expect(obstacle("a", holding(info("a", { complete: false })), 100)).toMatch(/not read to its end/);
  expect(obstacle("a", holding(info("a", { tokens: 1000 })), 1000)).toBe("a has 1,000 tokens; this server has room for 1,000.");
  expect(obstacle("a", writing("a", null), 100)).toMatch(/being read/);
});
