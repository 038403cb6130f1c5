import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, test } from "vitest";
import { answered, ask, launch, openPage, shortAnswers } from "./page";
import { startServer, type Server } from "./server";

// Draws the pictures of the documentation into the folder that MINIMAX_SCREENSHOTS names.
const folder = process.env.MINIMAX_SCREENSHOTS;
const given = process.env.MINIMAX_URL;
const heldout = readFileSync(new URL("../../tests/data/heldout.txt", import.meta.url), "utf8");

let server: Server;
let contexts: string;
let browser: Browser;

beforeAll(async () => {
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  contexts = mkdtempSync(join(tmpdir(), "minimax-contexts-"));
  server = given ? { url: given, stop: () => Promise.resolve() } : await startServer("-c", "65536", "--context-dir", contexts);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  if (folder) rmSync(contexts, { recursive: true, force: true });
});

const shoot = (page: Page, name: string) => page.screenshot({ path: join(folder ?? "", `${name}.png`) });

async function converse(page: Page): Promise<void> {
  await ask(page, "Tell me a story about a dog who learns to sail.");
  await answered(page, 1);
  await page.getByRole("button", { name: "Answer again" }).click();
  await page.getByLabel("Alternative 2 of 2").waitFor();
  await ask(page, "Make a list of things to take to the beach.");
  await answered(page, 2);
  await page.waitForTimeout(500);
}

test.skipIf(!folder)("light and dark", async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    const { page, context } = await openPage(browser, server.url, { colorScheme });
    await page.waitForTimeout(500);
    await shoot(page, `web-${colorScheme}-new`);
    await converse(page);
    if (colorScheme === "dark") {
      await page.getByRole("button", { name: "System prompt and sampling" }).click();
      await page.waitForTimeout(300);
    }
    await page.mouse.move(640, 5);
    await shoot(page, `web-${colorScheme}`);
    await context.close();
  }
});

test.skipIf(!folder)("phone", async () => {
  const { page, context } = await openPage(browser, server.url, { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true, isMobile: true });
  await page.waitForTimeout(500);
  await shoot(page, "web-phone-new");
  await converse(page);
  await shoot(page, "web-phone");
  await page.getByRole("button", { name: "Conversations" }).click();
  await page.waitForTimeout(400);
  await shoot(page, "web-phone-list");
  await context.close();
});

/** Begins to read a text into a context. */
async function read(page: Page, name: string, text: string): Promise<void> {
  await page.getByRole("button", { name: "New context" }).click();
  await page.getByLabel("Text files of the context").setInputFiles({ name: `${name}.txt`, mimeType: "text/plain", buffer: Buffer.from(text) });
  await page.locator(".dialog .chip small").waitFor();
  await page.getByRole("button", { name: "Read", exact: true }).click();
}

test.skipIf(!folder)("contexts", async () => {
  const { page, context } = await openPage(browser, server.url, { colorScheme: "light" });
  for (const [name, length] of [["field-notes", 3000], ["house-rules", 900], ["winter-stories", 2600]] as const) {
    await read(page, name, heldout.slice(0, length));
    await page.getByRole("heading", { name: `Ask about ${name}` }).waitFor();
  }
  await ask(page, "Tell me a story about winter.");
  await answered(page, 1);
  await read(page, "collected-letters", heldout.repeat(4));
  await page.getByText(/about .* left/).waitFor();
  await page.waitForTimeout(800);
  await shoot(page, "web-contexts-reading");
  await page.getByRole("button", { name: "Read in the background" }).click();
  await page.mouse.move(640, 5);
  await page.waitForTimeout(300);
  await shoot(page, "web-contexts");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.getByRole("button", { name: "Context winter-stories" }).click();
  await page.getByRole("button", { name: "Fork" }).click();
  await page.waitForTimeout(300);
  await shoot(page, "web-contexts-dark");
  await context.close();

  const phone = await openPage(browser, server.url, { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true, isMobile: true });
  await phone.page.getByRole("button", { name: "Conversations" }).click();
  await phone.page.getByText("winter-stories").waitFor();
  await phone.page.waitForTimeout(400);
  await shoot(phone.page, "web-contexts-phone-list");
  await phone.page.getByRole("button", { name: /winter-stories/ }).first().click();
  await phone.page.waitForTimeout(400);
  await shoot(phone.page, "web-contexts-phone");
  await phone.context.close();
});

test.skipIf(!folder)("a long document", async () => {
  const { page, context } = await openPage(browser, server.url, { colorScheme: "light" });
  await shortAnswers(page, 60);
  let text = "";
  for (let part = 1; text.length < 180_000; ++part) text += `Chapter ${part}. ${heldout}\n`;
  await page.getByLabel("Text files").setInputFiles({ name: "the-whole-book.txt", mimeType: "text/plain", buffer: Buffer.from(text) });
  await page.locator(".composer .chip small").waitFor();
  await ask(page, "Who is this book about?");
  await page.getByText(/about .* left/).waitFor();
  await page.waitForTimeout(600);
  await shoot(page, "web-document");
  await answered(page, 1);
  await ask(page, "And how does it end?");
  await answered(page, 2);
  await page.waitForTimeout(500);
  await shoot(page, "web-document-reused");
  await context.close();
});

const sample = "Here is the recurrence of one head, and a loop that computes it.\n\n$$S_t = \\lambda S_{t-1} + k_t v_t^\\top, \\qquad o_t = q_t^\\top S_t$$\n\n" +
  "The decay $\\lambda = e^{-s}$ is fixed per head:\n\n```python\ndef lightning(q, k, v, decay):\n    \"\"\"One head, one token at a time.\"\"\"\n    state = np.zeros((k.shape[1], v.shape[1]))\n    for t in range(len(q)):\n        state = decay * state + np.outer(k[t], v[t])\n        yield q[t] @ state\n```\n\n" +
  "| part | reads | writes |\n|---|---|---|\n| prefill | tokens | states, pages |\n| decode | states, pages | one row |\n\n1. The state has a **fixed size**.\n2. So a long context costs no more than a short one.\n";

test.skipIf(!folder)("code and maths", async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    const { page, context } = await openPage(browser, server.url, { colorScheme });
    const body = `data: ${JSON.stringify({ choices: [{ delta: { content: sample }, finish_reason: null }] })}\n\ndata: [DONE]\n\n`;
    await page.route("**/v1/chat/completions", (route) => route.fulfill({ contentType: "text/event-stream", body }));
    await ask(page, "How does lightning attention work?");
    await answered(page, 1);
    await page.locator("math").first().waitFor();
    await page.waitForTimeout(500);
    await page.locator(".thread").evaluate((e) => e.scrollTo(0, 0));
    await shoot(page, `web-${colorScheme}-code`);
    await context.close();
  }
});
