import type { ComponentChildren, JSX } from "preact";

interface FactProps {
  title: string;
  children: ComponentChildren;
}

/** A name and its value in a `<dl class="facts">`. Nothing where there is no value: null or an empty text. */
export function Fact({ title, children }: FactProps): JSX.Element | null {
  if (children === null || children === "") return null;
  return (
    <>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </>
  );
}

interface StatProps {
  name: string;
  value: ComponentChildren;
  /** In small letters below the value. */
  more?: string | undefined;
}

/** A number in a `<dl class="stats">`. */
export function Stat({ name, value, more }: StatProps): JSX.Element {
  return (
    <div class="stat">
      <dt>{name}</dt>
      <dd>
        {value}
        {more === undefined ? null : <small>{more}</small>}
      </dd>
    </div>
  );
}
