import type { JSX } from "preact";
import { viewerZone } from "../lib/format.ts";
import { localInput, utcOfInput } from "../lib/local-input.ts";
import { Field } from "./basics.tsx";

interface TimeFieldProps {
  label: string;
  /** RFC 3339, UTC. */
  value: string | null;
  onChange: (utc: string | null) => void;
}

/** A time in the viewer's zone. */
export function TimeField({ label, value, onChange }: TimeFieldProps): JSX.Element {
  return (
    <Field label={label}>
      {(id) => (
        <input
          id={id}
          class="input"
          type="datetime-local"
          title={viewerZone()}
          value={localInput(value)}
          onChange={(event) => onChange(utcOfInput(event.currentTarget.value))}
        />
      )}
    </Field>
  );
}
