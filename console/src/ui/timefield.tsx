import type { JSX } from "preact";
import { viewerZone } from "../lib/format.ts";
import { Field } from "./basics.tsx";

interface TimeFieldProps {
  label: string;
  /** RFC 3339, UTC. */
  value: string | null;
  onChange: (utc: string | null) => void;
}

/** As `<input type="datetime-local">` has it: the viewer's zone, to the minute. */
function localText(utc: string): string {
  const at = new Date(utc);
  if (Number.isNaN(at.getTime())) return "";
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
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
          value={value === null ? "" : localText(value)}
          onChange={(event) => {
            const at = new Date(event.currentTarget.value);
            onChange(Number.isNaN(at.getTime()) ? null : at.toISOString());
          }}
        />
      )}
    </Field>
  );
}
