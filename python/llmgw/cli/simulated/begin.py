"""The demo's past, put into its database through the gateway's own code."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from llmgw.access.checks import Known
from llmgw.access.keys import (
    NewKey,
    block_key,
    create_key,
    revoke_key,
    rotate_key,
    update_key,
)
from llmgw.access.projects import create_project, update_project
from llmgw.cli.simulated import ACTOR, team
from llmgw.cli.simulated.budgets import Amounts, Counts, tell
from llmgw.cli.simulated.draft import entry_of
from llmgw.cli.simulated.past import Past
from llmgw.cli.simulated.traffic import SEED, drafts
from llmgw.config import NANO, Config
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.sums import Books
from llmgw.prices.book import remember_prices
from llmgw.prices.shown import targets_of
from llmgw.store import Store

_LEAST: Final = NANO // 2
"""Of what each user may spend."""


def simulate_past(
    store: Store, config: Config, *, now: datetime | None = None, seed: int = SEED
) -> dict[str, str]:
    """Fill an empty database with two weeks of a team's traffic. Returns the keys' texts by their names.

    `config`: the demo's, whose prices and time zone count. Raises SQLAlchemyError.
    """
    now = now or datetime.now(UTC)
    known = Known.of(config)
    past = Past(store)
    made = _make_keys(store, past, known, now)
    entries = entries_of(config, made, now, seed)
    _write(store, config, entries)
    _change(store, past, known, entries, made, now)
    tell(store, entries, now, known.zone)
    past.settle()
    return {name: new.token for name, new in made.items()}


def entries_of(config: Config, made: Mapping[str, NewKey], now: datetime, seed: int) -> list[LedgerEntry]:
    """The requests, as the ledger has them."""
    targets = targets_of(config)
    prices = {(target.model, target.upstream): target.price for target in targets}
    first = {target.model: target.upstream for target in reversed(targets)}
    keys = {name: (new.key.id, new.key.project_id) for name, new in made.items()}
    requests = drafts(first, now, ZoneInfo(config.prices.timezone), seed)
    return [entry_of(draft, number, keys=keys, prices=prices) for number, draft in enumerate(requests)]


def _make_keys(store: Store, past: Past, known: Known, now: datetime) -> dict[str, NewKey]:
    for project in team.TEAMS:
        past.did(
            project.made.before(now, known.zone), create_project, store,
            actor=ACTOR, known=known, name=project.name, limits=project.changes,
        )  # fmt: skip
    made = {}
    for holder in team.HOLDERS:
        expires_at = None if holder.expires_in is None else now + holder.expires_in
        made[holder.name] = past.did(
            holder.made.before(now, known.zone), create_key, store,
            actor=ACTOR, known=known, name=holder.name, project=holder.project, owner=holder.owner,
            kind=holder.kind, models=holder.models, limits=holder.changes, expires_at=expires_at,
            trusts_user_header=holder.trusts_user_header,
        )  # fmt: skip
    return made


def _write(store: Store, config: Config, entries: list[LedgerEntry]) -> None:
    """As the ledger's writer does it: rows and all sums in one transaction."""
    remember_prices(store, [target.price for target in targets_of(config) if target.price is not None])
    books = Books(ZoneInfo(config.prices.timezone))
    with store.write() as session:
        books.add(session.connection(), entries, store.generation)


def _change(
    store: Store,
    past: Past,
    known: Known,
    entries: list[LedgerEntry],
    made: Mapping[str, NewKey],
    now: datetime,
) -> None:
    """What admins did since, the oldest first."""

    def of_key(name: str) -> Counts:
        return lambda entry: entry.key_id == made[name].key.id

    def of_project(name: str) -> Counts:
        [number] = {new.key.project_id for new in made.values() if new.key.project == name}
        return lambda entry: entry.project_id == number

    amounts = Amounts(entries, known.currency or "", now, known.zone)
    for ago, name, budget in (
        (team.Ago(12, 10, 20), team.SUPPORT, amounts.money(of_project(team.SUPPORT), "month", 0.85)),
        (team.Ago(12, 10, 23), team.RESEARCH, amounts.money(of_project(team.RESEARCH), "month", 0.03)),
    ):
        time = ago.before(now, known.zone)
        past.did(time, update_project, store, name, actor=ACTOR, known=known, budgets=[budget])
    for ago, name, budget in (
        (team.Ago(11, 14, 9), team.WEBUI, amounts.per_user(of_key(team.WEBUI), "week", 0.6, _LEAST)),
        (team.Ago(9, 9, 50), team.CLAUDE_CODE, amounts.tokens(of_key(team.CLAUDE_CODE), "month", 0.45)),
        (team.Ago(9, 9, 58), team.BATCH, amounts.exhausted(of_key(team.BATCH))),
    ):
        time = ago.before(now, known.zone)
        past.did(time, update_key, store, name, actor=ACTOR, known=known, budgets=[budget])
    for name, ago in team.REVOKED.items():
        past.did(ago.before(now, known.zone), revoke_key, store, name, actor=ACTOR)
    for name, ago in team.BLOCKED.items():
        past.did(ago.before(now, known.zone), block_key, store, name, actor=ACTOR)
    for name, ago in team.ROTATED.items():
        time = ago.before(now, known.zone)
        past.did(time, rotate_key, store, name, actor=ACTOR, grace=team.GRACE)
