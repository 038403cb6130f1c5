import { afterEach, expect } from "vitest";
import { takeChecks } from "./checked_fetch.ts";

// Whatever a test is about: all that the server answered in it fits its schemas.
afterEach(() => {
  expect(takeChecks().problems).toEqual([]);
});
