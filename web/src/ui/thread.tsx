import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Running } from "../controller";
import type { Chat } from "../store/storage";
import { path } from "../store/tree";
import { IconButton } from "./button";
import { MessageView } from "./message";

/** Nearer to the end than this, in pixels, the thread follows what is written. */
const followWithin = 80;

/** The messages of the branch that is shown. */
export function Thread({ chat, running }: { chat: Chat; running: Running | undefined }) {
  const scroller = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [atEnd, setAtEnd] = useState(true);
  const messages = path(chat.tree);

  const toEnd = () => scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  useLayoutEffect(() => {
    following.current = true;
    toEnd();
  }, [chat.id, messages.length]);
  useLayoutEffect(() => {
    if (following.current) toEnd();
  });
  const onScroll = (element: HTMLElement) => {
    following.current = element.scrollHeight - element.scrollTop - element.clientHeight < followWithin;
    setAtEnd(following.current);
  };

  return (
    <div class="thread-frame">
      <div class="thread" ref={scroller} tabIndex={0} role="region" aria-label="Messages" onScroll={(e) => onScroll(e.currentTarget)}>
        <ol class="messages">
          {messages.map((message) => (
            <MessageView key={message.id} tree={chat.tree} message={message}
              running={running?.message === message.id ? running : undefined} busy={running !== undefined} />
          ))}
        </ol>
      </div>
      {!atEnd && <IconButton class="to-end" icon="down" label="To the end" onClick={toEnd} />}
      <div class="visually-hidden" role="status">{running ? "The answer is being written." : messages.at(-1)?.role === "assistant" ? "The answer has ended." : ""}</div>
    </div>
  );
}
