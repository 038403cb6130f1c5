import { useState } from "preact/hooks";
import type { TextDocument } from "../store/tree";
import { IconButton } from "./button";
import { count } from "../format";
import { useController } from "./hooks";
import { Icon } from "./icons";

/** Documents that wait to be sent. */
export interface Documents {
  readonly ready: readonly TextDocument[];
  /** Names of those whose tokens are being counted. */
  readonly counting: readonly string[];
  add(file: File): Promise<void>;
  remove(index: number): void;
  clear(): void;
}

/** `onError` is told what is wrong with a file; `given` are there from the beginning. */
export function useDocuments(onError: (message: string) => void, given: readonly TextDocument[] = []): Documents {
  const controller = useController();
  const [ready, setReady] = useState(given);
  const [counting, setCounting] = useState<readonly string[]>([]);
  const add = async (file: File) => {
    setCounting((names) => [...names, file.name]);
    try {
      const document = await controller.readDocument(file);
      setReady((all) => [...all, document]);
    } catch (error) {
      onError(error instanceof Error ? error.message : String(error));
    } finally {
      setCounting((names) => names.filter((_, i) => i !== names.indexOf(file.name)));
    }
  };
  return {
    ready,
    counting,
    add,
    remove: (index) => setReady((all) => all.filter((_, i) => i !== index)),
    clear: () => setReady([]),
  };
}

interface ChipProps {
  readonly document: TextDocument;
  readonly onRemove?: () => void;
}

export function DocumentChip({ document, onRemove }: ChipProps) {
  return (
    <div class="chip">
      <span class="chip-icon"><Icon name="file" /></span>
      <span class="chip-words">
        <strong>{document.name}</strong>
        <small>{count(document.tokens)} tokens</small>
      </span>
      {onRemove && <IconButton icon="close" label={`Remove ${document.name}`} onClick={onRemove} />}
    </div>
  );
}
