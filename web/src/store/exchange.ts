import { add, emptyTree, show, type Message, type TextDocument, type Tree } from "./tree";

/** Conversations as files: versioned JSON, checked on the way in, as a file may come from anyone. */
export interface Conversation {
  readonly title: string;
  readonly system: string;
  /** The server's durable context that it goes on from; its name there. */
  readonly context?: string;
  readonly tree: Tree;
}

const format = "minimax-chat-1";

export function exportConversation(conversation: Conversation): string {
  const { title, system, context, tree } = conversation;
  return JSON.stringify({ format, title, system, context, tree }, null, 1);
}

/** Throws an Error whose message can be shown, if the text is no exported conversation. */
export function importConversation(text: string): Conversation {
  const file = record(parse(text), "file");
  if (file.format !== format) throw new Error("This is not an exported conversation.");
  const tree = record(file.tree, "tree");
  if (!Array.isArray(tree.messages)) throw wrong("tree.messages");
  let result: Tree = emptyTree;
  for (const item of tree.messages as unknown[]) {
    result = add(result, readMessage(record(item, "message")));
  }
  if (tree.leaf !== null) result = show(result, string(tree.leaf, "leaf"));
  return {
    title: string(file.title, "title"),
    system: string(file.system, "system"),
    ...(file.context === undefined ? {} : { context: string(file.context, "context") }),
    tree: result,
  };
}

/** Measurements stay behind: they were taken on another server. */
function readMessage(message: Record<string, unknown>): Message {
  const { role, parent, documents, note, reasoning } = message;
  if (role !== "user" && role !== "assistant") throw wrong("role");
  if (parent !== null && typeof parent !== "string") throw wrong("parent");
  return {
    id: string(message.id, "id"),
    parent,
    role,
    text: string(message.text, "text"),
    ...(documents === undefined ? {} : { documents: readDocuments(documents) }),
    ...(reasoning === undefined ? {} : { reasoning: string(reasoning, "reasoning") }),
    ...(note === undefined ? {} : { note: string(note, "note") }),
  };
}

function readDocuments(value: unknown): TextDocument[] {
  if (!Array.isArray(value)) throw wrong("documents");
  return (value as unknown[]).map((item) => {
    const { name, text, tokens } = record(item, "document");
    if (typeof tokens !== "number") throw wrong("document's tokens");
    return { name: string(name, "document's name"), text: string(text, "document's text"), tokens };
  });
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
