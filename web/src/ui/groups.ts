import type { Chat } from "../store/storage";

export interface Group {
  readonly name: string;
  readonly chats: readonly Chat[];
}

const dayMs = 86_400_000;

/** Conversations, newest first, under headings that say how old they are; empty groups left out. */
export function groupByAge(chats: readonly Chat[], now: number): Group[] {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const name = (updated: number) =>
    updated >= midnight ? "Today" : updated >= midnight - dayMs ? "Yesterday" : updated >= midnight - 7 * dayMs ? "This week" : "Earlier";
  const groups = new Map<string, Chat[]>();
  for (const chat of chats) {
    const key = name(chat.updated);
    groups.set(key, [...(groups.get(key) ?? []), chat]);
  }
  return [...groups].map(([key, members]) => ({ name: key, chats: members }));
}
