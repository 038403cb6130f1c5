/**
 * A conversation as a tree: editing or regenerating a message adds a sibling and loses nothing.
 * Trees are values; every change returns a new one.
 */
export type Role = "user" | "assistant";

export interface Message {
  readonly id: string;
  /** Null for the first message of a conversation. */
  readonly parent: string | null;
  readonly role: Role;
  readonly text: string;
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

/** Appends streamed text to a message. Throws if there is none of that id. */
export function append(tree: Tree, id: string, text: string): Tree {
  if (!find(tree, id)) throw new Error(`no message ${id}`);
  return {
    ...tree,
    messages: tree.messages.map((m) => (m.id === id ? { ...m, text: m.text + text } : m)),
  };
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
