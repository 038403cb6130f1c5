import type { ContextInfo } from "../api/contexts";
import type { Running } from "../controller";
import { findContext } from "../store/contexts";
import { lastStats, usedTokens } from "../store/fill";
import { readingRate } from "../store/prefill";
import type { Chat } from "../store/storage";
import type { Stats } from "../store/tree";
import { count, rate } from "../format";
import { useAppState, useClock, useContexts } from "./hooks";
import { worthABar } from "./prefill_bar";

interface Part {
  readonly name: "context" | "cached" | "replayed" | "computed" | "answered";
  readonly tokens: number;
  readonly meaning: string;
}

/** How full the context is, and how much of the last prompt had to be computed. */
export function Meter({ chat }: { chat: Chat | undefined }) {
  const { running, server, draftContext } = useAppState();
  const contexts = useContexts();
  const about = chat ? chat.context : draftContext;
  const entry = about ? findContext(contexts, about) : undefined;
  const live = chat && running[chat.id];
  const stats = lastStats(chat);
  if (!server) return <div class="meter" />;
  const size = server.contextLength;
  const parts = stats ? partsOf(stats) : entry ? [partOf(entry)] : [];
  return (
    <div class="meter" role="group" aria-label="Context">
      <div class="meter-bar" aria-hidden="true">
        {parts.map((part) => part.tokens > 0 && <span key={part.name} class={`part ${part.name}`} style={{ width: `${(100 * part.tokens) / size}%` }} />)}
      </div>
      <div class="meter-words">
        <span>{count(usedTokens(chat, entry))} of {count(size)} tokens</span>
        {parts.map((part) => (
          <span key={part.name} class={`part-word ${part.name}`} title={part.meaning}><i class="swatch" />{count(part.tokens)} {part.name === "context" ? "read before" : part.name}</span>
        ))}
        {live ? <LiveRate running={live} /> : stats && <span class="rate">{rates(stats)}</span>}
      </div>
    </div>
  );
}

/** How fast it goes now: reading the prompt, then writing the answer. */
function LiveRate({ running }: { running: Running }) {
  const now = useClock(true);
  const { firstTextAt, pieces, prefill } = running;
  if (firstTextAt !== null) return <span class="rate">{rate(pieces, Math.max(now - firstTextAt, 1))}</span>;
  const perSecond = prefill && readingRate(prefill);
  return perSecond ? <span class="rate">{rate(perSecond, 1000)} read</span> : null;
}

/** What the prompt's own speed would be of few tokens says more of the way there and back. */
function rates(stats: Stats): string {
  const read = stats.prompt - stats.cached;
  const reading = read >= worthABar ? rate(read, stats.prefillMs) : "";
  return [reading === "" ? "" : `${reading} read`, rate(stats.completion, stats.decodeMs)].filter((text) => text !== "").join(" · ");
}

function partOf(entry: ContextInfo): Part {
  return { name: "context", tokens: entry.tokens, meaning: "What the context holds" };
}

function partsOf(stats: Stats): Part[] {
  return [
    { name: "cached", tokens: stats.cached, meaning: "Of the last prompt, known from before" },
    { name: "replayed", tokens: stats.replayed, meaning: "Of the last prompt, known but read again to reach a state" },
    { name: "computed", tokens: stats.prompt - stats.cached - stats.replayed, meaning: "Of the last prompt, new" },
    { name: "answered", tokens: stats.completion, meaning: "The last answer" },
  ];
}
