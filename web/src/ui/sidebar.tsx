import { useRef } from "preact/hooks";
import { exportConversation } from "../store/exchange";
import type { Theme } from "../store/settings";
import type { Chat } from "../store/storage";
import { IconButton } from "./button";
import { ContextsSection } from "./contexts/section";
import { useAppState, useController } from "./hooks";
import { Icon, Mark, type IconName } from "./icons";
import { groupByAge } from "./groups";

const themes: readonly { theme: Theme; icon: IconName; label: string }[] = [
  { theme: "auto", icon: "auto", label: "As the system" },
  { theme: "light", icon: "sun", label: "Light" },
  { theme: "dark", icon: "moon", label: "Dark" },
];

/** The conversations of this browser, and what the page is about. */
export function Sidebar({ onDone }: { onDone: () => void }) {
  const controller = useController();
  const { chats, current, running, server, serverNote, settings } = useAppState();
  const file = useRef<HTMLInputElement>(null);
  const open = (id: string | null) => {
    controller.open(id);
    onDone();
    if (id === null) document.getElementById("question")?.focus();
  };
  const importFile = async (input: HTMLInputElement) => {
    for (const picked of input.files ?? []) controller.importText(await picked.text());
    input.value = "";
  };
  return (
    <nav class="sidebar" aria-label="Conversations">
      <div class="brand">
        <Mark />
        <span>minimax</span>
        <IconButton class="only-narrow" icon="close" label="Close" onClick={onDone} />
      </div>
      <button type="button" class="new-chat" onClick={() => open(null)}>
        <Icon name="plus" />
        New conversation
      </button>
      <div class="chats">
        <ContextsSection onDone={onDone} />
        {chats.length === 0 && <p class="hint">Conversations stay in this browser. They will be listed here.</p>}
        {groupByAge(chats, Date.now()).map((group) => (
          <section key={group.name}>
            <h2>{group.name}</h2>
            <ul>
              {group.chats.map((chat) => (
                <Item key={chat.id} chat={chat} current={chat.id === current} busy={chat.id in running} onOpen={() => open(chat.id)} />
              ))}
            </ul>
          </section>
        ))}
      </div>
      <footer>
        <div class="server" title={server ? `${server.backend}, up to ${server.contextLength} tokens` : ""}>
          <span class={server && serverNote === "" ? "dot is-on" : "dot"} />
          <span class="server-name">{serverNote || server?.model || "Connecting…"}</span>
        </div>
        <div class="tools">
          <div class="segments" role="group" aria-label="Colours">
            {themes.map(({ theme, icon, label }) => (
              <IconButton key={theme} icon={icon} label={label} pressed={settings.theme === theme} onClick={() => controller.set({ theme })} />
            ))}
          </div>
          <IconButton icon="upload" label="Import a conversation" onClick={() => file.current?.click()} />
          <input ref={file} type="file" accept=".json,application/json" multiple hidden aria-label="Exported conversations"
            onChange={(event) => void importFile(event.currentTarget)} />
        </div>
      </footer>
    </nav>
  );
}

interface ItemProps {
  readonly chat: Chat;
  readonly current: boolean;
  readonly busy: boolean;
  readonly onOpen: () => void;
}

function Item({ chat, current, busy, onOpen }: ItemProps) {
  const controller = useController();
  return (
    <li class={current ? "item is-current" : "item"}>
      <button type="button" class="item-open" aria-current={current ? "true" : undefined} onClick={onOpen}>
        {busy ? <span class="dot is-busy" role="img" aria-label="answering" /> : chat.context !== undefined && <Icon name="book" />}
        <span>{chat.title}</span>
      </button>
      <IconButton icon="download" label={`Export ${chat.title}`} onClick={() => download(chat)} />
      <IconButton icon="trash" label={`Delete ${chat.title}`} onClick={() => controller.remove(chat.id)} />
    </li>
  );
}

function download(chat: Chat): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([exportConversation(chat)], { type: "application/json" }));
  link.download = `${chat.title.replace(/[^\p{L}\p{N} ._-]/gu, "").trim().slice(0, 60) || "conversation"}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
