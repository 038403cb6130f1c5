import type { ChatMessage } from "../api/chat";
import type { Message } from "./tree";

/**
 * The request's messages for a branch. Documents come before the words that ask about them, parted
 * by blank lines, as `minimax context ask` writes them: the same file is then the same prefix, and
 * what the server has computed of it is used again.
 */
export function requestMessages(system: string, branch: readonly Message[]): ChatMessage[] {
  const result: ChatMessage[] = [];
  if (system.trim() !== "") result.push({ role: "system", content: system });
  for (const { role, text, documents } of branch) {
    result.push({ role, content: joinTexts([...(documents ?? []).map((d) => d.text), text]) });
  }
  return result;
}

/** Texts one after the other, parted by blank lines; empty ones are left out. */
export function joinTexts(texts: readonly string[]): string {
  return texts.filter((text) => text.trim() !== "").join("\n\n");
}

/** A conversation's name until someone gives it another: how its first message begins. */
export function titleOf(text: string, documentNames: readonly string[]): string {
  const line = text.trim().split("\n")[0] ?? "";
  const title = line !== "" ? line : (documentNames[0] ?? "");
  return title.length > 48 ? `${title.slice(0, 47).trimEnd()}…` : title;
}
