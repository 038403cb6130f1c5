import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer, type Server } from "./server.ts";

let server: Server;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const page = readFileSync(new URL("../../docs/server.md", import.meta.url), "utf8");
const section = /^## Clients\n(.*?)(?=^## )/ms.exec(page)?.[1] ?? "";
const programs = [...section.matchAll(/^```js\n(.*?)^```/gms)].map((match) => match[1] ?? "");
/** By the package that they show. */
const examples = programs.map((program) => [/ from "([^"]+)"/.exec(program)?.[1], program] as const);
const address = "http://127.0.0.1:8080";

describe("docs/server.md", () => {
  it("has an example for each client", () => {
    const clients = ["openai", "@anthropic-ai/sdk", "@ai-sdk/openai-compatible", "@langchain/openai"];
    expect(examples.map(([name]) => name)).toEqual(clients);
  });

  it.each(examples)("shows what works: %s", async (_, example) => {
    expect(example).toContain(address);
    const program = example.replaceAll(address, server.url);
    const cwd = new URL(".", import.meta.url);
    const run = promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], { cwd });
    expect((await run).stdout.trim()).not.toBe("");
  });
});
