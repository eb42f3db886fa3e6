"""`/admin/v1/budgets`."""

import threading
from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Body, Path, Query

from llmgw.access.amounts import parse_amount
from llmgw.admin.context import Context
from llmgw.admin.faults import refusal
from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.routes.common import Actor, Ctx, example_body, example_page, told
from llmgw.admin.schemas.base import MAX_ID
from llmgw.admin.schemas.budgets import (
    BUDGET,
    REPORT,
    BudgetList,
    BudgetPage,
    BudgetQuery,
    BudgetSchema,
    LiftInput,
    ReportSchema,
    ResetInput,
)
from llmgw.budgets.store import lift_budget, list_budgets, reset_budget
from llmgw.budgets.verify import verify
from llmgw.errors import ApiError, InputFault

router: Final = APIRouter(tags=["budgets"])
BudgetId = Annotated[int, Path(ge=1, le=MAX_ID, description="The budget's id.")]
_VERIFYING: Final = threading.Lock()
_BUSY_RETRY_AFTER_S: Final = 10


def _zone(context: Context) -> ZoneInfo:
    return ZoneInfo(context.config().prices.timezone)


@router.get("/admin/v1/budgets", **told("List budgets", example_page(BUDGET)))
def list_all(context: Ctx, query: Annotated[BudgetQuery, Query()]) -> BudgetPage:
    owners = query.owners
    if len(owners) > 1:
        (_, first, _), (_, second, _), *_ = owners
        raise refusal([InputFault(second, f"can't be given beside {first}: a budget is of one of them")])
    scope, _, scope_ids = owners[0] if owners else (None, "", None)
    after = read_cursor("budgets", query.cursor, int, str)
    states = list_budgets(
        context.store,
        _zone(context),
        datetime.now(UTC),
        budget_ids=query.budget_ids,
        scope=scope,
        scope_ids=scope_ids,
        per_user=query.per_user,
        near_end=query.near_end,
        after=None if after is None else (after[0], after[1]),
        limit=query.limit + 1,
    )
    page = states[: query.limit]
    cursor = make_cursor("budgets", page[-1].id, page[-1].user) if len(states) > query.limit else None
    return BudgetPage(data=list(map(BudgetSchema.of, page)), next_cursor=cursor)


@router.post(
    "/admin/v1/budgets/{budget_id}/lift",
    **told(
        "Lift a budget",
        {**BUDGET, "lifted": "5.00", "left": "6.6855"},
        errors=["unknown_budget"],
        description="Its amount grows until the end of its current window.",
    ),
)
def lift(
    context: Ctx,
    actor: Actor,
    budget_id: BudgetId,
    wanted: Annotated[LiftInput, Body(openapi_examples=example_body({"amount": "5.00"}))],
) -> BudgetSchema:
    zone = _zone(context)
    found = list_budgets(context.store, zone, datetime.now(UTC), budget_ids=[budget_id], limit=1)
    if not found:
        raise ApiError("not_found", f"There is no budget {budget_id}.")
    try:
        amount = parse_amount(wanted.amount, found[0].unit)
    except ValueError as error:
        raise refusal([InputFault("amount", str(error))]) from None
    user = wanted.user or ""
    return BudgetSchema.of(lift_budget(context.store, budget_id, amount, zone, actor=actor, user=user))


@router.post(
    "/admin/v1/budgets/{budget_id}/reset",
    **told(
        "Reset a budget",
        {"data": [{**BUDGET, "spent": "0.00", "forgiven": "8.3145", "left": "10.00", "warned_at": None}]},
        errors=["unknown_budget"],
        description="What was spent in its current window does not count. What running requests use will.",
    ),
)
def reset(
    context: Ctx,
    actor: Actor,
    budget_id: BudgetId,
    wanted: Annotated[ResetInput | None, Body(openapi_examples=example_body({"user": "zhang.wei"}))] = None,
) -> BudgetList:
    user = None if wanted is None else wanted.user
    states = reset_budget(context.store, budget_id, _zone(context), actor=actor, user=user)
    return BudgetList(data=list(map(BudgetSchema.of, states)))


@router.get(
    "/admin/v1/budgets/verify",
    **told(
        "Verify budgets",
        REPORT,
        description="Reads the whole ledger, so it takes a while. `llmgw budgets verify --repair` repairs.",
    ),
)
def verify_all(context: Ctx) -> ReportSchema:
    if not _VERIFYING.acquire(blocking=False):
        message = "Budgets are being verified already. Try again later."
        raise ApiError("overloaded", message, retry_after_s=_BUSY_RETRY_AFTER_S)
    try:
        zone, now = _zone(context), datetime.now(UTC)
        report = verify(context.store, zone, now, keep_days=context.config().ledger.keep_days)
        units = {state.id: state.unit for state in list_budgets(context.store, zone, now)}
    finally:
        _VERIFYING.release()
    return ReportSchema.of(report, units)
