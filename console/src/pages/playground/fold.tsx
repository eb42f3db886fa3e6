import type { JSX } from "preact";
import { Icon } from "../../ui/icons.tsx";

/** The button above something that can be folded away. */
export function Fold({
  label,
  isOpen,
  onToggle,
}: {
  label: string;
  isOpen: boolean;
  onToggle: () => void;
}): JSX.Element {
  return (
    <button type="button" class="fold" aria-expanded={isOpen} onClick={onToggle}>
      <Icon name={isOpen ? "down" : "right"} />
      {label}
    </button>
  );
}
