import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { textsOf } from "../../i18n/texts.ts";
import { Segments } from "../../ui/basics.tsx";
import { Code } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import type { Body } from "./body.ts";
import { KEY_VARIABLE, snippetOf, TONGUES, type Tongue, withoutData } from "./snippets.ts";
import { PLAYGROUND } from "./texts.ts";

/** Requests as code. */
export function CodeDialog({
  bodies,
  onClose,
}: {
  bodies: readonly Body[];
  onClose: () => void;
}): JSX.Element {
  const t = textsOf(PLAYGROUND).snippet;
  const [tongue, setTongue] = useState<Tongue>("curl");
  const [place, setPlace] = useState("0");
  const body = bodies[Number(place)];
  const text = body === undefined ? "" : snippetOf(tongue, body, location.origin);
  const shown = withoutData(text);
  return (
    <Dialog title={t.title} look="wide" onClose={onClose}>
      <div class="row">
        <Segments
          label={t.title}
          value={tongue}
          options={TONGUES.map((each) => [each, t.tongues[each]] as const)}
          onChange={setTongue}
        />
        {bodies.length > 1 ? (
          <Segments
            label={t.of}
            value={place}
            options={bodies.map(({ model }, index) => [String(index), model] as const)}
            onChange={setPlace}
          />
        ) : null}
      </div>
      <p class="muted small">
        {t.hint} <code>{KEY_VARIABLE}</code>
      </p>
      <Code text={text} shown={shown} label={t.tongues[tongue]} />
      {shown === text ? null : <p class="muted small">{t.pictures}</p>}
    </Dialog>
  );
}
