/**
 * A conversation as a tree: editing or regenerating a message adds a sibling and loses nothing.
 * Trees are values; every change returns a new one.
 */
export type Role = "user" | "assistant";

/** A text file that was sent with a message. */
export interface TextDocument {
  readonly name: string;
  readonly text: string;
  /** Counted by the server's tokenizer. */
  readonly tokens: number;
}

/** What an answer cost. The prompt's tokens are cached + replayed + computed. */
export interface Stats {
  readonly prompt: number;
  readonly cached: number;
  readonly replayed: number;
  readonly completion: number;
  /** Milliseconds from the request to the first text, and from there to the end. */
  readonly prefillMs: number;
  readonly decodeMs: number;
}

export interface Message {
  readonly id: string;
  /** Null for the first message of a conversation. */
  readonly parent: string | null;
  readonly role: Role;
  readonly text: string;
  /** What a model thought before it answered; it is not sent again. */
  readonly reasoning?: string;
  readonly documents?: readonly TextDocument[];
  readonly stats?: Stats;
  /** How an answer ended, where it was not the model that ended it: stopped, cut off, refused. */
  readonly note?: string;
}

export interface Tree {
  /** In order of creation, so a parent comes before its children. */
  readonly messages: readonly Message[];
  /** The end of the branch that is shown; null while there are no messages. */
  readonly leaf: string | null;
}

export const emptyTree: Tree = { messages: [], leaf: null };

/** Adds a message under its parent and shows it. Throws on a used id or an unknown parent. */
export function add(tree: Tree, message: Message): Tree {
  if (find(tree, message.id)) throw new Error(`message ${message.id} exists`);
  if (message.parent !== null && !find(tree, message.parent)) {
    throw new Error(`no message ${message.parent}`);
  }
  return { messages: [...tree.messages, message], leaf: message.id };
}

/** Appends streamed text to a message, or to its reasoning. Throws if there is none of that id. */
export function append(tree: Tree, id: string, text: string, field: "text" | "reasoning" = "text"): Tree {
  if (!find(tree, id)) throw new Error(`no message ${id}`);
  return {
    ...tree,
    messages: tree.messages.map((m) => (m.id === id ? { ...m, [field]: (m[field] ?? "") + text } : m)),
  };
}

/** Sets what is known of an answer once it has ended. Throws if there is no message of that id. */
export function complete(tree: Tree, id: string, end: Pick<Message, "stats" | "note">): Tree {
  if (!find(tree, id)) throw new Error(`no message ${id}`);
  return { ...tree, messages: tree.messages.map((m) => (m.id === id ? { ...m, ...end } : m)) };
}

/** The messages shown, first to last. */
export function path(tree: Tree): Message[] {
  const byId = new Map(tree.messages.map((m) => [m.id, m]));
  const result: Message[] = [];
  for (let id = tree.leaf; id !== null; ) {
    const message = byId.get(id);
    if (!message) throw new Error(`no message ${id}`);
    result.push(message);
    id = message.parent;
  }
  return result.reverse();
}

/** The alternatives to a message, itself included, oldest first. */
export function siblings(tree: Tree, id: string): Message[] {
  const message = find(tree, id);
  return message ? tree.messages.filter((m) => m.parent === message.parent) : [];
}

/** Shows the branch through a message, following its newest children to the end. */
export function show(tree: Tree, id: string): Tree {
  if (!find(tree, id)) throw new Error(`no message ${id}`);
  let leaf = id;
  // Children come after their parents, and the newest child is the last.
  for (;;) {
    const children = tree.messages.filter((m) => m.parent === leaf);
    const newest = children[children.length - 1];
    if (!newest) return { ...tree, leaf };
    leaf = newest.id;
  }
}

function find(tree: Tree, id: string): Message | undefined {
  return tree.messages.find((m) => m.id === id);
}
