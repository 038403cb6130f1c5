import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answered, ask, launch, openPage } from "./page";
import { startServer, type Server } from "./server";

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await startServer("-c", "4096", "--api-key", "right-key");
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const attacks = [
  "<script>window.hit = 1</script>",
  "<img src=x onerror='window.hit = 1'>",
  "<svg onload='window.hit = 1'></svg>",
  "<iframe srcdoc='<script>parent.hit = 1</script>'></iframe>",
  "<style>body { display: none }</style>",
  "<form action='https://example.org'><button id=hit>x</button></form>",
  "![x](https://example.org/track.png)",
  "[x](javascript:window.hit=1)",
  "[x](data:text/html;base64,PHNjcmlwdD4=)",
  "<a href='javascript:window.hit=1'>x</a>",
  "<math><mtext><table><mglyph><style><img src onerror='window.hit = 1'>",
  "```\"><img src=x onerror='window.hit=1'>\ncode\n```",
  "```js\n</code><img src=x onerror='window.hit=1'>\n```",
  "$\\href{javascript:window.hit=1}{x}$ and $\\includegraphics{https://example.org/x.png}$ and $<img src=x onerror='window.hit=1'>$",
  "$$\\htmlData{x=1}{<script>window.hit=1</script>}$$",
];

async function connect(url: string) {
  const watched = await openPage(browser, url);
  await watched.page.getByLabel("API key", { exact: true }).fill("right-key");
  await watched.page.getByRole("button", { name: "Connect" }).click();
  await watched.page.getByText("This server asks for a key").waitFor({ state: "hidden" });
  return watched;
}

test("a server with keys asks for one, and tells when it is wrong", async () => {
  const { page, context, faults } = await openPage(browser, server.url);
  const key = page.getByLabel("API key", { exact: true });
  await key.fill("wrong-key");
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByRole("alert").getByText("not known").waitFor();
  await key.fill("right-key");
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByText("This server asks for a key").waitFor({ state: "hidden" });
  await ask(page, "Tell me a story.");
  await answered(page, 1);
  expect(faults).toEqual([]);
  await context.close();
});

test("what a model says stays text", async () => {
  const { page, context, faults } = await connect(server.url);
  const chunks: object[] = attacks.map((text) => ({ choices: [{ delta: { content: `${text}\n\n` }, finish_reason: null }] }));
  chunks.unshift(...attacks.map((text) => ({ choices: [{ delta: { reasoning_content: `${text}\n\n` }, finish_reason: null }] })));
  const body = `${chunks.map((c) => `data: ${JSON.stringify(c)}\n\n`).join("")}data: [DONE]\n\n`;
  await page.route("**/v1/chat/completions", (route) => route.fulfill({ contentType: "text/event-stream", body }));
  await ask(page, "<img src=x onerror='window.hit=1'>");
  await answered(page, 1);
  await page.getByText("Thoughts").click();
  await page.locator(".reasoning math").first().waitFor();
  await page.locator(".body > .prose math").first().waitFor();
  await page.waitForLoadState("networkidle");
  expect(await page.locator(".messages").locator("script, img, iframe, style, form, object, embed").count()).toBe(0);
  for (const link of await page.locator(".prose a").all()) {
    expect((await link.getAttribute("href")) ?? "https:").toMatch(/^(https?|mailto):/);
  }
  expect(await page.evaluate(() => (window as unknown as { hit?: number }).hit)).toBeUndefined();
  expect(faults).toEqual([]);
  await context.close();
});

test("names of conversations and documents stay text", async () => {
  const { page, context, faults } = await connect(server.url);
  const name = "<img src=x onerror='window.hit=1'>";
  const file = {
    format: "minimax-chat-1", title: name, system: name,
    tree: { leaf: "u", messages: [{ id: "u", parent: null, role: "user", text: name, documents: [{ name, text: name, tokens: 1 }] }] },
  };
  await page.getByLabel("Exported conversations").setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(file)) });
  await page.locator(".chip strong").getByText(name).waitFor();
  expect(await page.locator("#app img").count()).toBe(0);
  expect(await page.evaluate(() => (window as unknown as { hit?: number }).hit)).toBeUndefined();
  await page.getByLabel("Exported conversations").setInputFiles({ name: "y.json", mimeType: "application/json", buffer: Buffer.from("{}") });
  await page.getByText("This is not an exported conversation.").waitFor();
  expect(faults).toEqual([]);
  await context.close();
});
