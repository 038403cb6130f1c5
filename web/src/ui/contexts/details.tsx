import { useEffect, useRef, useState } from "preact/hooks";
import type { ContextInfo, ContextReport } from "../../api/contexts";
import { findContext, isContextName, obstacle, suggestName } from "../../store/contexts";
import { Dialog } from "../dialog";
import { bytes, count } from "../../format";
import { useAppState, useContexts, useController } from "../hooks";
import { Icon, type IconName } from "../icons";

type Pane = "none" | "fork" | "verify" | "delete";

/** What a context holds, and what can be done with it. */
export function DetailsDialog({ name }: { name: string }) {
  const controller = useController();
  const contexts = useContexts();
  const { server } = useAppState();
  const [pane, setPane] = useState<Pane>("none");
  const [cut, setCut] = useState("");
  const deeds = useRef<HTMLDivElement>(null);
  const entry = findContext(contexts, name);
  const why = obstacle(name, contexts, server?.contextLength ?? Infinity);
  const close = () => controller.contexts.show(null);
  useEffect(() => deeds.current?.querySelector<HTMLElement>("button:enabled")?.focus(), []);
  const toggle = (which: Pane) => setPane(pane === which ? "none" : which);
  return (
    <Dialog icon="book" title={name} onClose={close}>
      {entry?.problem && <p class="note is-bad">{entry.problem}</p>}
      {why !== "" && !entry?.problem && <p class="note is-bad">{why}</p>}
      {entry && entry.problem === "" && <Facts entry={entry} />}
      <div ref={deeds} class="deeds">
        {entry && entry.problem === "" && (entry.complete ? (
          <Deed icon="plus" label="Ask" primary disabled={why !== ""} onClick={() => {
            close();
            controller.openContext(name);
          }} />
        ) : (
          <Deed icon="retry" label="Finish reading" primary onClick={() => controller.contexts.show({ kind: "write", mode: "finish", name })} />
        ))}
        {entry && entry.problem === "" && entry.complete && <Deed icon="file" label="Add text" onClick={() => controller.contexts.show({ kind: "write", mode: "append", name })} />}
        {entry && entry.problem === "" && <Deed icon="fork" label="Fork" pressed={pane === "fork"} onClick={() => toggle("fork")} />}
        {entry && <Deed icon="shield" label="Verify" pressed={pane === "verify"} onClick={() => toggle("verify")} />}
        {entry && <Deed icon="trash" label="Delete" pressed={pane === "delete"} onClick={() => toggle("delete")} />}
        {!entry && controller.context === name && <Deed icon="close" label="Go on without it" onClick={() => {
          controller.leaveContext();
          close();
        }} />}
      </div>
      {pane === "fork" && entry && <Fork entry={entry} at={cut} />}
      {pane === "verify" && entry && <Verify name={name} onFork={(tokens) => {
        setCut(String(tokens));
        setPane("fork");
      }} />}
      {pane === "delete" && <Delete name={name} onCancel={() => setPane("none")} onDone={close} />}
    </Dialog>
  );
}

interface DeedProps {
  readonly icon: IconName;
  readonly label: string;
  readonly primary?: boolean;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
  readonly onClick: () => void;
}

function Deed({ icon, label, primary = false, pressed, disabled = false, onClick }: DeedProps) {
  return (
    <button type="button" class={primary ? "deed primary" : "deed"} disabled={disabled} aria-expanded={pressed} onClick={onClick}>
      <Icon name={icon} />
      {label}
    </button>
  );
}

