import { expect, test } from "vitest";
import { requestMessages, titleOf } from "../../src/store/prompt";

const message = { id: "u", parent: null, role: "user", text: "What?" } as const;

test("documents come before the question, as contexts are written", () => {
  const documents = [{ name: "a", text: "One.", tokens: 1 }, { name: "b", text: "Two.", tokens: 1 }];
  expect(requestMessages("", [{ ...message, documents }])).toEqual([{ role: "user", content: "One.\n\nTwo.\n\nWhat?" }]);
  expect(requestMessages("", [{ ...message, text: "", documents }])[0]?.content).toBe("One.\n\nTwo.");
});

test("a system prompt comes first, an empty one not at all", () => {
  expect(requestMessages("Be kind.", [message]).map((m) => m.role)).toEqual(["system", "user"]);
  expect(requestMessages(" \n", [message]).map((m) => m.role)).toEqual(["user"]);
});

test("a title is how the question begins, or the document's name", () => {
  expect(titleOf("  First line\nsecond", [])).toBe("First line");
  expect(titleOf("", ["book.txt"])).toBe("book.txt");
  expect(titleOf("x".repeat(60), [])).toBe(`${"x".repeat(47)}…`);
});
