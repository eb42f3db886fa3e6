import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import type { Json } from "../../lib/json.ts";
import { useQuery } from "../../lib/query.ts";
import { tomlOf } from "../../lib/toml.ts";
import { useTyped } from "../../lib/typed.ts";
import { Button, Empty, TextField } from "../../ui/basics.tsx";
import { CopyButton } from "../../ui/copy.tsx";
import { type Branch, found, type Leaf, sizeOf, treeOf } from "./config-nodes.ts";
import { SYSTEM } from "./texts.ts";

/** Whether all tables are open; null: as they are, and `round` makes it anew. */
interface Folding {
  isOpen: boolean;
  round: number;
}

/** As many values as are shown open at once: a config may have thousands. */
const MAX_OPEN_VALUES = 200;
const TYPING_MS = 150;

/** The config, table by table; with a text to find, only what has it. */
export function ConfigTree({ config }: { config: Json }): JSX.Element {
  const t = textsOf(SYSTEM).config;
  const [query] = useQuery();
  const asked = query["find"] ?? "";
  const [typed, setTyped] = useTyped("find", TYPING_MS);
  const [folding, setFolding] = useState<Folding>({ isOpen: false, round: 0 });
  const whole = useMemo(() => treeOf(config), [config]);
  const shown = useMemo(() => (asked.trim() === "" ? whole : found(whole, asked)), [whole, asked]);
  const size = sizeOf(shown);
  const isSearch = shown !== whole;
  const mayOpen = size <= MAX_OPEN_VALUES;
  const isOpen = isSearch ? mayOpen : folding.isOpen;
  return (
    <>
      <div class="filters tree-tools">
        <TextField label={t.find} type="search" value={typed} onInput={setTyped} placeholder={t.findHint} />
        {isSearch ? (
          <span class="muted small">{t.found1(grouped(size), grouped(sizeOf(whole)))}</span>
        ) : (
          <Button
            onClick={() => setFolding(({ isOpen: was, round }) => ({ isOpen: !was, round: round + 1 }))}
          >
            {folding.isOpen ? t.fold : t.unfold}
          </Button>
        )}
        <CopyButton text={tomlOf(config)} label={t.copy} />
      </div>
      {size === 0 ? (
        <Empty title={t.nothingFound} />
      ) : (
        // A new key folds anew what was opened by hand.
        <ul class="tree mono" key={`${isOpen} ${folding.round} ${isSearch ? asked : ""}`}>
          <Members of={shown} isOpen={isOpen} />
        </ul>
      )}
    </>
  );
}

function Members({ of, isOpen }: { of: Branch; isOpen: boolean }): JSX.Element {
  return (
    <>
      {of.leaves.map((leaf) => (
        <li key={leaf.path} class="leaf" title={leaf.path}>
          <Value leaf={leaf} />
        </li>
      ))}
      {of.branches.map((branch) => (
        <li key={branch.path}>
          <Table branch={branch} isOpenAtFirst={isOpen} />
        </li>
      ))}
    </>
  );
}

function Value({ leaf: { name, text } }: { leaf: Leaf }): JSX.Element {
  const t = textsOf(SYSTEM).config;
  return (
    <>
      <span class="name">{name} = </span>
      {text === null ? <span class="muted">{t.notSet}</span> : text}
    </>
  );
}

/** What is folded is not made: a config may have thousands of values. */
function Table({ branch, isOpenAtFirst }: { branch: Branch; isOpenAtFirst: boolean }): JSX.Element {
  const t = textsOf(SYSTEM).config;
  const [isOpen, setOpen] = useState(isOpenAtFirst);
  return (
    <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary title={branch.path}>
        <span class="name">{branch.name}</span> {branch.title === null ? null : <span>{branch.title}</span>}
        {branch.isList ? <span class="muted">{t.entries(grouped(branch.branches.length))}</span> : null}
      </summary>
      {isOpen ? (
        <ul>
          <Members of={branch} isOpen={isOpenAtFirst} />
        </ul>
      ) : null}
    </details>
  );
}
