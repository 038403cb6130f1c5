import { useEffect } from "preact/hooks";
import { IconButton } from "./button";
import { useAppState, useController } from "./hooks";

const shownMs = 8000;

/** One line about what just happened, for a while. */
export function ToastView() {
  const controller = useController();
  const { toast } = useAppState();
  useEffect(() => {
    if (!toast) return undefined;
    const timer = setTimeout(() => controller.say(null), shownMs);
    return () => clearTimeout(timer);
  }, [toast, controller]);
  return (
    <div class="toasts" role="status">
      {toast && (
        <div class="toast">
          <span>{toast.text}</span>
          {toast.action && <button type="button" class="plain" onClick={toast.action.run}>{toast.action.label}</button>}
          <IconButton icon="close" label="Dismiss" onClick={() => controller.say(null)} />
        </div>
      )}
    </div>
  );
}
