import { expect, test } from "vitest";
import { lastStats, usedTokens } from "../../src/store/fill";
import { add, emptyTree, type Stats } from "../../src/store/tree";

const stats = (prompt: number): Stats => ({ prompt, cached: 0, replayed: 0, completion: 5, prefillMs: 1, decodeMs: 1 });
const context = { name: "a", tokens: 70, bytes: 1, complete: true, checkpoints: [], kvDtype: "", stateFormat: "", backend: "", problem: "" };
const chat = { id: "1", title: "", system: "", updated: 0 };

test("a conversation holds what its last answer on this branch had, or else its context", () => {
  let tree = add(emptyTree, { id: "u", parent: null, role: "user", text: "" });
  expect(usedTokens({ ...chat, tree }, undefined)).toBe(0);
  expect(usedTokens({ ...chat, tree }, context)).toBe(70);
  tree = add(tree, { id: "a", parent: "u", role: "assistant", text: "", stats: stats(80) });
  tree = add(tree, { id: "b", parent: "u", role: "assistant", text: "", stats: stats(90) });
  expect(usedTokens({ ...chat, tree }, context)).toBe(95);
  expect(lastStats({ ...chat, tree: { ...tree, leaf: "a" } })).toEqual(stats(80));
  expect(usedTokens(undefined, context)).toBe(70);
});
