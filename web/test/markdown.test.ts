import createDOMPurify from "dompurify";
import { JSDOM } from "jsdom";
import { expect, test } from "vitest";
import { markdownBlocks, renderBlock, renderMarkdown } from "../src/markdown";

const window = new JSDOM("").window;
const purify = createDOMPurify(window);

function render(text: string): Element {
  const div = window.document.createElement("div");
  div.innerHTML = renderMarkdown(text, purify);
  return div;
}

test.each([
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "![x](https://example.org/track.png)",
  "<svg><script>alert(1)</script></svg>",
  "<svg/onload=alert(1)>",
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](&#106;avascript:alert(1))",
  "[x](data:text/html;base64,PHNjcmlwdD4=)",
  "<a href='java\nscript:alert(1)'>x</a>",
  "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
  "<form action=https://example.org><input name=q></form>",
  "<p style='position:fixed' id=app data-x=1>x</p>",
  "<math><mtext><table><mglyph><style><img src onerror=alert(1)>",
  "```x\" onmouseover=\"alert(1)\ncode\n```",
])("stays inert: %s", (text) => {
  const html = render(text);
  expect(html.querySelector("script,img,svg,iframe,form,input,style,math")).toBeNull();
  for (const element of html.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      expect(["href", "class", "start", "align"]).toContain(name);
      if (name === "href") expect(value).toMatch(/^(https?|mailto):/);
    }
  }
});

test("keeps what answers are made of", () => {
  const html = render("# T\n\n**b** [l](https://example.org)\n\n```py\na < b\n```\n\n|a|b|\n|-|-|\n|1|2|");
  expect(html.querySelector("h1")?.textContent).toBe("T");
  expect(html.querySelector("a")?.getAttribute("href")).toBe("https://example.org");
  expect(html.querySelector("code.language-py")?.textContent).toBe("a < b\n");
  expect(html.querySelectorAll("td").length).toBe(2);
});

test.each([
  ["a $x^2$ b", "math-inline", "x^2"],
  ["a \\(x\\) b", "math-inline", "x"],
  ["say:\n$$\nx\n$$\nso", "math-block", "x"],
  ["\\[\nx\n\\]", "math-block", "x"],
])("finds maths in %j", (text, className, tex) => {
  const html = render(text);
  expect(html.querySelector(`code.${className}`)?.textContent).toBe(tex);
});

test("maths within a line leaves it one paragraph, prices are none", () => {
  expect(render("The decay $\\lambda$ is fixed.").querySelectorAll("p").length).toBe(1);
  expect(render("From $5 to $10 a month").querySelector("code")).toBeNull();
});

test("blocks together are the whole answer", () => {
  const text = "# T\n\n[l]\n\n```py\nx\n```\n\n[l]: https://example.org";
  const blocks = markdownBlocks(text).map((block) => renderBlock(block, purify)).join("");
  expect(blocks.replace(/\n/g, "")).toBe(renderMarkdown(text, purify).replace(/\n/g, ""));
});

test("HTML is shown, line breaks break", () => {
  const html = render("a <b>c</b> d<br>e");
  expect(html.textContent).toContain("<b>c</b>");
  expect(html.querySelectorAll("br").length).toBe(1);
});
