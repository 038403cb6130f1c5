import { useEffect, useRef, useState } from "preact/hooks";
import type { Running } from "../controller";
import { copyText } from "../copy";
import { siblings, type Message, type Stats, type Tree } from "../store/tree";
import { IconButton } from "./button";
import { DocumentChip } from "./documents";
import { count, duration, rate } from "../format";
import { useController } from "./hooks";
import { Mark } from "./icons";
import { Markdown } from "./markdown";
import { PrefillBar } from "./prefill_bar";

interface Props {
  readonly tree: Tree;
  readonly message: Message;
  readonly running: Running | undefined;
  /** Some answer of this conversation is being written. */
  readonly busy: boolean;
}

export function MessageView(props: Props) {
  return props.message.role === "user" ? <Question {...props} /> : <Answer {...props} />;
}

function Question({ tree, message, busy }: Props) {
  const controller = useController();
  const [editing, setEditing] = useState(false);
  return (
    <li class="message question" aria-label="You">
      {message.documents?.map((d) => <DocumentChip key={d.name} document={d} />)}
      {editing ? (
        <Editor text={message.text} onCancel={() => setEditing(false)}
          onDone={(text) => {
            setEditing(false);
            void controller.edit(message.id, text);
          }} />
      ) : (
        message.text !== "" && <div class="bubble">{message.text}</div>
      )}
      {!editing && (
        <div class="actions">
          <Branches tree={tree} message={message} busy={busy} />
          <CopyButton text={message.text} />
          <IconButton icon="edit" label="Edit" disabled={busy} onClick={() => setEditing(true)} />
        </div>
      )}
    </li>
  );
}

function Answer({ tree, message, running, busy }: Props) {
  const controller = useController();
  const waiting = running && message.text === "" && message.reasoning === undefined;
  return (
    <li class="message answer" aria-label="Answer">
      <div class={running ? "avatar is-busy" : "avatar"}><Mark /></div>
      <div class="body" aria-busy={running !== undefined}>
        {message.reasoning !== undefined && (
          <details class="reasoning" open={message.text === ""}>
            <summary>{message.text === "" && running ? "Thinking…" : "Thoughts"}</summary>
            <Markdown text={message.reasoning} />
          </details>
        )}
        {waiting ? <PrefillBar running={running} /> : <Markdown text={message.text} />}
        {message.note && <p class="note">{message.note}</p>}
        {!running && (
          <div class="actions">
            <Branches tree={tree} message={message} busy={busy} />
            <CopyButton text={message.text} />
            <IconButton icon="retry" label="Answer again" disabled={busy} onClick={() => void controller.regenerate(message.id)} />
            {message.stats && <span class="cost">{cost(message.stats)}</span>}
          </div>
        )}
      </div>
    </li>
  );
}

function cost(stats: Stats): string {
  return [
    `${count(stats.completion)} tokens`,
    rate(stats.completion, stats.decodeMs),
    `first after ${duration(stats.prefillMs)}`,
    stats.cached > 0 ? `${count(stats.cached)} of ${count(stats.prompt)} cached` : "",
  ].filter((part) => part !== "").join(" · ");
}

/** Which of the alternatives is shown, and the way to the others. */
function Branches({ tree, message, busy }: { tree: Tree; message: Message; busy: boolean }) {
  const controller = useController();
  const all = siblings(tree, message.id);
  if (all.length < 2) return null;
  const at = all.findIndex((m) => m.id === message.id);
  const go = (to: Message | undefined) => to && controller.showBranch(to.id);
  return (
    <span class="branches" role="group" aria-label="Alternatives">
      <IconButton icon="left" label="Earlier alternative" disabled={busy || at === 0} onClick={() => go(all[at - 1])} />
      <span aria-label={`Alternative ${at + 1} of ${all.length}`}>{at + 1}/{all.length}</span>
      <IconButton icon="right" label="Later alternative" disabled={busy || at === all.length - 1} onClick={() => go(all[at + 1])} />
    </span>
  );
}

function CopyButton({ text }: { text: string }) {
  const controller = useController();
  const [done, setDone] = useState(false);
  const copy = async () => {
    if (!(await copyText(text))) return controller.say({ text: "The browser did not allow copying." });
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return <IconButton icon={done ? "check" : "copy"} label={done ? "Copied" : "Copy"} onClick={() => void copy()} />;
}

interface EditorProps {
  readonly text: string;
  readonly onDone: (text: string) => void;
  readonly onCancel: () => void;
}

function Editor({ text, onDone, onCancel }: EditorProps) {
  const [draft, setDraft] = useState(text);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => area.current?.focus(), []);
  // The element's own text: keys may come faster than the page is drawn.
  const ask = () => {
    const words = area.current?.value ?? draft;
    if (words.trim() !== "") onDone(words);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      event.preventDefault();
      onCancel();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask();
    }
  };
  return (
    <form class="editor" onSubmit={(event) => {
      event.preventDefault();
      ask();
    }}>
      <textarea ref={area} aria-label="Edit the message" rows={Math.min(10, draft.split("\n").length + 1)} value={draft}
        onInput={(event) => setDraft(event.currentTarget.value)} onKeyDown={onKeyDown} />
      <p class="hint">The message as it was stays as an alternative.</p>
      <button type="button" class="plain" onClick={onCancel}>Cancel</button>
      <button type="submit" class="primary" disabled={draft.trim() === ""}>Ask</button>
    </form>
  );
}
