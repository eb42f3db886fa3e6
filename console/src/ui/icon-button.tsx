import type { JSX } from "preact";
import { Button, type ButtonProps } from "./basics.tsx";
import type { IconName } from "./icons.tsx";

interface IconButtonProps extends Omit<ButtonProps, "look" | "children" | "title" | "aria-label"> {
  icon: IconName;
  /** What it does: seen when it is pointed at, and read aloud. */
  label: string;
}

/** A picture alone that does something. */
export function IconButton({ label, ...rest }: IconButtonProps): JSX.Element {
  return <Button {...rest} look="plain" aria-label={label} title={label} />;
}
