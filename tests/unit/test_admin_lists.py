"""The admin API's longer lists: their order, their cursors, and what a page costs."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from llmgw.access.keys import create_key
from llmgw.access.projects import create_project
from llmgw.access.settings import BudgetSetting
from llmgw.admin.context import Context
from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.routes import budgets, keys, projects, requests, usage
from llmgw.admin.schemas.budgets import BudgetQuery
from llmgw.admin.schemas.keys import KeyQuery
from llmgw.admin.schemas.requests import RequestPageSchema, RequestQuery
from llmgw.admin.schemas.system import ListQuery
from llmgw.admin.schemas.usage import UsageQuery
from llmgw.budgets.money import amount_text
from llmgw.errors import ApiError
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.order import ORDERS, UsageOrder, size_of
from llmgw.ledger.usage import Totals, UsageSum
from llmgw.ledger.writer import Ledger
from llmgw.store import Store, open_store
from tests.support.statements import statements

BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
KEYS = 100
ZONE = ZoneInfo("Asia/Shanghai")


def context_of(store: Store) -> Context:
    """What these routes use of it."""
    prices = SimpleNamespace(timezone="Asia/Shanghai", currency="CNY")
    return cast("Context", SimpleNamespace(store=store, config=lambda: SimpleNamespace(prices=prices)))


def entry(number: int, **changes: Any) -> LedgerEntry:  # noqa: ANN401
    at = BEGIN + timedelta(minutes=number)
    row = LedgerEntry(
        at.timestamp(), f"req_{number}", 503 if number % 5 == 0 else 200, 1.0, key_id=1 + number % KEYS,
        project_id=1 + number % 3, model=("m", "n", None)[number % 7 % 3], api="chat",
        prompt_tokens=number % 11, completion_tokens=7, cost=number % 13 * 1000,
        currency="USD" if number % 4 == 0 else "CNY", first_event_s=0.2, stream=True,
    )  # fmt: skip
    return row._replace(**changes)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A hundred keys with some requests each."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('lists')}/llmgw.db")
    project = create_project(store, actor="test", name="web").name
    for number in range(KEYS):
        create_key(store, actor="test", name=f"key {number}", project=project if number % 2 else "default")
    writer = Ledger(store)
    for number in range(700):
        writer.record(entry(number))
    writer.record(entry(700, key_id=999, project_id=None))
    writer.record(entry(701, key_id=None, project_id=999))
    writer.close_blocking()
    yield context_of(store)
    store.close()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Context]:
    """Nothing was ever used."""
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    yield context_of(store)
    store.close()


def rows(context: Context, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """All groups, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = usage.sum_all(context, UsageQuery(**query, cursor=cursor))
        found += [row.model_dump(mode="json", exclude_unset=True) for row in page.data]
        cursor = page.next_cursor
        if cursor is None:
            return found
        assert page.data


def sum_in(row: dict[str, Any], order: UsageOrder, currency: str) -> float:
    match order:
        case "tokens":
            return int(row["prompt_tokens"]) + int(row["completion_tokens"])
        case "cost":
            return float(row["costs"].get(currency, 0))
        case _:
            return int(row[order])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    by=st.sampled_from(["key", "model", "key,model", "project,day", "hour", "user"]),
    order=st.sampled_from(ORDERS),
    currency=st.sampled_from([None, "CNY", "USD", "EUR"]),
    limit=st.integers(1, 500),
)
def test_pages_in_any_order_hold_each_group_once(
    context: Context, by: str, order: UsageOrder, currency: str | None, limit: int
) -> None:
    asked: dict[str, Any] = {"currency": currency} if order == "cost" else {}
    groups = rows(context, by=by, limit=500)
    found = rows(context, by=by, order=order, limit=limit, **asked)
    if order == "group":
        assert found == groups
        return
    sizes = [-sum_in(row, order, currency or "CNY") for row in groups]
    expected = [row for _, _, row in sorted(zip(sizes, range(len(groups)), groups, strict=True))]
    assert found == expected


def test_a_cursor_is_of_one_grouping_order_and_currency(context: Context) -> None:
    first: dict[str, Any] = {"by": "key", "order": "cost", "currency": "USD", "limit": 1}
    cursor = usage.sum_all(context, UsageQuery(**first)).next_cursor
    assert usage.sum_all(context, UsageQuery(**first, cursor=cursor)).data
    for other in (
        {"order": "requests", "currency": None}, {"currency": "CNY"}, {"currency": None}, {"by": "user"},
        {"order": "group", "currency": None},
    ):  # fmt: skip
        with pytest.raises(ApiError) as caught:
            usage.sum_all(context, UsageQuery(**{**first, **other}, cursor=cursor))
        assert (caught.value.status, caught.value.param) == (400, "cursor"), other


