import { useEffect, useRef, useState } from "preact/hooks";
import { useAppState, useController } from "./hooks";
import { Icon } from "./icons";

/** Asks for the key where the server wants one. */
export function KeyDialog() {
  const controller = useController();
  const { needsKey, serverNote } = useAppState();
  const [key, setKey] = useState("");
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (needsKey) dialog.current?.showModal();
    else dialog.current?.close();
  }, [needsKey]);
  return (
    <dialog ref={dialog} class="key-dialog" aria-labelledby="key-title">
      <form onSubmit={(event) => {
        event.preventDefault();
        controller.set({ key: key.trim() });
        void controller.connect();
      }}>
        <Icon name="key" />
        <h2 id="key-title">This server asks for a key</h2>
        <input type="password" autocomplete="off" aria-label="API key" value={key} onInput={(event) => setKey(event.currentTarget.value)} />
        {serverNote !== "" && <p class="note" role="alert">{serverNote}</p>}
        <button type="submit" class="primary" disabled={key.trim() === ""}>Connect</button>
      </form>
    </dialog>
  );
}
