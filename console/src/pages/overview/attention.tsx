import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { isConnected } from "../../api/connection.ts";
import { type Live, live } from "../../api/live.ts";
import { textsOf } from "../../i18n/texts.ts";
import { accountName } from "../../lib/accounts.ts";
import { roughly } from "../../lib/decimal.ts";
import { type Failure, failureOf } from "../../lib/failures.ts";
import { grouped, percent } from "../../lib/format.ts";
import { useResource } from "../../lib/resource.ts";
import { NEAR_END, Section } from "../../ui/basics.tsx";
import { FailureText } from "../../ui/failure.tsx";
import { OVERVIEW } from "./texts.ts";

type Budget = Schemas["BudgetSchema"];
type Words = typeof OVERVIEW.en;

interface Matter {
  tone: "warn" | "bad";
  text: string;
  href?: string;
  /** Why it cools down. */
  failure?: Failure;
}

const MOST_BUDGETS = 100;

/** What wants a person now; one quiet line where nothing does. */
export function Attention(): JSX.Element | null {
  const t = textsOf(OVERVIEW);
  const now = live.value;
  // Asked again when the gateway's metric has one more near its end.
  const near = now?.budgets.filter((each) => each.spent_ratio >= NEAR_END).length ?? 0;
  const budgets = useResource(now === null ? null : String(near), (signal) =>
    unwrap(
      admin.GET("/admin/v1/budgets", { params: { query: { near_end: true, limit: MOST_BUDGETS } }, signal }),
    ),
  );
  // What was seen before the gateway was lost would say that all is well.
  if (now === null || !isConnected.value) return null;
  const matters = mattersOf(now, budgets.data?.data ?? [], t);
  if (matters.length === 0) {
    // Nor is all well while nobody knows whether the budgets have room.
    if (budgets.data === undefined || budgets.fault !== undefined || budgets.isLoading) return null;
    return (
      <p class="calm">
        <span class="status-dot good" /> {t.calm}
      </p>
    );
  }
  return (
    <Section title={t.attention}>
      <ul class="matters">
        {matters.map((matter) => (
          <li key={matter.text}>
            <span class={`status-dot ${matter.tone}`} />
            <span>
              {matter.href === undefined ? matter.text : <a href={matter.href}>{matter.text}</a>}{" "}
              {matter.failure === undefined ? null : <FailureText of={matter.failure} />}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** The worst first. */
function mattersOf(now: Live, budgets: readonly Budget[], t: Words): Matter[] {
  const { ledger, redis } = now;
  // The gateway's own sentences say what is wrong with its database and journal.
  const isTold = now.problems.length + now.warnings.length > 0;
  const matters: Matter[] = [
    ...now.problems.map((text): Matter => ({ tone: "bad", text })),
    ...now.warnings.map((text): Matter => ({ tone: "warn", text })),
    ...(isTold ? [] : storeMatters(now, t)),
    ...upstreamMatters(now, t),
    ...budgetMatters(now, budgets, t),
  ];
  const system = "/console/system";
  if (ledger.dropped_rows > 0) {
    matters.push({ tone: "bad", text: t.dropped(grouped(ledger.dropped_rows)), href: system });
  }
  if (ledger.set_aside_files > 0) {
    matters.push({ tone: "bad", text: t.setAside(grouped(ledger.set_aside_files)), href: system });
  }
  if (ledger.journal_rows > 0 && !isTold) {
    matters.push({ tone: "warn", text: t.journal(grouped(ledger.journal_rows)), href: system });
  }
  if (redis.limits_up === false) matters.push({ tone: "warn", text: t.redisDown, href: system });
  return matters.sort((first, second) => Number(first.tone === "warn") - Number(second.tone === "warn"));
}

function storeMatters({ store }: Live, t: Words): Matter[] {
  return store
    .filter((each) => !each.healthy)
    .map(
      ({ purpose }): Matter => ({
        tone: "bad",
        text: purpose === "keys" ? t.storeDown.keys : t.storeDown.ledger,
        href: "/console/system",
      }),
    );
}

function upstreamMatters(now: Live, t: Words): Matter[] {
  return now.upstreams.flatMap(({ upstream, targets }) =>
    targets
      .filter(({ state }) => state !== "up")
      .map(({ state, upstream_model, account, last_failure }): Matter => {
        const href = "/console/models";
        const name = accountName(upstream, account);
        if (state === "probing") return { tone: "warn", text: t.probing(name, upstream_model), href };
        const text = t.cooling(name, upstream_model);
        const failure = last_failure === null ? {} : { failure: failureOf(last_failure) };
        return { tone: "bad", text, href, ...failure };
      }),
  );
}

/** As they were when the page was opened, and since then as the gateway's metric says. */
function budgetMatters(now: Live, budgets: readonly Budget[], t: Words): Matter[] {
  return budgets.map((budget): Matter => {
    const { id, user, name, scope, scope_id } = budget;
    const known = user === null ? now.budgets.find((each) => each.budget_id === id) : undefined;
    const share = Math.max(known?.spent_ratio ?? 0, spentShare(budget));
    const whose = user === null ? name : `${name} · ${user}`;
    const href = `/console/${scope === "key" ? "keys" : "projects"}/${scope_id}`;
    return share >= 1
      ? { tone: "bad", text: t.budgetSpent(whose), href }
      : { tone: "warn", text: t.budget(whose, percent(share)), href };
  });
}

function spentShare({ spent, amount, lifted }: Budget): number {
  const all = roughly(amount) + roughly(lifted);
  return all === 0 ? 1 : roughly(spent) / all;
}
