import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

/** Debian's browser, or the one that CHROMIUM names. */
export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // Tests run as root in containers, where Chromium has no sandbox and little shared memory.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  });
}

/** A page, and what it did that it must not do. */
export interface Watched {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Requests to other places than the server, blocked scripts, and errors. */
  readonly faults: string[];
}

type Options = Parameters<Browser["newContext"]>[0];

export async function openPage(browser: Browser, url: string, options: Options = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 820 }, ...options });
  const page = await context.newPage();
  // A machine that does other things is slow; what never comes must fail before the test's own end.
  page.setDefaultTimeout(60_000);
  page.setDefaultNavigationTimeout(20_000);
  const faults: string[] = [];
  page.on("request", (request) => {
    const target = request.url();
    if (!target.startsWith(url) && !target.startsWith("blob:")) faults.push(`request to ${target}`);
  });
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) faults.push(message.text());
  });
  await page.goto(url);
  return { page, context, faults };
}

/** Answers end after this many tokens: how long a small model goes on is not what is tested. */
export async function shortAnswers(page: Page, tokens: number): Promise<void> {
  await page.evaluate((max) => localStorage.setItem("minimax-settings", JSON.stringify({ sampling: { max_tokens: max } })), tokens);
  await page.reload();
}

/** The server's model answers until it is stopped: its own end is left out of the request. */
export async function neverEnding(page: Page): Promise<void> {
  await page.route("**/v1/chat/completions", async (route) => {
    const body = route.request().postDataJSON() as object;
    await route.continue({ postData: JSON.stringify({ ...body, ignore_eos: true }) });
  });
}

export async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel("Question", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

/** Returns when no answer is being written, with the number of answers that are shown. */
export async function answered(page: Page, answers: number): Promise<void> {
  await page.locator(".answer .actions").nth(answers - 1).waitFor();
}
