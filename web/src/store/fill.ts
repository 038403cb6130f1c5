import type { ContextInfo } from "../api/contexts";
import type { Chat } from "./storage";
import { path, type Stats } from "./tree";

/** What the last answer of the branch that is shown has cost. */
export function lastStats(chat: Chat | undefined): Stats | undefined {
  return chat && path(chat.tree).findLast((message) => message.stats)?.stats;
}

/** Tokens that the next question is added to: the branch that is shown, or what its context holds. */
export function usedTokens(chat: Chat | undefined, context: ContextInfo | undefined): number {
  const stats = lastStats(chat);
  return stats ? stats.prompt + stats.completion : (context?.tokens ?? 0);
}
