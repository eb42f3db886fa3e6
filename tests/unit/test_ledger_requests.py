"""Pages of the ledger: together they are all rows that were wanted, and each costs the same."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmgw.ledger import requests
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.requests import Position, RequestFilter, RequestPage, list_requests
from llmgw.ledger.rows import insertion
from llmgw.store import LedgerRow, Store, open_store

BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
ROWS = 6000
SCANNED = 200


def entry(number: int) -> LedgerEntry:
    """Three rows at each moment."""
    at = BEGIN + timedelta(seconds=number // 3)
    status = (200, 200, 429, 503)[number % 4]
    return LedgerEntry(
        at.timestamp(), f"req_{number}", status, 1.0, model=("m", "n")[number % 7 == 0], key_id=number % 5,
        error_kind="idle_timeout" if number % 11 == 0 else None, api="chat",
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('requests')}/llmgw.db")
    with opened.write() as session:
        connection = session.connection()
        statement = insertion(connection.dialect)
        connection.exec_driver_sql(statement.sql, [statement.row(entry(number)) for number in range(ROWS)])
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "SCANNED_ROWS", SCANNED)


def pages(store: Store, wanted: RequestFilter, *, limit: int) -> Iterator[RequestPage]:
    after: Position | None = None
    while True:
        page = list_requests(store, wanted, limit=limit, after=after)
        yield page
        after = page.next
        if after is None:
            return


def fits(wanted: RequestFilter, number: int) -> bool:
    each = entry(number)
    at = BEGIN + timedelta(seconds=number // 3)
    failed = each.status >= 400 or each.error_kind is not None
    return (
        wanted.model in {None, each.model}
        and wanted.key_id in {None, each.key_id}
        and wanted.status_class in {None, each.status // 100}
        and wanted.failed in {None, failed}
        and (wanted.since is None or at >= wanted.since)
        and (wanted.until is None or at < wanted.until)
    )


MOMENTS = st.none() | st.integers(-10, ROWS // 3 + 10).map(lambda after_s: BEGIN + timedelta(seconds=after_s))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    wanted=st.builds(
        RequestFilter,
        model=st.sampled_from([None, "m", "n", "nobody"]),
        key_id=st.sampled_from([None, 1, 9]),
        status_class=st.sampled_from([None, 2, 4, 5]),
        failed=st.sampled_from([None, True, False]),
        since=MOMENTS,
        until=MOMENTS,
    ),
    limit=st.integers(20, 300),
)
def test_pages_hold_what_is_wanted_once_newest_first(store: Store, wanted: RequestFilter, limit: int) -> None:
    found: list[str] = []
    for page in pages(store, wanted, limit=limit):
        assert len(page.rows) <= limit
        found += [row.request_id for row in page.rows]
    expected = [number for number in reversed(range(ROWS)) if fits(wanted, number)]
    assert found == [f"req_{number}" for number in expected]


def steps_of(store: Store, run: Callable[[], Any]) -> int:
    """How much SQLite has to do for it, in steps of its programs."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with store.read() as session:  # the pool has one connection here, which `run` uses too
        driver = session.connection().connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(step, 1)
    try:
        run()
    finally:
        driver.set_progress_handler(None, 0)
    assert count
    return count


@pytest.mark.parametrize(
    ("name", "since", "until"),
    [
        ("everything", None, None),
        ("a long time", BEGIN, None),
        ("a long time that is over", BEGIN, BEGIN + timedelta(seconds=ROWS // 3 - 5)),
        ("until a moment", None, BEGIN + timedelta(seconds=ROWS // 3 - 5)),
    ],
)
def test_each_page_costs_the_same_whatever_the_time(
    store: Store, name: str, since: datetime | None, until: datetime | None
) -> None:
    wanted = RequestFilter(model="nobody", since=since, until=until)
    first = list_requests(store, wanted, limit=50)
    assert first.next is not None
    usual = steps_of(store, lambda: list_requests(store, RequestFilter(model="nobody"), limit=50))
    assert usual > SCANNED, name
    positions = [None, *(page.next for page in pages(store, wanted, limit=50))][:-1]
    assert len(positions) >= ROWS // SCANNED
    for after in (positions[0], positions[1], positions[15], positions[28]):

        def look(after: Position | None = after) -> RequestPage:
            return list_requests(store, wanted, limit=50, after=after)

        # A page that is not the first compares each row with where it begins.
        assert steps_of(store, look) < 2 * usual, (name, after)


def test_rows_are_whole(store: Store) -> None:
    """They are read in full before the session ends."""
    [row] = list_requests(store, RequestFilter(request_id="req_77"), limit=5).rows
    assert isinstance(row, LedgerRow)
    assert (row.error_kind, row.key_id) == ("idle_timeout", 2)