def test_a_currency_orders_costs_only(context: Context) -> None:
    with pytest.raises(ApiError) as caught:
        usage.sum_all(context, UsageQuery(order="tokens", currency="CNY"))
    assert caught.value.param == "currency"
    for query in (
        {"order": "costs"},
        {"order": "cost", "currency": "cny"},
        {"by": "all,key"},
        {"by": "key,all"},
    ):
        with pytest.raises(ValidationError):
            UsageQuery.model_validate(query)


def test_sums_that_no_cursor_holds_are_one_size() -> None:
    totals = Totals(1, 0, 0, 2**62, 2**62, 0, 0, 0)
    most = UsageSum(("m",), totals, {"CNY": 2**64})
    for order in ("cost", "tokens"):
        size = size_of(most, order, "CNY")
        assert read_cursor("usage", make_cursor("usage", -size), int) == (-size,)
    assert size_of(most, "cost", "USD") == 0


def test_all_is_one_row_of_everything(context: Context) -> None:
    [total] = rows(context, by="all", latency=True)
    models = rows(context, by="model")
    for name in ("requests", "errors", "unpriced", "prompt_tokens", "completion_tokens"):
        assert total[name] == sum(row[name] for row in models) > -1, name
    assert total["requests"] == 702
    assert set(total) & {"key", "project", "model", "starts_at"} == set()
    assert (total["first_event_p50_s"], total["total_p95_s"]) == (0.25, 1.0)
    assert rows(context, by="all", order="cost", model="m") == rows(context, by="all", model="m")


def test_all_of_nothing_is_a_row_too(context: Context, empty: Context) -> None:
    for rows_of_nothing in (
        rows(empty, by="all", latency=True),
        rows(context, by="all", latency=True, since="2999-01-01T00:00:00Z"),
        rows(context, by="all", latency=True, key_id=12345),
    ):
        [total] = rows_of_nothing
        assert (total["requests"], total["costs"], total["total_p50_s"]) == (0, {}, None)
    assert rows(empty, by="key", latency=True) == []


# Requests.


def page_of(context: Context, **query: Any) -> RequestPageSchema:  # noqa: ANN401
    return requests.list_all(context, RequestQuery(**query))


def test_rows_name_keys_and_projects_that_there_still_are(context: Context) -> None:
    page = page_of(context, limit=4)
    named = [(row.key_id, row.key_name, row.project_id, row.project_name) for row in page.data]
    assert named == [
        (None, None, 999, None),
        (999, None, None, None),
        (100, "key 99", 1, "default"),
        (99, "key 98", 3, None),
    ]


def test_a_long_page_costs_as_many_statements_as_a_short_one(context: Context) -> None:
    counts = []
    for limit in (1, 4, 500):
        with statements() as seen:
            page = page_of(context, limit=limit, until=BEGIN + timedelta(minutes=690))
        assert len(page.data) == limit
        counts.append(len(seen))
    assert counts == [4, 4, 4]


def test_classes_of_status(context: Context) -> None:
    assert {row.status for row in page_of(context, status_class=5, limit=500).data} == {503}
    assert {row.status for row in page_of(context, status_class=2, limit=500).data} == {200}
    assert page_of(context, status_class=4).data == []
    assert page_of(context, status_class=2, status=503).data == []


