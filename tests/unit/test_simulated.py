"""What the demo begins with: right to the last token, marked, over, and worth looking at."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from llmgw.access import keys, projects, settings
from llmgw.access.audit import AuditEntry, list_audit
from llmgw.access.key import Key
from llmgw.access.keys import list_keys
from llmgw.access.projects import list_projects
from llmgw.budgets.store import BudgetState, list_budgets
from llmgw.budgets.verify import verify
from llmgw.cli.simulated import ACTOR, MARK, REQUEST_MARK, team
from llmgw.cli.simulated.begin import simulate_past
from llmgw.cli.simulated.budgets import Amounts, round_near
from llmgw.cli.simulated.config import PRICES, demo_config
from llmgw.cli.simulated.faults import FAULTS, STANDBY
from llmgw.cli.simulated.traffic import DAYS, drafts
from llmgw.cli.simulated.work import WORKS
from llmgw.config import NANO, Config, load_config
from llmgw.errors import ERRORS
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.usage import sum_usage
from llmgw.prices.shown import targets_of
from llmgw.simulator.model import Thinking
from llmgw.simulator.providers import MODELS
from llmgw.store import LedgerRow, Store
from llmgw.store import Price as PriceRow
from llmgw.store import audit as store_audit
from llmgw.store.open import opened_store

SHANGHAI = ZoneInfo("Asia/Shanghai")
MS = timedelta(milliseconds=1)
NEW_YORK = ZoneInfo("America/New_York")
MOMENTS = {
    "at work": datetime(2026, 11, 26, 3, 0, tzinfo=UTC),
    "at night": datetime(2026, 11, 26, 19, 0, tzinfo=UTC),
    "on a Sunday": datetime(2026, 11, 29, 5, 0, tzinfo=UTC),
    "as a month begins": datetime(2026, 11, 30, 16, 0, 1, tzinfo=UTC),
    "as the clocks go back": datetime(2026, 11, 1, 6, 30, tzinfo=UTC),
    "on a leap day": datetime(2028, 2, 29, 12, 0, tzinfo=UTC),
}


class Demo(NamedTuple):
    """A database as the demo has it when its gateway starts."""

    config: Config
    store: Store
    tokens: dict[str, str]
    now: datetime
    rows: list[LedgerRow]

    @property
    def keys(self) -> dict[str, Key]:
        """By name."""
        return {key.name: key for key in list_keys(self.store)}

    @property
    def budgets(self) -> list[BudgetState]:
        """As they are now."""
        return list_budgets(self.store, SHANGHAI, self.now)

    @property
    def audit(self) -> list[AuditEntry]:
        """The latest first."""
        return list_audit(self.store)

    def of(self, name: str) -> list[LedgerRow]:
        """The rows of a key."""
        number = self.keys[name].id
        return [row for row in self.rows if row.key_id == number]


@contextmanager
def opened_demo(folder: Path, now: datetime) -> Iterator[Demo]:
    """A demo that was started at this moment."""
    file = folder / "llmgw.toml"
    file.write_text(demo_config(9100), "utf-8")
    config = load_config(file)
    with opened_store(config.store) as store:
        tokens = simulate_past(store, config, now=now)
        with store.read() as session:
            rows = list(session.scalars(select(LedgerRow).order_by(LedgerRow.id)))
        yield Demo(config, store, tokens, now, rows)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with opened_demo(tmp_path_factory.mktemp("demo"), datetime.now(UTC)) as opened:
        yield opened


@pytest.fixture(scope="module")
def first_targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Which upstream each model of the demo is asked at first."""
    file = tmp_path_factory.mktemp("config") / "llmgw.toml"
    file.write_text(demo_config(9100), "utf-8")
    return {target.model: target.upstream for target in reversed(targets_of(load_config(file)))}


# The books.


def test_the_budgets_are_the_hours_and_the_hours_are_the_rows(demo: Demo) -> None:
    report = verify(demo.store, SHANGHAI, datetime.now(UTC))
    assert report.is_right
    assert report.hours > DAYS
    assert report.windows >= len(demo.budgets)


