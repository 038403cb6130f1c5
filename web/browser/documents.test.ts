import { readFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answered, ask, launch, openPage, shortAnswers } from "./page";
import { startServer, type Server } from "./server";

const heldout = readFileSync(new URL("../../tests/data/heldout.txt", import.meta.url), "utf8");

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await startServer("-c", "65536");
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Plain text of at least this many bytes, of which no two parts begin alike. */
function longText(bytes: number): string {
  let text = "";
  for (let part = 1; text.length < bytes; ++part) text += `Part ${part}. ${heldout}\n`;
  return text;
}

test("a long text is counted, read with progress, and not read again", async () => {
  const { page, context, faults } = await openPage(browser, server.url);
  await shortAnswers(page, 24);
  const text = longText(60_000);
  await page.getByLabel("Text files").setInputFiles({ name: "long.txt", mimeType: "text/plain", buffer: Buffer.from(text) });
  const chip = await page.locator(".composer .chip small").innerText();
  const tokens = Number(/([\d,]+) tokens/.exec(chip)?.[1]?.replaceAll(",", ""));
  expect(tokens).toBeGreaterThan(12_000);

  // What the bar shows is gathered in the page: a look from here might miss it.
  await page.evaluate(() => {
    const seen: { value: number; words: string }[] = [];
    Object.assign(window, { seen });
    new MutationObserver(() => {
      const bar = document.querySelector("progress");
      if (bar) seen.push({ value: bar.value, words: document.querySelector(".reading")?.textContent ?? "" });
    }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  });
  await ask(page, "What is this about?");
  await answered(page, 1);
  const seen = await page.evaluate(() => (window as unknown as { seen: { value: number; words: string }[] }).seen);
  const values = seen.map((s) => s.value);
  expect(values.length).toBeGreaterThan(2);
  expect(values).toEqual([...values].sort((a, b) => a - b));
  expect(seen.some((s) => /about .* left/.test(s.words))).toBe(true);

  await ask(page, "And how does it end?");
  await answered(page, 2);
  const meter = await page.getByRole("group", { name: "Context" }).innerText();
  const cached = Number(/([\d,]+) cached/.exec(meter)?.[1]?.replaceAll(",", ""));
  expect(cached).toBeGreaterThan(0.95 * tokens);
  expect(meter).toMatch(/replayed/);
  expect(meter).toMatch(/computed/);
  expect(faults).toEqual([]);
  await context.close();
});

test("reading a prompt can be stopped", async () => {
  const { page, context, faults } = await openPage(browser, server.url);
  const text = `Another beginning. ${longText(120_000)}`;
  await page.getByLabel("Text files").setInputFiles({ name: "b.txt", mimeType: "text/plain", buffer: Buffer.from(text) });
  await page.locator(".composer .chip small").waitFor();
  await ask(page, "What is this about?");
  await page.locator("progress").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped", { exact: true }).waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

test("a text that does not fit and a file that is no text are refused", async () => {
  const { page, context, faults } = await openPage(browser, server.url);
  const files = page.getByLabel("Text files");
  await files.setInputFiles({ name: "a.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0, 1, 2]) });
  await page.getByText("a.bin is not a text file.").waitFor();
  await files.setInputFiles({ name: "huge.txt", mimeType: "text/plain", buffer: Buffer.from(longText(700_000)) });
  await page.getByText("the context holds 65,536").waitFor();
  expect(await page.getByRole("button", { name: "Send" }).isDisabled()).toBe(true);
  await page.getByRole("button", { name: "Remove huge.txt" }).click();
  expect(faults).toEqual([]);
  await context.close();
});

test("a file that is dropped on the page is attached", async () => {
  const { page, context, faults } = await openPage(browser, server.url);
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["A short text."], "dropped.txt", { type: "text/plain" }));
    return transfer;
  });
  await page.dispatchEvent("main", "dragover", { dataTransfer: data });
  await page.getByText("Drop text files").waitFor();
  await page.dispatchEvent("main", "drop", { dataTransfer: data });
  await page.locator(".composer .chip").getByText("dropped.txt").waitFor();
  expect(faults).toEqual([]);
  await context.close();
});
