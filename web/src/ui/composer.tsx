import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { findContext, obstacle } from "../store/contexts";
import { usedTokens } from "../store/fill";
import type { Chat } from "../store/storage";
import { IconButton } from "./button";
import { DocumentChip, type Documents } from "./documents";
import { count } from "../format";
import { useAppState, useContexts, useController } from "./hooks";
import { Icon } from "./icons";
import { Meter } from "./meter";

interface Props {
  readonly chat: Chat | undefined;
  readonly documents: Documents;
  readonly onFiles: (files: File[]) => void;
}

/** Where a question is written, with the documents that go with it. */
export function Composer({ chat, documents, onFiles }: Props) {
  const controller = useController();
  const { running, server, draftContext } = useAppState();
  const contexts = useContexts();
  const [text, setText] = useState("");
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const busy = chat !== undefined && chat.id in running;
  const tokens = documents.ready.reduce((sum, d) => sum + d.tokens, 0);
  const about = chat ? chat.context : (draftContext ?? undefined);
  const used = usedTokens(chat, about === undefined ? undefined : findContext(contexts, about));
  const tooLong = server !== null && used + tokens >= server.contextLength;
  const why = about === undefined || !server ? "" : obstacle(about, contexts, server.contextLength);
  const mayAsk = !busy && !tooLong && why === "" && documents.counting.length === 0 && server !== null;
  const canSend = (words: string) => mayAsk && (words.trim() !== "" || documents.ready.length > 0);

  useEffect(() => area.current?.focus(), [chat?.id, draftContext]);
  useLayoutEffect(() => {
    if (!area.current) return;
    area.current.style.height = "auto";
    area.current.style.height = `${area.current.scrollHeight}px`;
  }, [text]);

  const send = () => {
    // The element's own text: keys may come faster than the page is drawn.
    const words = area.current?.value ?? text;
    if (!canSend(words)) return;
    void controller.submit(words, documents.ready);
    setText("");
    documents.clear();
  };
  const keep = () => controller.contexts.show({ kind: "write", mode: "new", name: "", given: { documents: documents.ready, taken: documents.clear } });
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  };
  const onPaste = (event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    onFiles(files);
  };
  return (
    <div class="composer-place">
      <form class="composer" onSubmit={(event) => {
        event.preventDefault();
        send();
      }}>
        {(documents.ready.length > 0 || documents.counting.length > 0) && (
          <div class="chips">
            {documents.ready.map((d, i) => <DocumentChip key={i} document={d} onRemove={() => documents.remove(i)} />)}
            {documents.counting.map((name) => <div key={name} class="chip is-busy" role="status">Counting the tokens of {name}…</div>)}
            {contexts.available === "on" && about === undefined && documents.counting.length === 0 && (
              <button type="button" class="plain" title="Read once by the server, for many conversations" onClick={keep}>Keep as a context…</button>
            )}
          </div>
        )}
        <textarea id="question" ref={area} rows={1} aria-label="Question" placeholder={about === undefined ? "Ask, or drop in a long text" : `Ask about ${about}`} value={text}
          onInput={(event) => setText(event.currentTarget.value)} onKeyDown={onKeyDown} onPaste={onPaste} />
        <div class="composer-tools">
          <IconButton icon="clip" label="Attach a text file" onClick={() => picker.current?.click()} />
          <input ref={picker} type="file" multiple hidden aria-label="Text files" onChange={(event) => {
            onFiles([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = "";
          }} />
          <span class="composer-hint">
            {why !== "" ? <strong role="alert">{why}</strong>
              : tooLong ? <strong role="alert">{count(used + tokens)} tokens; the context holds {count(server.contextLength)}</strong>
              : "Enter sends, Shift Enter begins a line"}
          </span>
          {busy ? (
            <button type="button" class="send" aria-label="Stop" title="Stop (Esc)" onClick={() => controller.stop()}><Icon name="stop" /></button>
          ) : (
            <button type="submit" class="send" aria-label="Send" title="Send" disabled={!canSend(text)}><Icon name="send" /></button>
          )}
        </div>
      </form>
      <Meter chat={chat} />
    </div>
  );
}