def test_what_reports_say_is_what_the_rows_say(demo: Demo) -> None:
    sums = {each.group: each for each in sum_usage(demo.store, ["key", "model"], SHANGHAI).sums}
    assert sum(each.totals.requests for each in sums.values()) == len(demo.rows)
    for (key_id, model), each in sums.items():
        rows = [row for row in demo.rows if row.key_id == key_id and (row.model or "") == model]
        assert each.totals.requests == len(rows)
        assert each.totals.prompt_tokens == sum(row.prompt_tokens or 0 for row in rows)
        assert each.totals.reasoning_tokens == sum(row.reasoning_tokens or 0 for row in rows)
        assert each.totals.cached_tokens == sum(row.cached_tokens or 0 for row in rows)
        assert sum(each.costs.values()) == sum(row.cost or 0 for row in rows)
        assert each.totals.unpriced == 0


def test_costs_are_by_the_demo_s_prices(demo: Demo) -> None:
    prices = {(target.model, target.upstream): target.price for target in targets_of(demo.config)}
    with demo.store.read() as session:
        known = set(session.scalars(select(PriceRow.digest)))
    asked = [row for row in demo.rows if row.upstream is not None]
    for row in asked:
        price = prices[row.model or "", row.upstream or ""]
        assert price is not None
        assert (row.currency, row.price_digest) == ("CNY", price.digest)
        assert row.price_digest in known
        used = row.prompt_tokens or 0, row.cached_tokens or 0, 0, row.completion_tokens or 0
        reasoning = row.reasoning_tokens or 0
        cost = price.cost_of(*used, reasoning, 0, row.thinking_observed, at_s=row.time.timestamp())
        assert row.cost == (0 if row.usage_source == "none" else cost.total), row.request_id
    assert all(row.cost is None for row in demo.rows if row.upstream is None)


def test_every_model_has_a_price_of_its_own(demo: Demo) -> None:
    assert {model.id for model in demo.config.models} == PRICES.keys()
    assert {row.model for row in demo.rows if row.model} == PRICES.keys()


# Always the same.


@pytest.mark.parametrize("now", MOMENTS.values(), ids=MOMENTS.keys())
@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK], ids=str)
def test_the_same_seed_and_moment_make_the_same_requests(
    first_targets: dict[str, str], now: datetime, zone: ZoneInfo
) -> None:
    made = drafts(first_targets, now, zone, 14)
    assert made == drafts(first_targets, now, zone, 14)
    assert made != drafts(first_targets, now, zone, 15)
    assert made != drafts(first_targets, now + timedelta(hours=1), zone, 14)
    assert len(made) == sum(work.requests for work in WORKS)
    assert [draft.time_s for draft in made] == sorted(draft.time_s for draft in made)
    assert made[0].time_s >= (now - timedelta(days=DAYS + 1)).timestamp()
    assert all(draft.time_s + draft.total_s < now.timestamp() for draft in made)


# Marked.


def test_all_of_it_says_that_it_is_simulated(demo: Demo) -> None:
    assert all(row.request_id.startswith(REQUEST_MARK) for row in demo.rows)
    assert len({row.request_id for row in demo.rows}) == len(demo.rows)
    assert all(name.startswith(MARK) for name in demo.keys)
    assert demo.tokens.keys() == demo.keys.keys()
    projects = {project.id: project.name for project in list_projects(demo.store)}
    assert [name for name in projects.values() if not name.startswith(MARK)] == ["default"]
    of_projects = {projects[row.project_id or 0] for row in demo.rows}
    assert of_projects == {team.SUPPORT, team.ENGINEERING, team.RESEARCH}
    assert {entry.actor for entry in demo.audit} == {ACTOR}


def test_it_is_over(demo: Demo) -> None:
    oldest = demo.now - timedelta(days=DAYS + 1)
    assert all(oldest < row.time < demo.now for row in demo.rows)
    assert all(entry.time < demo.now for entry in demo.audit)
    assert all(key.created_at < demo.rows[0].time for key in demo.keys.values())


