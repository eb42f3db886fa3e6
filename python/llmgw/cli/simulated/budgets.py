"""Budgets of the demo: their amounts are chosen after the requests, so that each is where it should be."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from sqlalchemy import update

from llmgw.access.settings import BudgetSetting
from llmgw.budgets.budget import TOKENS, Period
from llmgw.budgets.store import BudgetState, read_states
from llmgw.budgets.windows import window_of
from llmgw.config import NANO
from llmgw.ledger.entry import LedgerEntry
from llmgw.store import BudgetWindow, Store

WARN_AT_PERMILLE: Final = 800
_ALL_PERMILLE: Final = 1000
_LEAST_SHARE: Final = 0.2
"""Of what was ever spent. With less in its current window, a budget is of all time instead."""
_DIGITS: Final = (1, 2, 3)

Counts = Callable[[LedgerEntry], bool]


class Amounts:
    """What some requests came to by now, and budgets that have seen so much of it."""

    def __init__(self, entries: Sequence[LedgerEntry], currency: str, now: datetime, zone: tzinfo) -> None:
        """`zone`: whose days, weeks and months they are."""
        self._entries = entries
        self._currency = currency
        self._now = now
        self._zone = zone

    def money(self, counts: Counts, period: Period, share: float) -> BudgetSetting:
        """One in money, of whose amount the requests that it counts have spent `share`."""
        period, spent = self._spent(counts, period, _cost)
        amount = max(round_near(spent, share), NANO)
        return BudgetSetting(amount, self._currency, period, warn_at_permille=WARN_AT_PERMILLE)

    def exhausted(self, counts: Counts) -> BudgetSetting:
        """One in money that is used up: what was spent, rounded down."""
        _, spent = self._spent(counts, "total", _cost)
        step = 10 ** (len(str(spent)) - 2)
        return BudgetSetting(spent // step * step, self._currency, "total", warn_at_permille=WARN_AT_PERMILLE)

    def tokens(self, counts: Counts, period: Period, share: float) -> BudgetSetting:
        """One in tokens."""
        period, spent = self._spent(counts, period, _tokens)
        amount = max(round_near(spent, share), 1)
        return BudgetSetting(amount, TOKENS, period, warn_at_permille=WARN_AT_PERMILLE)

    def per_user(self, counts: Counts, period: Period, share: float, least: int) -> BudgetSetting:
        """One in money for each user, of which the busiest one has spent `share`; `least`: in 10⁻⁹."""
        begin_s = window_of(period, self._now, self._zone).starts_at.timestamp()
        users: dict[str | None, int] = {}
        for entry in self._entries:
            if counts(entry) and entry.time_s >= begin_s:
                users[entry.user] = users.get(entry.user, 0) + _cost(entry)
        amount = max(round_near(max(users.values(), default=0), share), least)
        return BudgetSetting(amount, self._currency, period, per_user=True, warn_at_permille=WARN_AT_PERMILLE)

    def _spent(
        self, counts: Counts, period: Period, amount_of: Callable[[LedgerEntry], int]
    ) -> tuple[Period, int]:
        counted = [entry for entry in self._entries if counts(entry)]
        begin_s = window_of(period, self._now, self._zone).starts_at.timestamp()
        ever = sum(map(amount_of, counted))
        lately = sum(amount_of(entry) for entry in counted if entry.time_s >= begin_s)
        return (period, lately) if lately >= ever * _LEAST_SHARE else ("total", ever)


def round_near(spent: int, share: float) -> int:
    """The roundest amount of which `spent` is about that share: at most 4 % more or less of it."""
    wanted = round(spent / share)
    for digits in _DIGITS:
        amount = round(wanted, digits - len(str(wanted)))
        if amount and abs(spent / amount - share) <= share * 0.04:
            return amount
    return wanted


def _cost(entry: LedgerEntry) -> int:
    return entry.cost or 0


def _tokens(entry: LedgerEntry) -> int:
    return (entry.prompt_tokens or 0) + (entry.completion_tokens or 0)


def tell(store: Store, entries: Sequence[LedgerEntry], now: datetime, zone: tzinfo) -> None:
    """Note that warnings of budgets were sent when requests reached them, or the gateway would send them now.

    Raises SQLAlchemyError.
    """
    with store.write() as session:
        for state in read_states(session, zone, now):
            warned_at = _reached_at(entries, state, WARN_AT_PERMILLE)
            exhausted_at = _reached_at(entries, state, _ALL_PERMILLE)
            session.execute(
                update(BudgetWindow)
                .where(
                    BudgetWindow.budget_id == state.id,
                    BudgetWindow.user == state.user,
                    BudgetWindow.starts_at == state.window.starts_at,
                )
                .values(warned_at=warned_at, exhausted_at=exhausted_at)
            )


def _reached_at(entries: Sequence[LedgerEntry], state: BudgetState, permille: int) -> datetime | None:
    """When a budget had spent so much of its amount; None: it has not."""
    amount_of = _cost if state.is_money else _tokens
    begin_s, spent = state.window.starts_at.timestamp(), 0
    for entry in entries:
        whose = entry.key_id if state.scope == "key" else entry.project_id
        counts = whose == state.scope_id and (not state.per_user or (entry.user or "") == state.user)
        if counts and entry.time_s >= begin_s:
            spent += amount_of(entry)
            if spent * _ALL_PERMILLE >= state.limit * permille:
                return datetime.fromtimestamp(entry.time_s + entry.total_s, UTC)
    return None
