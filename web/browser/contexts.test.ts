import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { findings } from "./axe";
import { launch, openPage, type Watched } from "./page";
import { startServer, type Server } from "./server";

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
});
afterEach(async () => {
  expect(watched.faults).toEqual([]);
  await watched.context.close();
});

const item = (page: Page, name: string) => page.locator(".contexts .item").filter({ has: page.getByText(name, { exact: true }) });
const chip = (page: Page, name: string) => page.getByRole("button", { name: `Context ${name}`, exact: true });

async function details(page: Page, name: string): Promise<void> {
  await item(page, name).hover();
  await page.getByRole("button", { name: `Details of ${name}`, exact: true }).click();
}

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
