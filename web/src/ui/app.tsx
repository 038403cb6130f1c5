import { useEffect, useRef, useState } from "preact/hooks";
import { Composer } from "./composer";
import { ContextDialogs } from "./contexts/dialogs";
import { Drop } from "./drop";
import { Header } from "./header";
import { useAppState, useController } from "./hooks";
import { KeyDialog } from "./key_dialog";
import { Panel } from "./panel";
import { Sidebar } from "./sidebar";
import { Thread } from "./thread";
import { ToastView } from "./toast";
import { Welcome } from "./welcome";
import { useDocuments } from "./documents";

/** The page: conversations on the left, the open one in the middle, its settings on the right. */
export function App() {
  const state = useAppState();
  const controller = useController();
  const documents = useDocuments((text) => controller.say({ text }));
  const [drawer, setDrawer] = useState<"none" | "chats" | "panel">("none");
  const main = useRef<HTMLElement>(null);
  const chat = state.chats.find((c) => c.id === state.current);
  const empty = !chat || chat.tree.messages.length === 0;

  useEffect(() => {
    if (state.settings.theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = state.settings.theme;
  }, [state.settings.theme]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
      if (drawer !== "none") setDrawer("none");
      else controller.stop();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [drawer, controller]);

  // A conversation that is opened is what is wanted to be seen.
  useEffect(() => setDrawer((shown) => (shown === "chats" ? "none" : shown)), [state.current, state.draftContext]);

  const toggle = (which: "chats" | "panel") => setDrawer(drawer === which ? "none" : which);
  const take = (files: File[]) => {
    for (const file of files) {
      if (/\.json$/i.test(file.name) && file.size < 64e6) void takeJson(file);
      else void documents.add(file);
    }
  };
  const takeJson = async (file: File) => {
    const text = await file.text();
    if (text.includes('"minimax-chat-1"')) controller.importText(text);
    else await documents.add(file);
  };

  return (
    <div class={`app drawer-${drawer}`}>
      <a class="skip" href="#question" onClick={() => document.getElementById("question")?.focus()}>Skip to the question</a>
      <Sidebar onDone={() => setDrawer("none")} />
      <main ref={main} class={empty ? "main is-empty" : "main"}>
        <Header chat={chat} drawer={drawer} onToggle={toggle} />
        {chat && !empty ? <Thread chat={chat} running={state.running[chat.id]} /> : <Welcome />}
        <Composer chat={chat} documents={documents} onFiles={take} />
      </main>
      <Panel chat={chat} open={drawer === "panel"} onClose={() => setDrawer("none")} />
      {drawer !== "none" && <div class={`veil veil-${drawer}`} onClick={() => setDrawer("none")} />}
      <Drop onFiles={take} />
      <ContextDialogs />
      <KeyDialog />
      <ToastView />
    </div>
  );
}
