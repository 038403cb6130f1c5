import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { answered, ask, launch, neverEnding, openPage, type Watched } from "./page";
import { startServer, type Server } from "./server";

let server: Server;
let browser: Browser;
let watched: Watched;

beforeAll(async () => {
  server = await startServer("-c", "8192");
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});
beforeEach(async () => {
  watched = await openPage(browser, server.url);
});
afterEach(async () => {
  expect(watched.faults).toEqual([]);
  await watched.context.close();
});

test("a first question is answered, and the answer's cost is shown", async () => {
  const { page } = watched;
  await ask(page, "Tell me a story about a dog.");
  await answered(page, 1);
  expect((await page.locator(".answer .prose").innerText()).length).toBeGreaterThan(20);
  expect(await page.locator(".answer .cost").innerText()).toMatch(/\d+ tokens · [\d.,]+ tokens\/s · first after/);
  expect(await page.getByRole("group", { name: "Context" }).innerText()).toMatch(/of 8,192 tokens/);
  expect(await page.locator("input.title").inputValue()).toBe("Tell me a story about a dog.");
});

test("an answer stops when asked to, keeps its text and can be followed", async () => {
  const { page } = watched;
  await neverEnding(page);
  await ask(page, "Tell me a story.");
  await page.locator(".answer .prose p").first().waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("Stopped", { exact: true }).waitFor();
  const text = await page.locator(".answer .prose").innerText();
  expect(text.length).toBeGreaterThan(0);
  await page.unrouteAll();
  await ask(page, "Tell me another one.");
  await answered(page, 2);
});

test("an edited question and a repeated answer keep what was there", async () => {
  const { page } = watched;
  await ask(page, "Tell me a story about a dog.");
  await answered(page, 1);
  const first = await page.locator(".answer .prose").innerText();

  await page.getByRole("button", { name: "Answer again" }).click();
  await page.getByLabel("Alternative 2 of 2").waitFor();
  await page.getByRole("button", { name: "Earlier alternative" }).click();
  await page.getByLabel("Alternative 1 of 2").waitFor();
  expect(await page.locator(".answer .prose").innerText()).toBe(first);

  await page.locator(".question").hover();
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Edit the message").fill("Tell me a story about a cat.");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  await page.locator(".question").getByLabel("Alternative 2 of 2").waitFor();
  await answered(page, 1);
  expect(await page.locator(".bubble").innerText()).toBe("Tell me a story about a cat.");
  await page.locator(".question").hover();
  await page.locator(".question").getByRole("button", { name: "Earlier alternative" }).click();
  await page.locator(".question").getByLabel("Alternative 1 of 2").waitFor();
  expect(await page.locator(".bubble").innerText()).toBe("Tell me a story about a dog.");
});

test("conversations survive a reload, can be deleted and brought back", async () => {
  const { page } = watched;
  await ask(page, "Tell me a story about a bird.");
  await answered(page, 1);
  const text = await page.locator(".answer .prose").innerText();
  await page.reload();
  await page.getByRole("navigation").getByRole("button", { name: "Tell me a story about a bird.", exact: true }).click();
  expect(await page.locator(".answer .prose").innerText()).toBe(text);

  await page.getByRole("button", { name: /^Delete/ }).click();
  await page.locator(".item").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Undo" }).click();
  expect(await page.locator(".answer .prose").innerText()).toBe(text);
});

test("an exported conversation can be imported elsewhere", async () => {
  const { page } = watched;
  await ask(page, "Tell me a story about a fish.");
  await answered(page, 1);
  const text = await page.locator(".answer .prose").innerText();
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: /^Export/ }).click();
  const file = await (await download).path();

  const other = await openPage(browser, server.url);
  await other.page.getByLabel("Exported conversations").setInputFiles(file);
  expect(await other.page.locator(".answer .prose").innerText()).toBe(text);
  expect(other.faults).toEqual([]);
  await other.context.close();
});

test("what is being typed into a field outlasts an answer that is written meanwhile", async () => {
  const { page } = watched;
  await neverEnding(page);
  await ask(page, "Tell me a story.");
  await page.locator(".answer .prose p").first().waitFor();
  await page.getByLabel("Name of the conversation").fill("Another name");
  const text = await page.locator(".answer .prose").innerText();
  await expect.poll(() => page.locator(".answer .prose").innerText(), { timeout: 30_000 }).not.toBe(text);
  await page.keyboard.press("Enter");
  await page.getByRole("navigation").getByText("Another name", { exact: true }).waitFor();
});

test("the system prompt and the sampling go with the request", async () => {
  const { page } = watched;
  await page.getByRole("button", { name: "System prompt and sampling" }).click();
  await page.getByLabel("System prompt", { exact: false }).and(page.locator("textarea")).fill("Speak like a pirate.");
  await page.getByLabel("Temperature", { exact: true }).fill("0.25");
  await page.getByLabel("Longest answer", { exact: true }).fill("5");
  await page.keyboard.press("Tab");
  const sent = page.waitForRequest("**/v1/chat/completions");
  await ask(page, "Tell me a story.");
  expect((await sent).postDataJSON()).toMatchObject({
    temperature: 0.25,
    max_tokens: 5,
    messages: [{ role: "system", content: "Speak like a pirate." }, { role: "user", content: "Tell me a story." }],
  });
  await page.getByText("Ended at the limit of tokens").waitFor();
});

test("a server without contexts tells how it comes to have them", async () => {
  const { page } = watched;
  await page.getByRole("button", { name: "New context" }).click();
  await page.getByRole("dialog").getByText("--context-dir").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
});
