import { useState } from "preact/hooks";
import type { ContextInfo } from "../../api/contexts";
import type { Writing } from "../../store/contexts";
import { IconButton } from "../button";
import { bytes, count } from "../../format";
import { useAppState, useContexts, useController } from "../hooks";
import { Icon } from "../icons";

/** More than these would push the conversations off the screen. */
const shownAtFirst = 5;

/** The server's contexts, in the sidebar. */
export function ContextsSection({ onDone }: { onDone: () => void }) {
  const controller = useController();
  const { current, draftContext } = useAppState();
  const { available, entries, writing } = useContexts();
  const [all, setAll] = useState(false);
  if (available === "unknown") return null;
  // What is being read comes first: it changes, and one that is being made may not be in the list yet.
  const names = [...writing.keys(), ...entries.map((entry) => entry.name).filter((name) => !writing.has(name))];
  const hidden = all ? 0 : Math.max(0, names.length - shownAtFirst);
  const open = (name: string, entry: ContextInfo | undefined) => {
    if (writing.has(name)) controller.contexts.show({ kind: "write", mode: "new", name });
    else if (entry?.problem !== "" || !entry.complete) controller.contexts.show({ kind: "details", name });
    else {
      controller.openContext(name);
      document.getElementById("question")?.focus();
      onDone();
    }
  };
  return (
    <section class="contexts">
      <div class="contexts-head">
        <h2>Contexts</h2>
        <IconButton icon="plus" label="New context"
          onClick={() => controller.contexts.show(available === "on" ? { kind: "write", mode: "new", name: "" } : { kind: "off" })} />
      </div>
      {available === "on" && names.length === 0 && <p class="hint">A long text that is read once, for every conversation about it.</p>}
      <ul>
        {names.slice(0, names.length - hidden).map((name) => {
          const entry = entries.find((e) => e.name === name);
          return (
            <Item key={name} name={name} entry={entry} writing={writing.get(name)}
              current={current === null && draftContext === name} onOpen={() => open(name, entry)} />
          );
        })}
      </ul>
      {names.length > shownAtFirst && (
        <button type="button" class="more" aria-expanded={all} onClick={() => setAll(!all)}>{all ? "Show fewer" : `Show ${hidden} more`}</button>
      )}
    </section>
  );
}

interface ItemProps {
  readonly name: string;
  readonly entry: ContextInfo | undefined;
  readonly writing: Writing | undefined;
  readonly current: boolean;
  readonly onOpen: () => void;
}

function Item({ name, entry, writing, current, onOpen }: ItemProps) {
  const controller = useController();
  const { text, tone } = stateOf(entry, writing);
  return (
    <li class={current ? "item is-current" : "item"}>
      <button type="button" class="item-open" aria-current={current ? "true" : undefined} title={tone === "" ? undefined : text} onClick={onOpen}>
        <Icon name="book" />
        <span class="item-words">
          <strong>{name}</strong>
          <small class={tone}>{text}</small>
          {writing?.halted === null && <progress max={writing.prefill?.total ?? 1} value={writing.prefill?.processed} aria-label={`${name}: tokens that are read`} />}
        </span>
      </button>
      {entry && <IconButton icon="more" label={`Details of ${name}`} onClick={() => controller.contexts.show({ kind: "details", name })} />}
    </li>
  );
}

/** Without the file at its beginning: the line is short, and the details have all of it. */
function shortProblem(problem: string): string {
  return problem.replace(/^\/[^:]*: /, "").replace(/^damaged: /, "");
}

interface Line {
  readonly text: string;
  readonly tone: "" | "is-halted" | "is-bad";
}

/** What is to be said of a context in one line. */
function stateOf(entry: ContextInfo | undefined, writing: Writing | undefined): Line {
  if (writing) {
    const { prefill, halted } = writing;
    const share = prefill ? `${Math.floor((100 * prefill.processed) / prefill.total)} %` : "";
    if (halted === null) return { text: `Reading ${share}`, tone: "" };
    return { text: share === "" ? halted : `${halted} at ${share}`, tone: "is-halted" };
  }
  if (!entry) return { text: "", tone: "" };
  if (entry.problem !== "") return { text: `Damaged: ${shortProblem(entry.problem)}`, tone: "is-bad" };
  if (!entry.complete) return { text: `Interrupted at ${count(entry.tokens)} tokens`, tone: "is-halted" };
  return { text: `${count(entry.tokens)} tokens · ${bytes(entry.bytes)}`, tone: "" };
}
