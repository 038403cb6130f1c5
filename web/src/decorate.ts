import { copyText } from "./copy";

/** Adds to an answer's block what markdown does not say: colours, copy buttons, maths, safe links. */
export function decorate(block: HTMLElement): void {
  for (const link of block.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const table of block.querySelectorAll("table")) scrollable(table, "Table");
  for (const pre of block.querySelectorAll("pre")) decorateCode(pre);
  for (const code of block.querySelectorAll<HTMLElement>("code.math-inline, code.math-block")) {
    void drawMath(code);
  }
}

function decorateCode(pre: HTMLPreElement): void {
  const code = pre.querySelector("code");
  if (!code) return;
  const language = /(?:^|\s)language-([\w+#-]+)/.exec(code.className)?.[1] ?? "";
  const text = code.textContent ?? "";
  const frame = document.createElement("figure");
  frame.className = "code";
  const head = document.createElement("figcaption");
  const name = document.createElement("span");
  name.textContent = language || "text";
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = "Copy";
  copy.setAttribute("aria-label", "Copy code");
  copy.onclick = () => void copyText(text).then((done) => {
    copy.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  head.append(name, copy);
  pre.replaceWith(frame);
  pre.tabIndex = 0;
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", language ? `Code, ${language}` : "Code");
  frame.append(head, pre);
  if (language !== "") void colour(code, text, language);
}

/** Wide content scrolls within itself, by keyboard too. */
function scrollable(element: HTMLElement, label: string): void {
  const frame = document.createElement("div");
  frame.className = "scroll";
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", label);
  element.replaceWith(frame);
  frame.append(element);
}

async function colour(code: HTMLElement, text: string, language: string): Promise<void> {
  const { highlight } = await import("./highlight");
  const html = highlight(text, language.toLowerCase());
  if (html !== null) code.innerHTML = html;
}

async function drawMath(code: HTMLElement): Promise<void> {
  const { renderMath } = await import("./math");
  const block = code.classList.contains("math-block");
  const place = document.createElement(block ? "div" : "span");
  place.className = code.className;
  renderMath(code.textContent ?? "", place, block);
  code.replaceWith(place);
}
