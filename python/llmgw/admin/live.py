"""`live`: the workers' metrics and reports, put in order for people."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, TypeAlias

from llmgw.admin.context import WorkerReport
from llmgw.admin.exposition import Samples
from llmgw.admin.models import HealthBook, worst_state
from llmgw.admin.schemas.live import (
    LiveAttempts,
    LiveAuthFailures,
    LiveBudget,
    LiveError,
    LiveLedger,
    LiveLimited,
    LiveModel,
    LiveRedis,
    LiveSchema,
    LiveShed,
    LiveStatus,
    LiveStore,
    LiveTarget,
    LiveThinking,
    LiveUpstream,
    StepsSchema,
)
from llmgw.admin.schemas.system import WorkerHealth
from llmgw.budgets.money import amount_text
from llmgw.config import Config
from llmgw.observe.metrics import NO_MODEL, NO_SWITCH

_WORST: Final[tuple[LiveStatus, ...]] = ("unavailable", "degraded", "ok")
_Counts: TypeAlias = Mapping[tuple[str, ...], int]
"""By the values of some labels."""


def live_of(
    config: Config, samples: Samples, reports: Sequence[WorkerReport], *, at: datetime, instance: str | None
) -> LiveSchema:
    """The answer of `live`. A metric that is missing counts as 0."""
    page = _Page(samples)
    problems = list(dict.fromkeys(text for report in reports for text in report.problems))
    warnings = list(dict.fromkeys(text for report in reports for text in report.warnings))
    redis_up = page.number("llmgw_limits_redis_up") > 0
    return LiveSchema(
        at=at,
        instance=instance,
        status=_status(reports),
        problems=problems,
        warnings=warnings,
        workers=sorted(report.worker for report in reports),
        in_flight=page.number("llmgw_requests_in_flight"),
        waiting=page.number("llmgw_waiting_requests"),
        models=_models(page, [model.id for model in config.models]),
        errors=[
            LiveError(kind=kind, requests=number)
            for (kind,), number in sorted(page.by("llmgw_request_errors_total", "kind").items())
        ],
        upstreams=_upstreams(page, config, HealthBook(reports)),
        ledger=LiveLedger(
            queue_rows=page.number("llmgw_ledger_queue_rows"),
            journal_rows=page.number("llmgw_ledger_journal_rows"),
            journal_bytes=page.number("llmgw_ledger_journal_bytes"),
            set_aside_files=page.number("llmgw_ledger_journal_set_aside_files"),
            dropped_rows=page.number("llmgw_ledger_dropped_rows_total"),
        ),
        store=[
            LiveStore(purpose=purpose, healthy=healthy > 0)
            for (purpose,), healthy in sorted(page.by("llmgw_store_healthy", "purpose").items())
        ],
        redis=LiveRedis(limits_up=redis_up if config.limits.machines > 1 else None),
        limited=[
            LiveLimited(limit=limit, scope=scope, requests=number)
            for (limit, scope), number in sorted(page.by("llmgw_limited_total", "limit", "scope").items())
        ],
        shed=[
            LiveShed(reason=reason, requests=number)
            for (reason,), number in sorted(page.by("llmgw_shed_total", "reason").items())
        ],
        auth_failures=[
            LiveAuthFailures(code=code, requests=number)
            for (code,), number in sorted(page.by("llmgw_auth_failures_total", "code").items())
        ],
        budgets=page.budgets(),
    )


def unavailable(at: datetime, problem: str) -> LiveSchema:
    """What is told of a gateway that can't be asked."""
    return LiveSchema(
        at=at,
        instance=None,
        status="unavailable",
        problems=[problem],
        warnings=[],
        workers=[],
        in_flight=0,
        waiting=0,
        models=[],
        errors=[],
        upstreams=[],
        ledger=LiveLedger(queue_rows=0, journal_rows=0, journal_bytes=0, set_aside_files=0, dropped_rows=0),
        store=[],
        redis=LiveRedis(limits_up=None),
        limited=[],
        shed=[],
        auth_failures=[],
        budgets=[],
    )


