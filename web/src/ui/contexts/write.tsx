import { useEffect, useRef, useState } from "preact/hooks";
import type { Given } from "../../contexts_controller";
import { findContext, isContextName, suggestName, type Writing } from "../../store/contexts";
import { joinTexts } from "../../store/prompt";
import { Dialog } from "../dialog";
import { DocumentChip, useDocuments } from "../documents";
import { count } from "../../format";
import { useAppState, useContexts, useController } from "../hooks";
import { Icon } from "../icons";
import { ReadingBar } from "../reading_bar";

type Mode = "new" | "append" | "finish";

interface Props {
  readonly mode: Mode;
  /** Empty for a new one that has none yet. */
  readonly name: string;
}

/** A text for a context: chosen, then read. */
export function WriteDialog({ mode, name, given }: Props & { given: Given | undefined }) {
  const controller = useController();
  const { writing } = useContexts();
  const documents = useDocuments((message) => setError(message), given?.documents);
  const [error, setError] = useState("");
  const running = name === "" ? undefined : writing.get(name);
  const title = mode === "new" ? (running ? name : "New context") : mode === "append" ? `Add text to ${name}` : `Finish ${name}`;
  return (
    <Dialog icon="book" title={title} onClose={() => controller.contexts.show(null)}
      onFiles={(files) => {
        if (!running) for (const file of files) void documents.add(file);
      }}>
      {running && <Progress writing={running} />}
      {/* It stays while the text is read: should the server refuse it, everything is as it was. */}
      <WriteForm mode={mode} name={name} hidden={running !== undefined} documents={documents} error={error} onError={setError} onStart={given?.taken} />
    </Dialog>
  );
}

function Progress({ writing }: { writing: Writing }) {
  const controller = useController();
  const contexts = useContexts();
  const { name, halted, prefill } = writing;
  const entry = findContext(contexts, name);
  const kept = entry?.tokens ?? 0;
  const first = useRef<HTMLButtonElement>(null);
  // The form that had the focus is gone.
  useEffect(() => first.current?.focus(), [halted === null]);
  const close = () => controller.contexts.show(null);
  const discard = () => {
    // What is read may have taken hours: the details ask before it is deleted.
    if (entry) return controller.contexts.show({ kind: "details", name });
    controller.contexts.forget(name);
    close();
  };
  if (halted !== null) {
    return (
      <>
        <p role="status">
          <strong>{sentence(halted)}</strong>{" "}
          {prefill && kept > 0 ? `${count(kept)} of ${count(prefill.total)} tokens are kept. Reading goes on from there.` : "Nothing is kept yet."}
        </p>
        <div class="dialog-actions">
          <button type="button" class="plain" onClick={writing.kind === "create" ? discard : close}>{writing.kind === "create" ? "Discard" : "Later"}</button>
          <button type="button" ref={first} class="primary" onClick={() => void controller.contexts.resume(name)}>Go on</button>
        </div>
      </>
    );
  }
  return (
    <>
      <ReadingBar title="Reading" label={`Tokens of ${name} that are read`} startedAt={writing.startedAt} prefill={prefill} />
      <p class="hint">Reading goes on when this window is closed, and stops when the page is.</p>
      <div class="dialog-actions">
        <button type="button" class="plain" onClick={() => controller.contexts.stop(name)}>Stop</button>
        <button type="button" ref={first} class="primary" onClick={close}>Read in the background</button>
      </div>
    </>
  );
}

interface FormProps extends Props {
  readonly hidden: boolean;
  readonly documents: ReturnType<typeof useDocuments>;
  readonly error: string;
  readonly onError: (message: string) => void;
  readonly onStart: (() => void) | undefined;
}

/** Pasted text is counted once nothing was typed for this long. */
const countAfterMs = 500;

