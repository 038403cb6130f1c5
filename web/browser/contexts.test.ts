import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { findings } from "./axe";
import { answered, ask, launch, openPage, shortAnswers, type Watched } from "./page";
import { startServer, type Server } from "./server";

const heldout = readFileSync(new URL("../../tests/data/heldout.txt", import.meta.url), "utf8");

let folder: string;
let server: Server;
let browser: Browser;
let watched: Watched;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "minimax-contexts-"));
  server = await startServer("-c", "16384", "--context-dir", folder);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  watched = await openPage(browser, server.url);
  await shortAnswers(watched.page, 16);
});
afterEach(async () => {
  expect(watched.faults).toEqual([]);
  await watched.context.close();
});

const item = (page: Page, name: string) => page.locator(".contexts .item").filter({ has: page.getByText(name, { exact: true }) });
const chip = (page: Page, name: string) => page.getByRole("button", { name: `Context ${name}`, exact: true });

/** Fills in the dialog and begins to read. */
async function read(page: Page, name: string, text: string): Promise<void> {
  await page.getByRole("button", { name: "New context" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Text files of the context").setInputFiles({ name: `${name}.txt`, mimeType: "text/plain", buffer: Buffer.from(text) });
  await dialog.locator(".chip small").waitFor();
  expect(await dialog.getByLabel("Name").inputValue()).toBe(name);
  await dialog.getByRole("button", { name: "Read", exact: true }).click();
}

async function details(page: Page, name: string): Promise<void> {
  await item(page, name).hover();
  await page.getByRole("button", { name: `Details of ${name}`, exact: true }).click();
}

test("a text that was read once is not read again, in any conversation and after a reload", async () => {
  const { page } = watched;
  await read(page, "book", heldout);
  await page.getByRole("heading", { name: "Ask about book" }).waitFor();
  const tokens = Number(/([\d,]+) tokens/.exec(await item(page, "book").innerText())?.[1]?.replaceAll(",", ""));
  expect(tokens).toBeGreaterThan(4000);

  await ask(page, "Who is this about?");
  await answered(page, 1);
  const meter = await page.getByRole("group", { name: "Context" }).innerText();
  const counted = (word: string) => Number(new RegExp(`([\\d,]+) ${word}`).exec(meter)?.[1]?.replaceAll(",", ""));
  expect(counted("cached") + counted("replayed")).toBeGreaterThanOrEqual(tokens - 1);
  expect(counted("computed")).toBeLessThan(100);

  await page.reload();
  await page.getByRole("navigation").getByRole("button", { name: "Who is this about?", exact: true }).click();
  await chip(page, "book").waitFor();
  await page.getByRole("button", { name: "System prompt and sampling" }).click();
  expect(await page.getByLabel("System prompt", { exact: false }).and(page.locator("textarea")).isDisabled()).toBe(true);
  await ask(page, "And then?");
  await answered(page, 2);
  // The test's own limit; anything else would be the server's reason to refuse.
  for (const note of await page.locator(".note").allInnerTexts()) expect(note).toBe("Ended at the limit of tokens");
});

test("reading shows its progress, stops when asked to and goes on from there", async () => {
  const { page } = watched;
  await read(page, "long", `${heldout}\n${heldout}`);
  const bar = page.getByRole("dialog").getByRole("progressbar");
  await expect.poll(() => bar.evaluate((element: HTMLProgressElement) => element.value), { timeout: 30_000 }).toBeGreaterThan(0);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").getByText("Reading goes on from there.").or(page.getByRole("dialog").getByText("Nothing is kept yet.")).waitFor();
  await page.getByRole("button", { name: "Go on" }).click();
  await bar.waitFor();
  await page.getByRole("button", { name: "Read in the background" }).click();
  await page.getByText("long is read").waitFor();
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.getByRole("heading", { name: "Ask about long" }).waitFor();
});

test("contexts are forked, verified and deleted; conversations about them say so", async () => {
  const { page } = watched;
  await read(page, "notes", heldout.slice(0, 4000));
  await page.getByRole("heading", { name: "Ask about notes" }).waitFor();

  await details(page, "notes");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Fork" }).click();
  await dialog.getByLabel("Name of the fork").fill("part");
  await dialog.getByLabel("First tokens").fill("100");
  await dialog.getByRole("button", { name: "Fork" }).last().click();
  await dialog.getByRole("heading", { name: "part" }).waitFor();
  expect(await dialog.locator(".facts").innerText()).toMatch(/Tokens\s+100/);
  await dialog.getByRole("button", { name: "Verify" }).click();
  await dialog.getByText("Every byte is as it was written.").waitFor();
  await dialog.getByRole("button", { name: "Ask", exact: true }).click();
  await dialog.waitFor({ state: "detached" });
  await ask(page, "Who?");
  await answered(page, 1);

  await chip(page, "part").click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await dialog.getByText("A conversation of this browser").waitFor();
  await dialog.getByRole("button", { name: "Delete part" }).click();
  await page.getByText("part is deleted").waitFor();
  await item(page, "part").waitFor({ state: "detached" });
  await page.getByRole("alert").getByText("There is no context part on this server.").waitFor();
  await chip(page, "part").click();
  await dialog.getByRole("button", { name: "Go on without it" }).click();
  await dialog.waitFor({ state: "detached" });
  await ask(page, "And then?");
  await answered(page, 2);
});

test("names of contexts and reasons stay text", async () => {
  const { page } = watched;
  const name = "<img src=x onerror='window.hit=1'>";
  const list = { object: "list", data: [{ name, tokens: 1, bytes: 1, complete: true, checkpoints: [], backend: name, kv_dtype: name }, { name: `${name}2`, problem: name }] };
  await page.route("**/v1/contexts", (route) => route.fulfill({ json: list }));
  const chat = { format: "minimax-chat-1", title: "T", system: "", context: name, tree: { leaf: null, messages: [] } };
  await page.reload();
  await page.getByLabel("Exported conversations").setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(chat)) });
  await chip(page, name).click();
  await page.getByRole("dialog").getByRole("heading", { name }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.keyboard.press("Escape");
  await details(page, `${name}2`);
  await page.getByRole("dialog").getByText(name, { exact: true }).waitFor();
  expect(await page.locator("#app img").count()).toBe(0);
  expect(await page.evaluate(() => (window as unknown as { hit?: number }).hit)).toBeUndefined();
});

test.each(["light", "dark"] as const)("the dialogs keep nobody out: %s", async (colorScheme) => {
  const { page } = watched;
  await page.emulateMedia({ colorScheme });
  const list = { data: [{ name: "good", tokens: 9000, bytes: 9e6, complete: true, checkpoints: [704] }, { name: "half", tokens: 5, bytes: 5, complete: false }, { name: "bad", problem: "a checksum disagrees" }] };
  await page.route("**/v1/contexts", (route) => route.fulfill({ json: list }));
  await page.reload();
  await item(page, "good").waitFor();
  expect(await findings(page)).toEqual([]);
  await page.getByRole("button", { name: "New context" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Pasted text").fill("Some words.");
  await dialog.getByLabel("Name").fill("a b");
  await dialog.getByText("2 tokens").or(dialog.getByText("3 tokens")).waitFor();
  expect(await findings(page)).toEqual([]);
  await page.keyboard.press("Escape");
  await details(page, "good");
  for (const pane of ["Fork", "Delete"]) {
    await dialog.getByRole("button", { name: pane, exact: true }).first().click();
    expect(await findings(page)).toEqual([]);
  }
});
