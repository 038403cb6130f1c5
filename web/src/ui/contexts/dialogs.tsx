import { Dialog } from "../dialog";
import { useContexts, useController } from "../hooks";
import { DetailsDialog } from "./details";
import { WriteDialog } from "./write";

/** What is shown of contexts above the page. */
export function ContextDialogs() {
  const controller = useController();
  const { dialog } = useContexts();
  switch (dialog?.kind) {
    case "write":
      return <WriteDialog key={dialog.mode} mode={dialog.mode} name={dialog.name} given={dialog.given} />;
    case "details":
      return <DetailsDialog key={dialog.name} name={dialog.name} />;
    case "off":
      return (
        <Dialog icon="book" title="Contexts are switched off" onClose={() => controller.contexts.show(null)}>
          <p>A context is a long text that the server has read once and keeps on its disk: each conversation about it begins at once.</p>
          <p>Whoever may use this page may then also make and delete contexts, so the server has them only if it is started with a folder for them:</p>
          <pre class="command">minimax serve --context-dir contexts</pre>
        </Dialog>
      );
    default:
      return null;
  }
}
