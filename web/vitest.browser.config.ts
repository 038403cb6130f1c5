import { defineConfig } from "vitest/config";

// The page in a browser, served by the real program (MINIMAX_PROGRAM): slow, one file at a time.
export default defineConfig({
  test: { include: ["browser/**/*.test.ts"], fileParallelism: false, testTimeout: 240_000, hookTimeout: 240_000 },
});
