import { expect, test } from "vitest";
import { emptyTree } from "../../src/store/tree";
import { groupByAge } from "../../src/ui/groups";

test("groups by days, in order, without empty ones", () => {
  const now = new Date(2026, 4, 20, 12).getTime();
  const hours = (n: number) => ({ id: String(n), title: "", system: "", tree: emptyTree, updated: now - n * 3_600_000 });
  const groups = groupByAge([hours(0), hours(11), hours(13), hours(60), hours(1000)], now);
  expect(groups.map((g) => [g.name, g.chats.map((c) => c.id)])).toEqual([
    ["Today", ["0", "11"]],
    ["Yesterday", ["13"]],
    ["This week", ["60"]],
    ["Earlier", ["1000"]],
  ]);
});