# Worth looking at.


def test_every_important_failure_is_there(demo: Demo) -> None:
    seen = Counter((row.status, row.error_kind) for row in demo.rows)
    for status, kind in (
        (429, "rate_limit_exceeded"), (429, "insufficient_quota"), (429, "status"), (503, "status"),
        (502, "status"), (400, "status"), (502, "unreachable"), (504, "first_event_timeout"),
        (499, "client_gone"), (200, "client_gone"), (200, "reset"), (200, "idle_timeout"),
        (400, "unsupported_thinking_mode"), (400, "unsupported_modality"), (400, "missing_field"),
        (404, "model_not_found"), (403, "model_not_allowed"),
    ):  # fmt: skip
        assert seen[status, kind] > 0, (status, kind)
    assert {row.finish_reason for row in demo.rows} == {
        None,
        "stop",
        "tool_calls",
        "length",
        "content_filter",
    }
    failed = sum(number for (status, kind), number in seen.items() if kind is not None or status >= 400)
    assert 0.05 < failed / len(demo.rows) < 0.15
    assert {row.usage_source for row in demo.rows} == {"upstream", "estimated", "none"}


@pytest.mark.parametrize("now", MOMENTS.values(), ids=MOMENTS.keys())
def test_as_many_fail_as_are_meant_to(first_targets: dict[str, str], now: datetime) -> None:
    made = drafts(first_targets, now, SHANGHAI)
    failed = [draft for draft in made if draft.error_kind not in {None, "unsupported_thinking_mode"}]
    recovered = [draft for draft in made if draft.error_kind is None and draft.attempts == 2]
    early = [draft for draft in made if draft.finish in {"length", "content_filter"}]
    assert len(failed) + len(recovered) + len(early) == sum(fault.number for fault in FAULTS)


def test_fallbacks_are_there(demo: Demo) -> None:
    fallen = [row for row in demo.rows if row.upstream == STANDBY]
    assert fallen
    for row in fallen:
        assert (row.status, row.error_kind, row.attempts, row.model) == (200, None, 2, "qwen3.6-plus")
        assert str(row.attempt_errors).startswith("qwen: ")
    twice = [row for row in demo.rows if row.status == 503]
    assert all(row.attempts == 2 and str(row.attempt_errors).count("glm: ") == 2 for row in twice)


def test_thinking_is_told_in_each_family_s_way_and_is_not_always_obeyed(demo: Demo) -> None:
    ways = Counter((row.thinking_asked, row.thinking_sent, row.thinking_observed) for row in demo.rows)
    for sent in ("enable_thinking", "directive", "thinking_object"):
        assert ways["on", sent, True] > 0
        assert ways["off", sent, False] > 0
    assert ways["off", "ignored", True] > 0
    despite = [
        row for row in demo.rows
        if row.thinking_asked == "off" and row.thinking_observed and row.thinking_sent != "ignored"
    ]  # fmt: skip
    assert 2 <= len(despite) <= 20
    always = {model.id for model in MODELS if model.thinking is Thinking.ALWAYS}
    assert all(row.thinking_observed for row in demo.rows if row.model in always and row.finish_reason)


def test_each_api_is_used_streamed_or_whole(demo: Demo) -> None:
    seen = Counter((row.api, row.stream) for row in demo.rows)
    assert {api for api, _ in seen} == {
        "chat", "completions", "messages", "responses", "embeddings", "rerank",
    }  # fmt: skip
    assert seen["chat", True] > 0
    assert seen["chat", False] > 0
    assert len({row.user for row in demo.of(team.WEBUI)}) >= 4


