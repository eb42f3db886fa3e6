"""`models` and `upstreams`: the config's, with what the workers and the ledger know of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from llmgw._core import dialect_for
from llmgw.admin.context import WorkerReport
from llmgw.admin.schemas.system import (
    Latency,
    LimitsSchema,
    ModelSchema,
    State,
    TargetHealth,
    TargetSchema,
    UpstreamSchema,
    WorkerHealth,
)
from llmgw.config import Config, ModelConfig, PricesConfig, TargetConfig, UpstreamConfig
from llmgw.ledger.latency import quantile_s, sum_latency
from llmgw.prices.price import Price
from llmgw.routing.catalog import entry_of
from llmgw.store import Store

_WORST: Final[tuple[State, ...]] = ("cooling", "probing", "up")
_RECENT: Final = timedelta(hours=24)


class HealthBook:
    """What the workers reported, by upstream, model there and account."""

    def __init__(self, reports: Sequence[WorkerReport]) -> None:
        self.workers = sorted(report.worker for report in reports)
        self._known: dict[tuple[str, str], dict[int | None, list[WorkerHealth]]] = {}
        for report in sorted(reports, key=lambda report: report.worker):
            for entry in report.upstreams:
                accounts = self._known.setdefault((entry["upstream"], entry["upstream_model"]), {})
                accounts.setdefault(entry.get("account"), []).append(_health(report.worker, entry))

    def of(self, upstream: str, upstream_model: str, account: int | None) -> list[WorkerHealth]:
        """Each worker's view."""
        return self._known.get((upstream, upstream_model), {}).get(account, [])

    def at(self, upstream: str) -> list[tuple[str, int | None, list[WorkerHealth]]]:
        """The models there that a worker told of, and by which account, with each worker's view."""
        return [
            (asked, account, workers)
            for (place, asked), accounts in self._known.items()
            if place == upstream
            for account, workers in accounts.items()
        ]

    def state(self, upstream: str, upstream_model: str) -> State | None:
        """The worst of all accounts; None: no worker has told."""
        accounts = self._known.get((upstream, upstream_model), {})
        return worst_state(each for workers in accounts.values() for each in workers) if accounts else None


def worst_state(workers: Iterable[WorkerHealth]) -> State:
    """Of the views of workers, of which there is one at least."""
    states = {each.state for each in workers}
    return next(state for state in _WORST if state in states)


def _health(worker: int, entry: Mapping[str, Any]) -> WorkerHealth:
    members = {name: entry[name] for name in WorkerHealth.model_fields if name in entry}
    return WorkerHealth(**members | {"worker": worker})


def model_of(model: ModelConfig, book: HealthBook, prices: PricesConfig) -> ModelSchema:
    """A model of the config."""
    dialect = model.thinking or dialect_for(model.upstream_model)
    return ModelSchema(
        id=model.id,
        catalog=entry_of(model, dialect),
        limits=LimitsSchema(**{name: getattr(model, name) for name in LimitsSchema.model_fields}),
        targets=[_target(target, book, prices) for target in model.targets],
    )


def _target(target: TargetConfig, book: HealthBook, prices: PricesConfig) -> TargetSchema:
    return TargetSchema(
        upstream=target.upstream,
        upstream_model=target.upstream_model,
        weight=target.weight,
        priority=target.priority,
        state=book.state(target.upstream, target.upstream_model),
        price=None if target.price is None else Price(target.price, prices).document,
    )


def upstreams_of(
    config: Config, book: HealthBook, store: Store, names: Iterable[str]
) -> list[UpstreamSchema]:
    """These upstreams of the config. Raises SQLAlchemyError."""
    latencies = _latencies(store, ZoneInfo(config.prices.timezone))
    return [
        _upstream(config, name, config.upstreams[name], book, latencies.get(name, _NO_LATENCY))
        for name in names
    ]


def _upstream(
    config: Config, name: str, table: UpstreamConfig, book: HealthBook, latency: Latency
) -> UpstreamSchema:
    asked = dict.fromkeys(
        target.upstream_model
        for model in config.models
        for target in model.targets
        if target.upstream == name
    )
    targets = [
        _target_health(asked_model, account, book.of(name, asked_model, account))
        for asked_model in asked
        for account in table.accounts
    ]
    return UpstreamSchema(
        name=name,
        base_url=table.base_url,
        apis=["chat", *table.native],
        requests_per_minute=table.requests_per_minute,
        tokens_per_minute=table.tokens_per_minute,
        max_in_flight=table.max_in_flight,
        wait_s=table.wait_s,
        targets=targets,
        latency=latency,
    )


def _target_health(upstream_model: str, account: int | None, workers: list[WorkerHealth]) -> TargetHealth:
    return TargetHealth(
        upstream_model=upstream_model,
        account=account,
        state=worst_state(workers) if workers else None,
        in_flight=sum(each.in_flight for each in workers),
        workers=workers,
    )


_NO_LATENCY: Final = Latency(
    requests=0, first_event_p50_s=None, first_event_p95_s=None, total_p50_s=None, total_p95_s=None
)


def _latencies(store: Store, zone: ZoneInfo) -> dict[str, Latency]:
    """By upstream, of the last 24 hours."""
    sums = sum_latency(store, ["upstream"], zone, since=datetime.now(UTC) - _RECENT)
    return {
        each.group[0]: Latency(
            requests=sum(each.total),
            first_event_p50_s=quantile_s(each.first_event, 0.5),
            first_event_p95_s=quantile_s(each.first_event, 0.95),
            total_p50_s=quantile_s(each.total, 0.5),
            total_p95_s=quantile_s(each.total, 0.95),
        )
        for each in sums
    }
