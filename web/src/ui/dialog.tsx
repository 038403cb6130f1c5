import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { IconButton } from "./button";
import { Icon, type IconName } from "./icons";

interface Props {
  readonly icon: IconName;
  readonly title: string;
  readonly onClose: () => void;
  /** Files that are dropped on it; without this they are for the page below. */
  readonly onFiles?: (files: File[]) => void;
  readonly children: ComponentChildren;
}

/** A window above the page, which cannot be used meanwhile. Escape closes it and the focus goes back to where it was. */
export function Dialog({ icon, title, onClose, onFiles, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  const onDrop = (event: DragEvent) => {
    if (!onFiles || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.type === "drop") onFiles([...event.dataTransfer.files]);
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="dialog-title" onDragOver={onDrop} onDrop={onDrop}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}>
      <div class="dialog-head">
        <span class="chip-icon"><Icon name={icon} /></span>
        <h2 id="dialog-title">{title}</h2>
        <IconButton icon="close" label="Close" onClick={onClose} />
      </div>
      {children}
    </dialog>
  );
}
