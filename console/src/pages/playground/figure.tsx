import type { ComponentChildren, JSX } from "preact";

interface FigureProps {
  name: string;
  hint?: string;
  children: ComponentChildren;
}

/** One of the figures below an answer. */
export function Figure({ name, hint, children }: FigureProps): JSX.Element {
  return (
    <div title={hint}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