function WriteForm({ mode, name, hidden, documents, error, onError, onStart }: FormProps) {
  const controller = useController();
  const contexts = useContexts();
  const { server } = useAppState();
  const [chosen, setChosen] = useState<string | null>(null);
  const [pasted, setPasted] = useState("");
  const [pastedTokens, setPastedTokens] = useState<number | null>(0);
  const picker = useRef<HTMLInputElement>(null);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector<HTMLElement>("input[type=text], .pick")?.focus(), []);
  useEffect(() => {
    if (pasted.trim() === "") return setPastedTokens(0);
    setPastedTokens(null);
    let current = true;
    const timer = setTimeout(() => {
      controller.countTokens(pasted).then((tokens) => current && setPastedTokens(tokens), (reason: unknown) => {
        if (!current) return;
        setPastedTokens(0);
        onError(reason instanceof Error ? reason.message : String(reason));
      });
    }, countAfterMs);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [pasted, controller]);

  const title = documents.ready[0]?.name ?? pasted.trim().split("\n")[0]?.slice(0, 40) ?? "";
  const newName = mode === "new" ? (chosen ?? (title === "" ? "" : suggestName(title, contexts))) : name;
  const taken = mode === "new" && (contexts.entries.some((entry) => entry.name === newName) || contexts.writing.has(newName));
  const nameError = mode !== "new" || newName === "" ? "" : !isContextName(newName) ? "Letters, digits, . _ and - only, with no dot at the beginning" : taken ? "There is one of this name already" : "";
  const before = mode === "append" ? (contexts.entries.find((entry) => entry.name === name)?.tokens ?? 0) : 0;
  const counting = documents.counting.length > 0 || pastedTokens === null;
  const tokens = documents.ready.reduce((sum, d) => sum + d.tokens, 0) + (pastedTokens ?? 0);
  const room = server?.contextLength ?? 0;
  const tooLong = before + tokens >= room;
  const isEmpty = documents.ready.length === 0 && pasted.trim() === "";
  const ready = newName !== "" && nameError === "" && !isEmpty && !counting && !tooLong;

  const start = async () => {
    if (!ready) return;
    onError("");
    onStart?.();
    const text = joinTexts([...documents.ready.map((d) => d.text), pasted]);
    controller.contexts.show({ kind: "write", mode, name: newName });
    const { contexts: all } = controller;
    onError(await (mode === "new" ? all.create(newName, text) : mode === "append" ? all.append(newName, text) : all.finish(newName, text)));
  };
  return (
    <form ref={form} class="dialog-form" hidden={hidden} onSubmit={(event) => {
      event.preventDefault();
      void start();
    }}>
      <p class="hint">{explanations[mode]}</p>
      {mode === "new" && (
        <label class="field">
          <span>Name</span>
          <input type="text" value={newName} maxLength={100} autocomplete="off" spellcheck={false} placeholder="my-book" aria-describedby="context-name-hint" aria-invalid={nameError !== ""}
            onInput={(event) => setChosen(event.currentTarget.value)} />
          <small id="context-name-hint" class={nameError === "" ? "" : "is-bad"}>{nameError || "Letters, digits, . _ and -"}</small>
        </label>
      )}
      <div class="field">
        <span>Text</span>
        {(documents.ready.length > 0 || documents.counting.length > 0) && (
          <div class="chips">
            {documents.ready.map((d, i) => <DocumentChip key={i} document={d} onRemove={() => documents.remove(i)} />)}
            {documents.counting.map((file) => <div key={file} class="chip is-busy" role="status">Counting the tokens of {file}…</div>)}
          </div>
        )}
        <button type="button" class="pick" onClick={() => picker.current?.click()}>
          <Icon name="upload" />
          <span><strong>Choose text files</strong> or drop them here</span>
        </button>
        <input ref={picker} type="file" multiple hidden aria-label="Text files of the context" onChange={(event) => {
          for (const file of event.currentTarget.files ?? []) void documents.add(file);
          event.currentTarget.value = "";
        }} />
        <textarea rows={3} aria-label="Pasted text" placeholder="… or paste text" value={pasted} onInput={(event) => setPasted(event.currentTarget.value)} />
      </div>
      {error !== "" && <p class="note is-bad" role="alert">{error}</p>}
      <div class="dialog-actions">
        <span class="dialog-sum" role="status">
          {isEmpty ? "" : counting ? "Counting tokens…" : tooLong ? <strong class="is-bad">{count(before + tokens)} tokens; this server has room for {count(room)}</strong> : `${count(tokens)} tokens`}
        </span>
        <button type="submit" class="primary" disabled={!ready}>{mode === "new" ? "Read" : mode === "append" ? "Add" : "Finish"}</button>
      </div>
    </form>
  );
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

const explanations: Readonly<Record<Mode, string>> = {
  new: "The text is read once and kept by the server. Every conversation about it begins at once.",
  append: "It is read after what the context holds. Conversations about it know of both from then on.",
  finish: "Reading was interrupted. Give the same text again: what is read already is not read anew.",
};
