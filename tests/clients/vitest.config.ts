import { defineConfig } from "vitest/config";

// One file at a time: servers and clients together fill a small machine.
export default defineConfig({
  test: {
    include: ["*.test.ts"],
    setupFiles: ["setup.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