def test_a_page_says_how_far_it_got(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.ledger.requests.SCANNED_ROWS", 100)
    nothing = page_of(context, model="nothing")
    assert nothing.data == []
    assert nothing.scanned_until is not None
    assert nothing.scanned_until - (BEGIN + timedelta(minutes=602)) < timedelta(milliseconds=1)
    full = page_of(context, limit=3)
    assert full.scanned_until is not None
    assert full.scanned_until - full.data[-1].time < timedelta(milliseconds=1)
    last = page_of(context, since=BEGIN + timedelta(minutes=699), limit=500)
    assert (len(last.data), last.scanned_until, last.next_cursor) == (3, None, None)


# Budgets.


def set_up_budgets(store: Store) -> list[int]:
    """A hundred keys with two budgets each, one of which counts two users. Their ids."""
    day, each_user = budget(10**9), budget(10**8, per_user=True)
    ids = [
        create_key(store, actor="test", name=f"key {number}", budgets=[day, each_user]).key.id
        for number in range(KEYS)
    ]
    writer = Ledger(store, zone=ZONE)
    for key_id in ids:
        for user in ("ann", "bob"):
            writer.record(
                entry(key_id, time_s=time.time(), request_id=f"{key_id} {user}", key_id=key_id, project_id=1,
                      user=user, cost=key_id, currency="CNY")
            )  # fmt: skip
    writer.close_blocking()
    return ids


def budget(amount: int, *, per_user: bool = False) -> BudgetSetting:
    return BudgetSetting(amount, "CNY", "day", None, per_user, None)


def test_a_page_of_keys_has_its_budgets_by_one_more_request(empty: Context) -> None:
    ids = set_up_budgets(empty.store)
    page = keys.list_all(empty, KeyQuery(limit=KEYS))
    assert [key.id for key in page.data] == ids
    wanted = ",".join(map(str, ids))
    with statements() as seen:
        found = budgets.list_all(empty, BudgetQuery(key_ids=wanted, per_user=False, limit=500))
    assert len(seen) == 1
    assert found.next_cursor is None
    assert [(each.scope, each.scope_id, each.name) for each in found.data] == [
        ("key", key.id, key.name) for key in page.data
    ]
    assert [each.spent for each in found.data] == [amount_text(2 * key_id, "CNY") for key_id in ids]
    some = budgets.list_all(empty, BudgetQuery(key_ids=f"{ids[3]},{ids[5]},999999"))
    users = [(each.scope_id, each.per_user, each.user) for each in some.data]
    assert users == [
        (key_id, is_each, user)
        for key_id in (ids[3], ids[5])
        for is_each, user in ((False, None), (True, None), (True, "ann"), (True, "bob"))
    ]
    only = budgets.list_all(empty, BudgetQuery(key_ids=str(ids[3]), per_user=True))
    assert [each.user for each in only.data] == [None, "ann", "bob"]
    assert budgets.list_all(empty, BudgetQuery(project_ids=wanted)).data == []
    ends = [found.data[0].id, found.data[-1].id]
    by_id = budgets.list_all(empty, BudgetQuery(ids=f"{ends[1]},{ends[0]},999999")).data
    assert [each.id for each in by_id] == ends
    assert budgets.list_all(empty, BudgetQuery(ids=str(ends[1]), key_ids=str(ids[0]))).data == []


def test_budgets_near_their_end(empty: Context) -> None:
    """Spent is the id of the key, twice: of both users."""
    shares: dict[str, tuple[int, int | None, bool]] = {
        "warns at nothing, and has spent less": (100, None, False),
        "warns at nothing, and has spent as much": (80, None, True),
        "warns early": (45, 500, True),
        "warns late": (85, 950, False),
        "used up": (10, 1000, True),
        "more than a database's integer, times a thousand": (10**18, 800, False),
    }
    writer = Ledger(empty.store, zone=ZONE)
    wanted = []
    for name, (amount, warn_at_permille, is_near) in shares.items():
        setting = BudgetSetting(amount, "CNY", "day", None, per_user=False, warn_at_permille=warn_at_permille)
        key = create_key(empty.store, actor="test", name=name, budgets=[setting]).key
        spent = {100: 79, 80: 64, 45: 23, 85: 80, 10: 10, 10**18: 1}[amount]
        writer.record(
            entry(key.id, time_s=time.time(), request_id=name, key_id=key.id, project_id=1, cost=spent,
                  currency="CNY")
        )  # fmt: skip
        wanted += [name] if is_near else []
    writer.close_blocking()
    found = budgets.list_all(empty, BudgetQuery(near_end=True))
    assert [each.name for each in found.data] == wanted


def test_a_page_of_keys_costs_as_many_statements_as_one_key(empty: Context) -> None:
    set_up_budgets(empty.store)
    counts = []
    for limit in (1, 50):
        with statements() as seen:
            assert len(keys.list_all(empty, KeyQuery(limit=limit)).data) == limit
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_budgets_of_a_page_of_projects(empty: Context) -> None:
    for number in range(KEYS):
        create_project(empty.store, actor="test", name=f"p{number}", budgets=[budget(10**9 + number)])
    with statements() as seen:
        page = projects.list_all(empty, ListQuery(limit=KEYS + 1))
        wanted = ",".join(str(project.id) for project in page.data)
        found = budgets.list_all(empty, BudgetQuery(project_ids=wanted, limit=500))
    assert [(each.scope, each.name) for each in found.data] == [
        ("project", f"p{number}") for number in range(KEYS)
    ]
    assert len(seen) < 10


@pytest.mark.parametrize("name", ["ids", "key_ids", "project_ids"])
@pytest.mark.parametrize("ids", ["", ",", "1,", "a", "1;2", "-1", "1" * 19, ",".join(["7"] * 501)])
def test_ids_that_are_none(name: str, ids: str) -> None:
    with pytest.raises(ValidationError):
        BudgetQuery.model_validate({name: ids})


def test_budgets_are_of_keys_or_of_projects(empty: Context) -> None:
    for query, param in (
        ({"key_id": 1, "project_id": 1}, "project_id"),
        ({"key_ids": "1", "project_ids": "1"}, "project_ids"),
        ({"key_id": 1, "key_ids": "1"}, "key_ids"),
    ):
        with pytest.raises(ApiError) as caught:
            budgets.list_all(empty, BudgetQuery.model_validate(query))
        assert caught.value.param == param
