import { Icon, type IconName } from "./icons";

interface Props {
  readonly icon: IconName;
  readonly label: string;
  readonly onClick: () => void;
  readonly disabled?: boolean;
  readonly pressed?: boolean;
  readonly class?: string;
}

/** A button that is an icon; its label is its name and its tooltip. */
export function IconButton({ icon, label, onClick, disabled = false, pressed, class: className = "" }: Props) {
  return (
    <button type="button" class={`icon-button ${className}`} aria-label={label} title={label} onClick={onClick}
      disabled={disabled} aria-pressed={pressed}>
      <Icon name={icon} />
    </button>
  );
}
