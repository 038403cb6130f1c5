import { samplingFields, type SamplingField } from "../store/settings";
import type { Chat } from "../store/storage";
import { IconButton } from "./button";
import { DraftInput } from "./draft_input";
import { useAppState, useController } from "./hooks";

interface Props {
  readonly chat: Chat | undefined;
  readonly open: boolean;
  readonly onClose: () => void;
}

/** What answers are made with: the conversation's system prompt, and how tokens are drawn. */
export function Panel({ chat, open, onClose }: Props) {
  const controller = useController();
  const { draftSystem, draftContext, settings, server } = useAppState();
  const about = chat ? chat.context : (draftContext ?? undefined);
  if (!open) return null;
  return (
    <aside class="panel" aria-label="System prompt and sampling">
      <div class="panel-head">
        <h2>Settings</h2>
        <IconButton icon="close" label="Close the settings" onClick={onClose} />
      </div>
      <label class="field">
        <span>System prompt</span>
        <textarea rows={5} value={chat ? chat.system : draftSystem} placeholder={about === undefined ? "How the model should answer" : ""} disabled={about !== undefined}
          onInput={(event) => controller.setSystem(event.currentTarget.value)} />
        <small>{about === undefined ? "Of this conversation. It is read before everything else." : `A system prompt is read before everything else. This conversation begins with what was read of ${about}, so it takes none.`}</small>
      </label>
      <div class="panel-head">
        <h3>Sampling</h3>
        <button type="button" class="plain" disabled={Object.keys(settings.sampling).length === 0} onClick={() => controller.set({ sampling: {} })}>Reset</button>
      </div>
      {samplingFields.map((field) => (
        <Field key={field.name} field={field} value={settings.sampling[field.name]} model={server?.defaults[field.name]}
          onChange={(value) => controller.setSampling(field.name, value)} />
      ))}
      <label class="field">
        <span>API key</span>
        <DraftInput type="password" autocomplete="off" value={settings.key} placeholder="None" onCommit={(key) => {
          controller.set({ key: key.trim() });
          void controller.connect();
        }} />
        <small>Only where the server asks for one. Kept in this browser.</small>
      </label>
    </aside>
  );
}

interface FieldProps {
  readonly field: SamplingField;
  readonly value: number | undefined;
  /** What holds while the field is empty. */
  readonly model: number | undefined;
  readonly onChange: (value: number | undefined) => void;
}

function Field({ field, value, model, onChange }: FieldProps) {
  const set = (text: string) => {
    const number = Number(text);
    const valid = text !== "" && Number.isFinite(number) && number >= field.min && number <= field.max;
    onChange(valid ? number : undefined);
  };
  const sliding = field.max <= 1000;
  return (
    <div class={value === undefined ? "field sampling" : "field sampling is-set"}>
      <label for={`sampling-${field.name}`}>{field.label}</label>
      <DraftInput id={`sampling-${field.name}`} type="number" min={field.min} max={field.max} step={field.step} aria-describedby={`hint-${field.name}`}
        value={value === undefined ? "" : String(value)} placeholder={model === undefined ? "none" : String(Number(model.toFixed(3)))} onCommit={set} />
      {sliding && (
        <input class="slider" type="range" aria-label={`${field.label}, slider`} min={field.min} max={field.max} step={field.step} value={value ?? model ?? field.min}
          onInput={(event) => set(event.currentTarget.value)} />
      )}
      <small id={`hint-${field.name}`}>{field.hint}</small>
    </div>
  );
}