def test_numbers_are_plausible(demo: Demo) -> None:
    for row in demo.rows:
        assert row.total_s > 0
        if row.first_event_s is not None:
            assert row.stream
            assert row.first_event_s <= row.total_s + 1e-9
        if row.error_kind is not None or row.upstream is None:
            continue
        prompt = row.prompt_tokens or 0
        assert 0 < prompt < 250_000
        if row.api in {"embeddings", "rerank"}:
            assert (row.completion_tokens, row.cached_tokens, row.finish_reason) == (None, None, None)
            continue
        completion = row.completion_tokens or 0
        assert 0 <= (row.reasoning_tokens or 0) < completion
        assert bool(row.reasoning_tokens) == row.thinking_observed
        assert 0 <= (row.cached_tokens or 0) < prompt
        begun_s = row.first_event_s or 0.0
        assert 15 < completion / (row.total_s - begun_s) < 200 or not row.stream
    money = sum(row.cost or 0 for row in demo.rows) / NANO
    assert 10 < money < 200
    cached = sum(row.cached_tokens or 0 for row in demo.of(team.CLAUDE_CODE))
    assert cached > 0.4 * sum(row.prompt_tokens or 0 for row in demo.of(team.CLAUDE_CODE))


def test_people_sleep_and_have_weekends(demo: Demo, first_targets: dict[str, str]) -> None:
    """Of many teams: one alone has so few requests that chance shows."""
    made = [draft for seed in range(40) for draft in drafts(first_targets, demo.now, SHANGHAI, seed)]

    def times(*keys: str) -> list[datetime]:
        return [datetime.fromtimestamp(draft.time_s, SHANGHAI) for draft in made if draft.key in keys]

    people, night = times(team.CLAUDE_CODE, team.WEBUI), [time.hour for time in times(team.BATCH)]
    assert sum(8 <= time.hour < 20 for time in people) > 0.65 * len(people)
    assert sum(time.weekday() >= 5 for time in people) < 0.2 * len(people)
    assert sum(hour < 7 or hour >= 21 for hour in night) > 0.9 * len(night)
    assert len({row.time.astimezone(SHANGHAI).date() for row in demo.rows}) >= DAYS - 1


def test_what_broke_off_is_estimated_and_what_was_refused_costs_nothing(demo: Demo) -> None:
    broken = [row for row in demo.rows if row.status == 200 and row.error_kind is not None]
    assert {row.usage_source for row in broken} == {"estimated"}
    assert all((row.cost or 0) > 0 for row in broken)
    refused = [row for row in demo.rows if row.attempts == 0]
    assert {row.usage_source for row in refused} == {"none"}
    assert {row.status for row in refused} == {ERRORS[row.error_kind or ""].status for row in refused}


# Keys, limits, budgets and the audit.


def test_keys_are_in_each_state(demo: Demo) -> None:
    keys = demo.keys
    assert len(keys) == len(team.HOLDERS)
    assert keys[team.CRAWLER].state == "revoked"
    assert keys[team.INTERN].state == "blocked"
    rotated = keys[team.NOTEBOOK]
    assert rotated.rotated_at is not None
    assert rotated.previous_expires_at == rotated.rotated_at + team.GRACE
    assert keys[team.EDITOR].expires_at == demo.now + timedelta(days=3)
    assert keys[team.DASHBOARD].kind == "admin_read"
    assert not demo.of(team.DASHBOARD)
    assert all(key.owner for key in keys.values())
    assert sum(bool(key.own_limits) for key in keys.values()) >= 3
    assert any(key.project_limits for key in keys.values())
    ended = {team.CRAWLER: keys[team.CRAWLER].revoked_at, team.INTERN: keys[team.INTERN].blocked_at}
    for name, time in ended.items():
        assert time is not None
        assert all(row.time <= time for row in demo.of(name))
    for holder in team.HOLDERS:
        if holder.models is not None:
            asked = {row.model for row in demo.of(holder.name) if row.upstream is not None}
            assert asked <= set(holder.models)


