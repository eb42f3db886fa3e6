import type { JSX } from "preact";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { NOTHING } from "../../lib/format.ts";
import { type Column, Table } from "../../ui/table.tsx";
import { Count } from "../../ui/values.tsx";
import type { OwnModel } from "./models.ts";
import { MINE } from "./texts.ts";

/** The models that the key may use, and what they can. */
export function ModelTable({ models }: { models: readonly OwnModel[] }): JSX.Element {
  const t = textsOf(MINE);
  const { yes, no } = textsOf(COMMON);
  const kinds: Record<string, string> = t.kinds;
  const columns: Column<OwnModel>[] = [
    { name: "model", title: t.model, cell: ({ id }) => <code>{id}</code> },
    { name: "kind", title: t.kind, cell: ({ kind }) => kinds[kind] ?? kind },
    {
      name: "takes",
      title: t.takes,
      cell: ({ takesPictures }) => (takesPictures ? t.textAndPictures : t.text),
    },
    {
      name: "thinking",
      title: t.thinking,
      cell: ({ kind, thinking }) => (kind === "chat" ? t.thinkings[thinking] : NOTHING),
    },
    {
      name: "tools",
      title: t.toolsTitle,
      cell: ({ tools }) => (tools === null ? NOTHING : tools ? yes : no),
    },
    {
      name: "context",
      title: t.context,
      isNumber: true,
      cell: ({ contextWindow }) => <Count value={contextWindow} />,
    },
  ];
  return <Table label={t.yourModels} columns={columns} rows={models} keyOf={({ id }) => id} />;
}
