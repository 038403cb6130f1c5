import type { DOMPurify } from "dompurify";
import { Marked } from "marked";

const marked = new Marked({ gfm: true, breaks: true, async: false });

// Neither styles nor forms nor ids, which could pose as parts of the page; and no media, as the
// page makes no outside requests: an image in an answer could tell others of the conversation.
const allowedTags = ["a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
  "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"];
const allowedAttributes = ["href", "class", "start", "align"];

/** HTML of a model's answer that is safe to put into the page. `purify` is bound to its window. */
export function renderMarkdown(text: string, purify: DOMPurify): string {
  return purify.sanitize(marked.parse(text) as string, {
    ALLOWED_TAGS: allowedTags,
    ALLOWED_ATTR: allowedAttributes,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  });
}
