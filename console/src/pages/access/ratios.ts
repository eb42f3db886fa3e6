import { computed } from "@preact/signals";
import { live } from "../../api/live.ts";

/** How full budgets are, by their ids, as far as the workers know: without a question for each row of a list. */
export const budgetRatios = computed(
  () => new Map((live.value?.budgets ?? []).map((each) => [each.budget_id, each.spent_ratio])),
);
