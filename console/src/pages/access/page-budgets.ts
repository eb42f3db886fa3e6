import { admin, unwrap } from "../../api/client.ts";
import { roughly } from "../../lib/decimal.ts";
import { MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { useResource } from "../../lib/resource.ts";

/** Of the budgets of a page of keys or projects; those that count users one by one have no single share. */
export type Shares = ReadonlyMap<number, number>;

const NONE: Shares = new Map();

interface Owner {
  id: number;
  budgets: readonly unknown[];
}

/** How full the budgets of these keys or projects are, by their ids: one request for all rows of a page. */
export function usePageBudgets(owner: "key" | "project", owners: readonly Owner[], round: number): Shares {
  const ids = owners.filter((each) => each.budgets.length > 0).map((each) => each.id);
  const whose = ids.join(",");
  const shares = useResource(whose === "" ? null : `${whose} ${round}`, async (signal) => {
    const query = {
      ...(owner === "key" ? { key_ids: whose } : { project_ids: whose }),
      per_user: false,
      limit: MAX_PAGE_ROWS,
    };
    const page = await unwrap(admin.GET("/admin/v1/budgets", { params: { query }, signal }));
    return new Map(
      page.data.map((each) => {
        const whole = roughly(each.amount) + roughly(each.lifted);
        return [each.id, whole > 0 ? roughly(each.spent) / whole : 1] as const;
      }),
    );
  });
  return shares.data ?? NONE;
}
