import { expect, test } from "vitest";
import { add, append, emptyTree, path, show, siblings, type Tree } from "../../src/store/tree";

function branched(): Tree {
  let tree = add(emptyTree, { id: "u1", parent: null, role: "user", text: "one" });
  tree = add(tree, { id: "a1", parent: "u1", role: "assistant", text: "first" });
  tree = add(tree, { id: "u2", parent: "a1", role: "user", text: "two" });
  return add(tree, { id: "a2", parent: "u1", role: "assistant", text: "" });
}

const ids = (tree: Tree) => path(tree).map((m) => m.id);

test("regenerating shows the new answer and keeps the old branch", () => {
  expect(ids(branched())).toEqual(["u1", "a2"]);
  expect(ids(show(branched(), "a1"))).toEqual(["u1", "a1", "u2"]);
  expect(siblings(branched(), "a1").map((m) => m.id)).toEqual(["a1", "a2"]);
});

test("streamed text goes to its message alone and leaves the old tree as it was", () => {
  const before = branched();
  const after = append(append(before, "a2", "se"), "a2", "cond");
  expect(path(after)[1]?.text).toBe("second");
  expect(path(before)[1]?.text).toBe("");
  expect(path(show(after, "a1"))[1]?.text).toBe("first");
});

test("reasoning is kept beside the text", () => {
  const after = append(append(branched(), "a2", "hm", "reasoning"), "a2", "so");
  expect(path(after)[1]).toMatchObject({ text: "so", reasoning: "hm" });
});

test("refuses used ids and unknown parents", () => {
  const message = { id: "u1", parent: null, role: "user", text: "" } as const;
  expect(() => add(branched(), message)).toThrow("exists");
  expect(() => add(emptyTree, { ...message, parent: "gone" })).toThrow("no message gone");
});
