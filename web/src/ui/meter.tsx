import type { Running } from "../controller";
import type { Chat } from "../store/storage";
import { path, type Stats } from "../store/tree";
import { count, rate } from "./format";
import { useAppState, useClock } from "./hooks";

/** How full the context is, and how much of the last prompt had to be computed. */
export function Meter({ chat }: { chat: Chat | undefined }) {
  const { running, server } = useAppState();
  const live = chat && running[chat.id];
  const stats = chat && path(chat.tree).findLast((m) => m.stats)?.stats;
  if (!server) return <div class="meter" />;
  const size = server.contextLength;
  const used = stats ? stats.prompt + stats.completion : 0;
  const parts = stats ? partsOf(stats) : [];
  return (
    <div class="meter" role="group" aria-label="Context">
      <div class="meter-bar" aria-hidden="true">
        {parts.map((part) => <span key={part.name} class={`part ${part.name}`} style={{ width: `${(100 * part.tokens) / size}%` }} />)}
      </div>
      <div class="meter-words">
        <span>{count(used)} of {count(size)} tokens</span>
        {parts.map((part) => (
          <span key={part.name} class={`part-word ${part.name}`}><i class="swatch" />{count(part.tokens)} {part.name}</span>
        ))}
        {live ? <LiveRate running={live} /> : stats && <span class="rate">{rate(stats.completion, stats.decodeMs)}</span>}
      </div>
    </div>
  );
}

function LiveRate({ running }: { running: Running }) {
  const now = useClock(true);
  const { firstTextAt, pieces } = running;
  if (firstTextAt === null) return null;
  return <span class="rate">{rate(pieces, Math.max(now - firstTextAt, 1))}</span>;
}

function partsOf(stats: Stats): { name: string; tokens: number }[] {
  return [
    { name: "cached", tokens: stats.cached },
    { name: "replayed", tokens: stats.replayed },
    { name: "computed", tokens: stats.prompt - stats.cached - stats.replayed },
    { name: "answered", tokens: stats.completion },
  ];
}
