import type { Chat } from "../store/storage";
import { IconButton } from "./button";
import { ContextChip } from "./contexts/chip";
import { DraftInput } from "./draft_input";
import { useAppState, useController } from "./hooks";

interface Props {
  readonly chat: Chat | undefined;
  readonly drawer: string;
  readonly onToggle: (which: "chats" | "panel") => void;
}

/** The open conversation's name, which can be changed where it stands. */
export function Header({ chat, drawer, onToggle }: Props) {
  const controller = useController();
  const { draftContext } = useAppState();
  const context = chat ? chat.context : (draftContext ?? undefined);
  return (
    <header class="header">
      <IconButton class="only-narrow" icon="menu" label="Conversations" pressed={drawer === "chats"} onClick={() => onToggle("chats")} />
      {chat ? (
        <>
          <h1 class="visually-hidden">{chat.title}</h1>
          <DraftInput class="title" key={chat.id} aria-label="Name of the conversation" value={chat.title} maxLength={120}
            onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
            onCommit={(title) => controller.rename(chat.id, title)} />
        </>
      ) : (
        <h1 class="title">New conversation</h1>
      )}
      {context !== undefined && <ContextChip name={context} />}
      <IconButton class="only-narrow" icon="plus" label="New conversation" onClick={() => controller.open(null)} />
      <IconButton icon="tune" label="System prompt and sampling" pressed={drawer === "panel"} onClick={() => onToggle("panel")} />
    </header>
  );
}
