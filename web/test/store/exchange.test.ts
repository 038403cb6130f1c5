import { expect, test } from "vitest";
import { exportConversation, importConversation } from "../../src/store/exchange";
import { add, emptyTree } from "../../src/store/tree";

const tree = add(add(emptyTree, { id: "u", parent: null, role: "user", text: "ü",
    documents: [{ name: "a.txt", text: "long", tokens: 2 }] }),
  { id: "a", parent: "u", role: "assistant", text: "b", reasoning: "hm", note: "Stopped." });
const conversation = { title: "T", system: "S", tree };

test("comes back as it went", () => {
  expect(importConversation(exportConversation(conversation))).toEqual(conversation);
});

test("a conversation about a context says which", () => {
  const bound = { ...conversation, context: "war-and-peace" };
  expect(importConversation(exportConversation(bound))).toEqual(bound);
  expect("context" in importConversation(exportConversation(conversation))).toBe(false);
});

test.each([
  ["{", "not JSON"],
  ["[]", "file"],
  ["{}", "not an exported"],
  [exportConversation({ ...conversation, context: "a" }).replace('"context": "a"', '"context": {}'), "context"],
  [exportConversation(conversation).replace('"role": "user"', '"role": "root"'), "role"],
  [exportConversation(conversation).replace('"parent": "u"', '"parent": "x"'), "no message x"],
  [exportConversation(conversation).replace('"tokens": 2', '"tokens": "2"'), "tokens"],
  [exportConversation(conversation).replace('"leaf": "a"', '"leaf": "x"'), "no message x"],
])("refuses %#", (text, message) => {
  expect(() => importConversation(text)).toThrow(message);
});
