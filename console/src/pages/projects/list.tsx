import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useResource } from "../../lib/resource.ts";
import { Empty } from "../../ui/basics.tsx";
import { type Column, Loaded, Pager, Table, usePages } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import { BudgetCell } from "../access/budgets.tsx";
import { type Shares, usePageBudgets } from "../access/page-budgets.ts";
import { ACCESS } from "../access/texts.ts";
import { limitsWords, StateTag } from "../access/words.tsx";
import { keysPath } from "./links.ts";
import { PROJECTS } from "./texts.ts";

type Project = Schemas["ProjectSchema"];

const PAGE_SIZE = 50;

interface ProjectListProps {
  /** Whose details are shown. */
  chosen: number | null;
  /** Changes when some project may be another than it was. */
  round: number;
}

export function ProjectList({ chosen, round }: ProjectListProps): JSX.Element {
  const t = textsOf(PROJECTS);
  const pages = usePages("");
  const projects = useResource(`${pages.cursor} ${round}`, (signal) => {
    const query = { limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) };
    return unwrap(admin.GET("/admin/v1/projects", { params: { query }, signal }));
  });
  const shares = usePageBudgets("project", projects.data?.data ?? [], round);
  return (
    <>
      <p class="muted">{t.what}</p>
      <Loaded resource={projects}>
        {({ data, next_cursor }) =>
          data.length === 0 ? (
            <Empty title={t.empty} />
          ) : (
            <>
              <Table
                label={t.list}
                columns={columnsOf(shares)}
                rows={data}
                keyOf={(project) => project.id}
                chosen={chosen}
                isLoading={projects.isLoading}
              />
              <Pager pages={pages} nextCursor={next_cursor} />
            </>
          )
        }
      </Loaded>
    </>
  );
}

function columnsOf(shares: Shares): readonly Column<Project>[] {
  const t = textsOf(PROJECTS);
  const titles = t.columns;
  return [
    {
      name: "name",
      title: titles.name,
      cell: (project) => <a href={`/console/projects/${project.id}`}>{project.name}</a>,
    },
    {
      name: "state",
      title: titles.state,
      cell: (project) => <StateTag state={project.blocked_at === null ? "active" : "blocked"} />,
    },
    {
      name: "keys",
      title: titles.keys,
      isNumber: true,
      cell: (project) => (
        <a href={keysPath(project)} aria-label={t.keysOf(project.name, grouped(project.keys))}>
          {grouped(project.keys)}
        </a>
      ),
    },
    { name: "limits", title: titles.limits, cell: (project) => <LimitsCell of={project} /> },
    {
      name: "budgets",
      title: titles.budgets,
      cell: (project) => <BudgetCell budgets={project.budgets} shares={shares} />,
    },
    { name: "created", title: titles.created, cell: (project) => <Time utc={project.created_at} /> },
  ];
}

function LimitsCell({ of: { limits, limits_by } }: { of: Project }): JSX.Element {
  const access = textsOf(ACCESS);
  const words = limitsWords(limits);
  const more = limits_by.length;
  if (words === "" && more === 0) return <span class="muted">{access.noneShort}</span>;
  return (
    <span class="small">
      {words}{" "}
      {more === 0 ? null : (
        <span title={textsOf(PROJECTS).byMore(grouped(more))}>{access.more(String(more))}</span>
      )}
    </span>
  );
}