def check_budgets(demo: Demo) -> None:
    """Each is where it is meant to be, and the gateway has nothing to tell about it at its start."""
    shares: dict[str, list[float]] = {}
    for state in demo.budgets:
        shares.setdefault(state.name, []).append(state.counted / state.limit)
        assert (state.warned_at is not None) == state.is_warned
        assert (state.exhausted_at is not None) == state.is_exhausted
    [support], [research] = shares[team.SUPPORT], shares[team.RESEARCH]
    assert 0.8 < support < 0.9
    assert research < 0.05
    assert max(shares[team.WEBUI]) < 0.8
    assert all(state.per_user for state in demo.budgets if state.name == team.WEBUI)
    assert {state.unit for state in demo.budgets} == {"CNY", "tokens"}
    [batch] = [state for state in demo.budgets if state.name == team.BATCH]
    assert 1 <= batch.counted / batch.limit < 1.1
    assert batch.exhausted_at is not None
    refused = [row for row in demo.of(team.BATCH) if row.error_kind == "insufficient_quota"]
    assert refused
    # The request that reached the amount may still have been running, so its beginning counts.
    [reached_at] = [
        row.time
        for row in demo.of(team.BATCH)
        if row.cost and abs(row.time + timedelta(seconds=row.total_s) - batch.exhausted_at) < MS
    ]
    assert all(row.time > reached_at for row in refused)


def test_budgets_are_where_they_are_meant_to_be(demo: Demo) -> None:
    check_budgets(demo)


@pytest.mark.parametrize("moment", ["at night", "on a Sunday", "as a month begins", "on a leap day"])
def test_so_they_are_whenever_the_demo_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class Clock(datetime):
        """It stands still."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return MOMENTS[moment].astimezone(tz)

    for module in (settings, keys, projects, store_audit):
        monkeypatch.setattr(module, "datetime", Clock)
    with opened_demo(tmp_path, MOMENTS[moment]) as demo:
        check_budgets(demo)
        assert verify(demo.store, SHANGHAI, demo.now).is_right
        assert all(entry.time < demo.now for entry in demo.audit)


def test_the_audit_tells_it_in_order(demo: Demo) -> None:
    entries = demo.audit[::-1]
    assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)
    actions = Counter(entry.action for entry in entries)
    assert actions == {
        "project.create": 3, "key.create": 10, "project.update": 2, "key.update": 3, "key.revoke": 1,
        "key.block": 1, "key.rotate": 1,
    }  # fmt: skip
    for entry in entries:
        hour = entry.time.astimezone(SHANGHAI).hour
        assert 9 <= hour < 18
        for name in ("created_at", "revoked_at", "blocked_at", "rotated_at"):
            noted = (entry.after or {}).get(name)
            if noted is not None:
                assert abs(datetime.fromisoformat(str(noted)) - entry.time) < timedelta(seconds=2)


# Amounts that fit.


@pytest.mark.parametrize(
    ("spent", "share", "amount"),
    [(85, 0.85, 100), (7_811_995_800, 0.85, 9_000_000_000), (123_456_789, 0.03, 4_000_000_000), (0, 0.5, 0)],
)
def test_amounts_are_round(spent: int, share: float, amount: int) -> None:
    assert round_near(spent, share) == amount


def _spent(now: datetime, days_ago: float, cost: int, user: str | None = None) -> LedgerEntry:
    time_s = (now - timedelta(days=days_ago)).timestamp()
    return LedgerEntry(time_s, f"r{days_ago}", 200, 1.0, key_id=1, cost=cost, currency="CNY", user=user)


def test_a_window_that_has_hardly_begun_makes_no_budget() -> None:
    now = MOMENTS["as a month begins"]
    amounts = Amounts([_spent(now, days, NANO) for days in range(1, 11)], "CNY", now, SHANGHAI)
    budget = amounts.money(lambda _: True, "month", 0.85)
    assert (budget.period, budget.amount) == ("total", 12 * NANO)
    later = now + timedelta(days=12)
    amounts = Amounts([_spent(later, days, NANO) for days in range(1, 11)], "CNY", later, SHANGHAI)
    assert amounts.money(lambda _: True, "month", 0.85).period == "month"
    assert amounts.per_user(lambda _: True, "day", 0.6, NANO // 2).amount == NANO // 2
    assert amounts.exhausted(lambda _: True).amount == 10 * NANO
