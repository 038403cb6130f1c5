import { expect, test } from "vitest";
import { bytes, duration, rate } from "../src/format";

test("durations in one unit or two", () => {
  expect([9, 999, 1500, 12_400, 61_000, 3_720_000].map(duration)).toEqual(["9 ms", "999 ms", "1.5 s", "12 s", "1 min 1 s", "1 h 2 min"]);
});

test("rates have no more digits than sense", () => {
  expect(rate(1234, 1000)).toBe("1,234 tokens/s");
  expect(rate(5, 400)).toBe("12.5 tokens/s");
  expect(rate(13, 1)).toBe("");
});

test("sizes in the unit that suits them", () => {
  expect([0, 999, 1000, 2_199_104, 51_460_480, 999_960_000, 1e12].map(bytes)).toEqual(["0 bytes", "999 bytes", "1.0 kB", "2.2 MB", "51.5 MB", "1.0 GB", "1.0 TB"]);
});
