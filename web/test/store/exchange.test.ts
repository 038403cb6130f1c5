import { expect, test } from "vitest";
import { exportConversation, importConversation } from "../../src/store/exchange";
import { add, emptyTree } from "../../src/store/tree";

const tree = add(add(emptyTree, { id: "u", parent: null, role: "user", text: "ü" }),
  { id: "a", parent: "u", role: "assistant", text: "b" });
const conversation = { title: "T", system: "S", tree };

test("comes back as it went", () => {
  expect(importConversation(exportConversation(conversation))).toEqual(conversation);
});

test.each([
  ["{", "not JSON"],
  ["[]", "file"],
  ["{}", "not an exported"],
  [exportConversation(conversation).replace('"role": "user"', '"role": "root"'), "role"],
  [exportConversation(conversation).replace('"parent": "u"', '"parent": "x"'), "no message x"],
  [exportConversation(conversation).replace('"leaf": "a"', '"leaf": "x"'), "no message x"],
])("refuses %#", (text, message) => {
  expect(() => importConversation(text)).toThrow(message);
});
