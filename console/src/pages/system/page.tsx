import type { JSX } from "preact";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useQuery } from "../../lib/query.ts";
import { Page, Segments } from "../../ui/basics.tsx";
import { Audit } from "./audit.tsx";
import { Captures } from "./captures.tsx";
import { Config } from "./config.tsx";
import { Limits } from "./limits.tsx";
import "./page.css";
import { State } from "./state.tsx";
import { SYSTEM } from "./texts.ts";

const PARTS = ["state", "config", "limits", "audit", "captures"] as const;
type Part = (typeof PARTS)[number];

/** What belongs to one part only, and goes with it. */
const FILTERS = ["find", "action", "target", "since", "until"] as const;

const VIEWS: Record<Part, () => JSX.Element> = {
  state: State,
  config: Config,
  limits: Limits,
  audit: Audit,
  captures: Captures,
};

/** The gateway itself: how it is, its config, what was changed by whom. */
export default function System(): JSX.Element {
  const t = textsOf(SYSTEM);
  const [query, change] = useQuery();
  const part = partOf(query);
  const View = VIEWS[part];
  return (
    <Page
      title={textsOf(SHELL).pages.system}
      actions={
        <Segments
          label={t.part}
          value={part}
          options={PARTS.map((each) => [each, t.parts[each]])}
          onChange={(value) =>
            change({
              ...Object.fromEntries(FILTERS.map((name) => [name, null])),
              part: value === "state" ? null : value,
            })
          }
        />
      }
    >
      <View />
    </Page>
  );
}

/** Other pages link to the changes of one thing, by its target alone. */
function partOf(query: Record<string, string>): Part {
  const asked = PARTS.find((each) => each === query["part"]);
  return asked ?? (query["target"] !== undefined || query["action"] !== undefined ? "audit" : "state");
}
