import { mkdirSync, readFileSync } from "node:fs";
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
let browser: Browser;

beforeAll(async () => {
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  server = given ? { url: given, stop: () => Promise.resolve() } : await startServer("-c", "65536");
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
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
