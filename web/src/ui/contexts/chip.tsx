import { findContext, obstacle } from "../../store/contexts";
import { count } from "../../format";
import { useAppState, useContexts, useController } from "../hooks";
import { Icon } from "../icons";

/** The context that a conversation is about, in its header. */
export function ContextChip({ name }: { name: string }) {
  const controller = useController();
  const { server } = useAppState();
  const contexts = useContexts();
  const entry = findContext(contexts, name);
  const why = obstacle(name, contexts, server?.contextLength ?? Infinity);
  const show = () => controller.contexts.show(contexts.available === "off" ? { kind: "off" } : { kind: "details", name });
  return (
    <button type="button" class={why === "" ? "context-chip" : "context-chip is-bad"} title={why || "What this conversation is about"} aria-label={`Context ${name}`} onClick={show}>
      <Icon name="book" />
      <span>{name}</span>
      {entry && entry.problem === "" && <small>{count(entry.tokens)} tokens</small>}
    </button>
  );
}
