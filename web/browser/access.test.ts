import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findings } from "./axe";
import { answered, ask, launch, openPage } from "./page";
import { startServer, type Server } from "./server";

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await startServer("-c", "8192");
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const answer = "# Title\n\nText with `code`, **bold** and [a link](https://example.org).\n\n```python\n# words\ndef f(x):\n    return \"a\" + str(1)\n```\n\n" +
  "| a | b |\n|---|---|\n| 1 | 2 |\n\n> quote\n\n$$x^2$$\n";

test.each([
  ["light", { width: 1280, height: 820 }],
  ["dark", { width: 1280, height: 820 }],
  ["light", { width: 390, height: 844 }],
  ["dark", { width: 390, height: 844 }],
] as const)("nothing keeps people out: %s, %o", async (colorScheme, viewport) => {
  const { page, context, faults } = await openPage(browser, server.url, { colorScheme, viewport });
  await page.getByText("minimax", { exact: true }).waitFor({ state: "attached" });
  expect(await findings(page)).toEqual([]);
  const body = `data: ${JSON.stringify({ choices: [{ delta: { content: answer }, finish_reason: null }] })}\n\ndata: [DONE]\n\n`;
  await page.route("**/v1/chat/completions", (route) => route.fulfill({ contentType: "text/event-stream", body }));
  await ask(page, "Show me everything.");
  await answered(page, 1);
  await page.locator(".hljs-keyword").first().waitFor();
  await page.locator("math").first().waitFor();
  expect(await findings(page)).toEqual([]);
  await page.getByRole("button", { name: "System prompt and sampling" }).click();
  await page.waitForTimeout(400);
  expect(await findings(page)).toEqual([]);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(overflow).toBeLessThanOrEqual(0);
  expect(faults).toEqual([]);
  await context.close();
});

test("a question is asked and answered with the keyboard alone", async () => {
  const { page, context, faults } = await openPage(browser, server.url);
  await page.getByText("Enter sends").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Shift+Tab");
  await page.getByLabel("Question", { exact: true }).focus();
  await page.keyboard.type("Tell me a story.");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("Make it short.");
  await page.keyboard.press("Enter");
  await answered(page, 1);
  expect(await page.locator(".bubble").innerText()).toBe("Tell me a story.\nMake it short.");
  expect(faults).toEqual([]);
  await context.close();
});

test("the theme that is chosen holds after a reload", async () => {
  const { page, context } = await openPage(browser, server.url, { colorScheme: "light" });
  await page.getByRole("button", { name: "Dark" }).click();
  await page.reload();
  // The page sets it after its first frame.
  await expect.poll(() => page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark");
  await context.close();
});
