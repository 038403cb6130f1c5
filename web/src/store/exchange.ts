import { add, emptyTree, show, type Tree } from "./tree";

/** Conversations as files: versioned JSON, checked on the way in, as a file may come from anyone. */
export interface Conversation {
  readonly title: string;
  readonly system: string;
  readonly tree: Tree;
}

const format = "minimax-chat-1";

export function exportConversation(conversation: Conversation): string {
  return JSON.stringify({ format, ...conversation }, null, 1);
}

/** Throws an Error whose message can be shown, if the text is no exported conversation. */
export function importConversation(text: string): Conversation {
  const file = record(parse(text), "file");
  if (file.format !== format) throw new Error("This is not an exported conversation.");
  const tree = record(file.tree, "tree");
  if (!Array.isArray(tree.messages)) throw wrong("tree.messages");
  let result: Tree = emptyTree;
  for (const item of tree.messages as unknown[]) {
    const message = record(item, "message");
    const { role, parent } = message;
    if (role !== "user" && role !== "assistant") throw wrong("role");
    if (parent !== null && typeof parent !== "string") throw wrong("parent");
    result = add(result, { id: string(message.id, "id"), parent, role, text: string(message.text, "text") });
  }
  if (tree.leaf !== null) result = show(result, string(tree.leaf, "leaf"));
  return { title: string(file.title, "title"), system: string(file.system, "system"), tree: result };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("This file is not JSON.");
  }
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(name);
  return value as Record<string, unknown>;
}

function string(value: unknown, name: string): string {
  if (typeof value !== "string") throw wrong(name);
  return value;
}

function wrong(name: string): Error {
  return new Error(`The conversation's ${name} is not as expected.`);
}
