import { expect, test } from "vitest";
import { advance, timeLeft } from "../../src/store/prefill";

test("the time left follows from what was read since the first report", () => {
  // 400 of 1,000 came from the cache; then 100 tokens in 50 ms.
  const first = advance(null, 400, 1000, 10);
  expect(timeLeft(first)).toBeNull();
  expect(timeLeft(advance(first, 500, 1000, 60))).toBe(250);
  expect(timeLeft(advance(first, 1000, 1000, 310))).toBe(0);
});

test("no time is told while nothing has been read", () => {
  expect(timeLeft(advance(advance(null, 0, 10, 5), 0, 10, 90))).toBeNull();
});
