"""The judges can say no: chains that are broken in every way, and ledgers that disagree in every way."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.client import Seen
from tests.faults.reconcile import PER_INPUT, PER_OUTPUT, reconcile
from tests.faults.script import Act, Exchange, act_for, chaos
from tests.faults.soak import trend
from tests.faults.stamp import BrokenChainError, Stamper, Verified


def lines(mark: str = "m1", origin: str = "a/1", count: int = 4) -> list[str]:
    stamper = Stamper(mark, origin)
    return [stamper.next("pad") for _ in range(count)]


def test_an_unbroken_prefix() -> None:
    said = lines()
    for count in range(len(said) + 1):
        verified = Verified("m1", "".join(said[:count]))
        assert (verified.events, verified.origin) == (count, "a/1" if count else None)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("lost", lambda said: said[:1] + said[2:]),
        ("the first is lost", lambda said: said[1:]),
        ("doubled", lambda said: [said[0], *said]),
        ("swapped", lambda said: [said[1], said[0], *said[2:]]),
        ("altered", lambda said: [said[0].replace("pad", "pod"), *said[1:]]),
        ("renumbered", lambda said: [said[0], said[2].replace(" 2 ", " 1 ")]),
        ("cut", lambda said: [said[0], said[1][:-5]]),
        ("of another request", lambda said: [*said, lines("m2", count=5)[4]]),
        ("of another upstream", lambda said: [*said[:2], *lines(origin="b/9")[2:]]),
    ],
)
def test_a_broken_chain(name: str, broken: Callable[[list[str]], list[str]]) -> None:
    content = "".join(broken(lines()))
    with pytest.raises(BrokenChainError):
        pytest.fail(f"{name}: {Verified('m1', content).events} events passed")


SEEN = Seen(
    "m1", stream=True, sent_s=0, status=200, headers={"x-request-id": "req_1"}, whole=True,
    origin="a/1", events=6, finish_reason="stop", tokens=6,
)  # fmt: skip
LEFT = replace(SEEN, whole=False, left=True, events=2, finish_reason=None, tokens=None)
CUT = replace(SEEN, whole=False, cut=True, events=2, finish_reason=None, tokens=None)
FAILED = replace(SEEN, events=4, finish_reason=None, tokens=None, error={"code": "upstream_error"})


def used(completion_tokens: int | None) -> dict[str, Any]:
    """What a row says of its use."""
    cost = 10 * PER_INPUT + (completion_tokens or 0) * PER_OUTPUT
    return {"prompt_tokens": 10, "completion_tokens": completion_tokens, "cost": cost}


ROW: dict[str, Any] = {"request_id": "req_1", "status": 200, "error_kind": None, **used(6)}
GONE = ROW | {"error_kind": "client_gone", **used(3)}
RESET = ROW | {"error_kind": "reset", **used(4)}
EXCHANGE = Exchange("a", "m1", "req_1", authorized=True, began_s=0, ended_s=1, events=6, tokens=6, whole=True)


@pytest.mark.parametrize(
    ("seen", "row", "exchange"), [(SEEN, ROW, EXCHANGE), (LEFT, GONE, EXCHANGE), (FAILED, RESET, EXCHANGE)]
)
def test_ledgers_that_agree(seen: Seen, row: dict[str, Any], exchange: Exchange) -> None:
    account = reconcile([seen], [row], [exchange]).check()
    assert (account.requests, account.asked, account.attempts) == (1, 1, 1)
    assert account.unread_tokens == 6 - row["completion_tokens"]


@pytest.mark.parametrize(
    ("name", "seen", "rows", "exchanges"),
    [
        ("no row", SEEN, [], [EXCHANGE]),
        ("two rows", SEEN, [ROW, ROW], [EXCHANGE]),
        ("a row of nobody", SEEN, [ROW, ROW | {"request_id": "req_2"}], [EXCHANGE]),
        ("another status", SEEN, [ROW | {"status": 502}], [EXCHANGE]),
        ("a success that the ledger calls a failure", SEEN, [RESET], [EXCHANGE]),
        ("a failure that the ledger calls a success", FAILED, [ROW], [EXCHANGE]),
        ("a departure that the ledger calls shed", LEFT, [ROW | {"error_kind": "overloaded"}], [EXCHANGE]),
        ("too few tokens billed", SEEN, [ROW | used(5)], [EXCHANGE]),
        ("too many tokens billed", SEEN, [ROW | used(7)], [EXCHANGE]),
        ("no tokens billed", SEEN, [ROW | used(None)], [EXCHANGE]),
        ("another cost", SEEN, [ROW | {"cost": ROW["cost"] + 1}], [EXCHANGE]),
        ("no cost", SEEN, [ROW | {"cost": None}], [EXCHANGE]),
        ("other tokens shown", replace(SEEN, tokens=5), [ROW], [EXCHANGE]),
        ("an event is lost at the end", replace(SEEN, events=5), [ROW], [EXCHANGE]),
        ("more shown than billed", replace(LEFT, events=4), [GONE], [EXCHANGE]),
        ("more billed than emitted", LEFT, [GONE | used(7)], [EXCHANGE]),
        ("another upstream's answer", SEEN, [ROW], [EXCHANGE, replace(EXCHANGE, upstream="b")]),
        ("billed without an upstream", SEEN, [ROW], []),
        (
            "two at once",
            SEEN,
            [ROW],
            [replace(EXCHANGE, ended_s=9), replace(EXCHANGE, began_s=2, ended_s=10)],
        ),
        ("another key", SEEN, [ROW], [replace(EXCHANGE, authorized=False)]),
        ("an upstream asked for nobody", SEEN, [ROW], [EXCHANGE, replace(EXCHANGE, request_id="req_9")]),
        ("two gateways asked for it", CUT, [], [EXCHANGE, replace(EXCHANGE, request_id="req_9")]),
        ("two rows of what was cut", CUT, [ROW, ROW], [EXCHANGE]),
        ("too much billed of what was cut", CUT, [ROW | used(7)], [EXCHANGE]),
    ],
)
def test_ledgers_that_disagree(
    name: str, seen: Seen, rows: list[dict[str, Any]], exchanges: list[Exchange]
) -> None:
    assert reconcile([seen], rows, exchanges).faults, name


def test_who_left_before_it_had_a_name_is_compared_by_number() -> None:
    nameless = replace(LEFT, mark="m7", status=None, headers={}, events=0, origin=None)
    row = GONE | {"status": 499, "request_id": "req_7", **used(None)}
    assert not reconcile([nameless], [row], []).faults
    assert reconcile([nameless], [], []).faults
    assert reconcile([nameless], [row, row | {"request_id": "req_8"}], []).faults


@pytest.mark.parametrize("rows", [[], [ROW], [GONE]])
def test_what_a_kill_cut_off_may_have_a_row_or_none(rows: list[dict[str, Any]]) -> None:
    account = reconcile([CUT], rows, [EXCHANGE]).check()
    assert account.lost_rows == 1 - len(rows)
    nameless = replace(CUT, status=502, headers={}, events=0, origin=None)
    assert not reconcile([nameless], rows, [EXCHANGE]).faults
    assert not reconcile([replace(nameless, mark="m7")], [], []).faults
    assert reconcile([replace(SEEN, row_owed=False)], [], [EXCHANGE]).lost_rows == 1


def test_acts_by_upstream_and_attempt() -> None:
    first, then = Act(head="status", status=503), Act(events=2)
    member = chaos("m1", {"a": [first, then], "*": Act(pad=1)})
    rows = [("a", 0, first), ("a", 1, then), ("a", 7, then), ("b", 0, Act(pad=1)), ("b", 3, Act(pad=1))]
    assert [act_for(member, name, attempt) for name, attempt, _ in rows] == [act for *_, act in rows]
    assert act_for(chaos("m1", Act()), "a", 0) == Act()


@pytest.mark.parametrize(("ys", "slope"), [([1, 1, 1], 0), ([0, 2, 4], 2), ([4, 2, 0], -2), ([0, 3, 0], 0)])
def test_trend(ys: list[float], slope: float) -> None:
    assert trend([0, 1, 2], ys) == pytest.approx(slope)
    assert trend([1], [5]) == 0