function Facts({ entry }: { entry: ContextInfo }) {
  const { checkpoints } = entry;
  const last = checkpoints[checkpoints.length - 1];
  const facts: [string, string][] = [
    ["Tokens", count(entry.tokens)],
    ["Size", bytes(entry.bytes)],
    ["Kept states", last === undefined ? "none" : `${count(checkpoints.length)}, the last at token ${count(last)}`],
    ["Numbers", `${entry.kvDtype} keys and values, ${entry.stateFormat} states`],
    ["Read by", entry.backend],
  ];
  return (
    <dl class="facts">
      {facts.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Fork({ entry, at }: { entry: ContextInfo; at: string }) {
  const controller = useController();
  const contexts = useContexts();
  const [name, setName] = useState(() => suggestName(entry.name, contexts));
  const [cut, setCut] = useState(at);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.select(), []);
  const tokens = cut.trim() === "" ? undefined : Number(cut);
  const cutIsValid = tokens === undefined ? entry.complete : Number.isInteger(tokens) && tokens >= 1 && tokens <= entry.tokens;
  const fork = async () => {
    setBusy(true);
    try {
      await controller.contexts.fork(entry.name, name, tokens);
      controller.contexts.show({ kind: "details", name });
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason));
      setBusy(false);
    }
  };
  return (
    <form class="pane" onSubmit={(event) => {
      event.preventDefault();
      void fork();
    }}>
      <p class="hint">A context of its own that begins alike. Both share what they have in common on the disk.</p>
      <div class="columns">
        <label class="field">
          <span>Name of the fork</span>
          <input ref={first} type="text" value={name} maxLength={100} autocomplete="off" spellcheck={false} aria-invalid={!isContextName(name)} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>First tokens</span>
          <input type="number" min={1} max={entry.tokens} step={1} value={cut} placeholder={entry.complete ? `all ${count(entry.tokens)}` : ""} list="checkpoints" aria-invalid={!cutIsValid}
            onInput={(event) => setCut(event.currentTarget.value)} />
          <datalist id="checkpoints">{entry.checkpoints.map((tokens) => <option key={tokens} value={tokens} />)}</datalist>
        </label>
      </div>
      {error !== "" && <p class="note is-bad" role="alert">{error}</p>}
      <div class="dialog-actions">
        <button type="submit" class="primary" disabled={busy || !isContextName(name) || !cutIsValid}>Fork</button>
      </div>
    </form>
  );
}

function Verify({ name, onFork }: { name: string; onFork: (tokens: number) => void }) {
  const controller = useController();
  const [report, setReport] = useState<ContextReport | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    let shown = true;
    controller.contexts.verify(name).then((r) => shown && setReport(r), (reason: Error) => shown && setError(reason.message));
    return () => void (shown = false);
  }, [name, controller]);
  const usable = report && !report.ok ? report.usableTokens : 0;
  return (
    <div class="pane" role="status">
      {error !== "" ? <p class="note is-bad">{error}</p>
        : !report ? <p>Reading every byte…</p>
        : report.ok ? <p class="is-good"><Icon name="check" />Every byte is as it was written.</p>
        : <>
            <ul class="problems">{report.problems.map((problem) => <li key={problem}>{problem}</li>)}</ul>
            <p>{usable > 0 ? `Its first ${count(usable)} tokens are whole: a fork of them can be used.` : "Nothing of it can be used. Delete it, and read the text anew."}</p>
            {usable > 0 && <div class="dialog-actions"><button type="button" class="primary" onClick={() => onFork(usable)}>Fork {count(usable)} tokens</button></div>}
          </>}
    </div>
  );
}

function Delete({ name, onCancel, onDone }: { name: string; onCancel: () => void; onDone: () => void }) {
  const controller = useController();
  const { chats } = useAppState();
  const [error, setError] = useState("");
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => first.current?.focus(), []);
  const about = chats.filter((chat) => chat.context === name).length;
  const remove = async () => {
    try {
      await controller.contexts.remove(name);
      controller.say({ text: `${name} is deleted` });
      onDone();
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason));
    }
  };
  return (
    <div class="pane" role="group" aria-label={`Delete ${name}`}>
      <p>
        Delete {name} from the server's disk? This cannot be undone.
        {about > 0 && ` ${about === 1 ? "A conversation" : `${count(about)} conversations`} of this browser could then not go on.`}
      </p>
      {error !== "" && <p class="note is-bad" role="alert">{error}</p>}
      <div class="dialog-actions">
        <button ref={first} type="button" class="plain" onClick={onCancel}>Keep it</button>
        <button type="button" class="danger" onClick={() => void remove()}>Delete {name}</button>
      </div>
    </div>
  );
}
