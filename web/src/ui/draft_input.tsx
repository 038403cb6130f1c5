import type { JSX } from "preact";
import { useState } from "preact/hooks";

type Props = Omit<JSX.InputHTMLAttributes<HTMLInputElement>, "value" | "onInput" | "onChange" | "onBlur"> & {
  readonly value: string;
  readonly onCommit: (text: string) => void;
};

/** An input whose text counts once it is left: until then what is typed stays, however often the page is drawn meanwhile. */
export function DraftInput({ value, onCommit, ...others }: Props) {
  const [draft, setDraft] = useState<string | null>(null);
  return (
    <input {...others} value={draft ?? value} onInput={(event) => setDraft(event.currentTarget.value)} onBlur={() => setDraft(null)}
      onChange={(event) => {
        setDraft(null);
        onCommit(event.currentTarget.value);
      }} />
  );
}