class _Page:
    """The samples, summed over the labels that don't matter."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def number(self, name: str) -> int:
        """Of a metric without labels; 0 if there is none."""
        return sum(sample.number for sample in self._samples.get(name, ()))

    def by(self, name: str, *labels: str) -> _Counts:
        """The values of these labels, and what was counted with them."""
        sums: dict[tuple[str, ...], int] = defaultdict(int)
        for sample in self._samples.get(name, ()):
            sums[tuple(sample.labels.get(label, "") for label in labels)] += sample.number
        return sums

    def steps(self, name: str) -> dict[str, StepsSchema]:
        """A histogram by model."""
        found: dict[str, dict[float, int]] = defaultdict(dict)
        for (model, bound), number in self.by(f"{name}_bucket", "model", "le").items():
            found[model][float(bound)] = number
        return {model: _steps(until) for model, until in found.items()}

    def budgets(self) -> list[LiveBudget]:
        """By their ids."""
        samples = self._samples.get("llmgw_budget_spent_ratio", ())
        ratios = sorted((int(sample.labels["budget"]), sample.value) for sample in samples)
        return [LiveBudget(budget_id=budget_id, spent_ratio=ratio) for budget_id, ratio in ratios]


def _steps(until: Mapping[float, int]) -> StepsSchema:
    """Prometheus counts in each step all that took no longer."""
    bounds = sorted(until)
    below = [0, *(until[bound] for bound in bounds)]
    return StepsSchema(bounds_s=bounds[:-1], counts=[number - less for less, number in pairwise(below)])


_NO_STEPS: Final = StepsSchema(bounds_s=[], counts=[0])


def _status(reports: Iterable[WorkerReport]) -> LiveStatus:
    said = {report.status for report in reports}
    return next((status for status in _WORST if status in said), "unavailable")


def _models(page: _Page, known: Sequence[str]) -> list[LiveModel]:
    """In the order of the config, then those that are no longer in it, then requests of no model."""
    requests = page.by("llmgw_requests_total", "model")
    errors = page.by("llmgw_request_errors_total", "model")
    tokens = page.by("llmgw_tokens_total", "model", "kind")
    unpriced = page.by("llmgw_unpriced_requests_total", "model")
    costs, thinking = _costs(page), _thinking(page)
    first_event, total = page.steps("llmgw_first_event_seconds"), page.steps("llmgw_request_seconds")
    asked = {model for (model,) in requests}
    gone = sorted(asked.difference(known, [NO_MODEL]))
    return [
        LiveModel(
            model=model or None,
            requests=requests[model,],
            errors=errors.get((model,), 0),
            prompt_tokens=tokens.get((model, "prompt"), 0),
            completion_tokens=tokens.get((model, "completion"), 0),
            reasoning_tokens=tokens.get((model, "reasoning"), 0),
            cached_tokens=tokens.get((model, "cached"), 0),
            unpriced=unpriced.get((model,), 0),
            costs=costs.get(model, {}),
            first_event=first_event.get(model, _NO_STEPS),
            total=total.get(model, _NO_STEPS),
            thinking=thinking.get(model, []),
        )
        for model in (*known, *gone, NO_MODEL)
        if model in asked
    ]


def _costs(page: _Page) -> Mapping[str, dict[str, str]]:
    costs: dict[str, dict[str, str]] = defaultdict(dict)
    for (model, currency), nano in sorted(page.by("llmgw_cost_nano_total", "model", "currency").items()):
        costs[model][currency] = amount_text(nano, currency)
    return costs


def _thinking(page: _Page) -> Mapping[str, list[LiveThinking]]:
    thinking: dict[str, list[LiveThinking]] = defaultdict(list)
    found = page.by("llmgw_thinking_total", "model", "asked", "sent", "observed")
    for (model, asked, sent, observed), number in sorted(found.items()):
        thinking[model].append(
            LiveThinking(
                asked=_or_none(asked), sent=_or_none(sent), observed=observed == str(True), requests=number
            )
        )
    return thinking


def _or_none(label: str) -> str | None:
    return None if label == NO_SWITCH else label


def _upstreams(page: _Page, config: Config, book: HealthBook) -> list[LiveUpstream]:
    attempts: dict[str, list[LiveAttempts]] = defaultdict(list)
    for (upstream, outcome), number in sorted(
        page.by("llmgw_upstream_attempts_total", "upstream", "outcome").items()
    ):
        attempts[upstream].append(LiveAttempts(outcome=outcome, count=number))
    gone = sorted(attempts.keys() - config.upstreams.keys())
    return [
        LiveUpstream(
            upstream=upstream,
            attempts=attempts.get(upstream, []),
            targets=[_target(*told) for told in book.at(upstream)],
        )
        for upstream in (*config.upstreams, *gone)
    ]


def _target(upstream_model: str, account: int | None, workers: Sequence[WorkerHealth]) -> LiveTarget:
    failures = [each for each in workers if each.last_failure_s is not None]
    latest = min(failures, key=lambda each: each.last_failure_s or 0.0, default=None)
    return LiveTarget(
        upstream_model=upstream_model,
        account=account,
        state=worst_state(workers),
        in_flight=sum(each.in_flight for each in workers),
        cooling_s=max((each.cooling_s for each in workers), default=0.0),
        last_failure=None if latest is None else latest.last_failure,
        last_failure_s=None if latest is None else latest.last_failure_s,
    )
