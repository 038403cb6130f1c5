import type { DOMPurify } from "dompurify";
import { Marked, type Token, type TokensList } from "marked";

const marked = new Marked({ gfm: true, breaks: true, async: false });

// HTML in an answer is shown as text; a line break within a table's cell has no other form.
marked.use({
  renderer: {
    html: ({ text }) => (/^<br ?\/?>$/i.test(text.trim()) ? "<br>" : escapeHtml(text)),
  },
  extensions: [
    mathExtension("mathBlock", "block", "math-block", /\n *(?:\$\$|\\\[)/, /^ *(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])/),
    // A dollar sign begins maths only beside something that is no space, and ends it before no digit.
    mathExtension("mathInline", "inline", "math-inline", /\$|\\\(|\\\[/, /^(?:\$\$([^$]+?)\$\$|\$(?!\s)([^$\n]+?)(?<![\s\\])\$(?!\d)|\\\(([\s\S]+?)\\\)|\\\[([\s\S]+?)\\\])/),
  ],
});

// Neither styles nor forms nor ids, which could pose as parts of the page; and no media, as the
// page makes no outside requests: an image in an answer could tell others of the conversation.
const allowedTags = ["a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
  "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"];
const allowedAttributes = ["href", "class", "start", "align"];

/** The blocks of an answer, first to last. Only the last can change while more text comes. */
export function markdownBlocks(text: string): TokensList {
  return marked.lexer(text);
}

/** HTML of one block that is safe to put into the page. `purify` is bound to its window. */
export function renderBlock(block: Token, purify: DOMPurify): string {
  return clean(marked.parser([block]), purify);
}

/** HTML of a whole answer. */
export function renderMarkdown(text: string, purify: DOMPurify): string {
  return clean(marked.parse(text) as string, purify);
}

function clean(html: string, purify: DOMPurify): string {
  return purify.sanitize(html, {
    ALLOWED_TAGS: allowedTags,
    ALLOWED_ATTR: allowedAttributes,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  });
}

/** Maths stays TeX here, in a code element of a class by which the page finds it. */
function mathExtension(name: string, level: "block" | "inline", className: string, begin: RegExp, pattern: RegExp) {
  return {
    name,
    level,
    start: (source: string) => {
      const at = source.search(begin);
      return at < 0 ? undefined : at;
    },
    tokenizer: (source: string) => {
      const found = pattern.exec(source);
      const tex = found?.slice(1).find((group) => group !== undefined);
      return found && tex !== undefined ? { type: name, raw: found[0], text: tex.trim() } : undefined;
    },
    renderer: (token: { text?: string }) => `<code class="${className}">${escapeHtml(token.text ?? "")}</code>`,
  };
}

function escapeHtml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}
