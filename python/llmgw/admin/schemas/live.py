"""`live`: what the workers know now, without the database."""

from typing import Literal

from pydantic import Field

from llmgw.admin.schemas.base import Count, Id, Money, Schema, Time
from llmgw.admin.schemas.system import State

LiveStatus = Literal["ok", "degraded", "unavailable"]


class StepsSchema(Schema):
    """A histogram: how many requests took how long."""

    bounds_s: list[float] = Field(description="The upper bounds of the steps, rising.")
    counts: list[Count] = Field(
        description="Requests of each step alone; one more than bounds: the last step has no end."
    )


class LiveThinking(Schema):
    """Answers that have this in common."""

    asked: str | None = Field(description="`on` or `off`; null: the requests had no switch.")
    sent: str | None = Field(
        description="The dialect in which the upstream was told, or `ignored`; null: not at all."
    )
    observed: bool = Field(description="Whether the upstream sent reasoning.")
    requests: Count


class LiveModel(Schema):
    """What was asked of a model, and what that used, cost and took."""

    model: str | None = Field(description="Null: requests that named no model that is configured.")
    requests: Count = Field(description="Those that are finished.")
    errors: Count
    prompt_tokens: Count
    completion_tokens: Count
    reasoning_tokens: Count
    cached_tokens: Count
    unpriced: Count = Field(description="Requests that used tokens without a price.")
    costs: dict[str, Money] = Field(
        description="By currency. Exact up to nine million of a unit, then to sixteen digits."
    )
    first_event: StepsSchema
    total: StepsSchema
    thinking: list[LiveThinking]


class LiveError(Schema):
    """Requests that failed in one way."""

    kind: str
    requests: Count


class LiveAttempts(Schema):
    """Attempts at an upstream that ended alike."""

    outcome: str = Field(description="`ok`, `client_gone`, or what the attempt failed with.")
    count: Count


class LiveTarget(Schema):
    """A model at an account of an upstream, over all workers."""

    upstream_model: str
    account: int | None = Field(description="Its number, where the upstream has several; null: it has one.")
    state: State = Field(description="The worst of the workers'.")
    in_flight: Count
    cooling_s: float = Field(description="The longest of the workers'.")
    last_failure: str | None = Field(description="The latest; null: none is remembered.")
    last_failure_s: float | None = Field(description="How long ago that was.")


class LiveUpstream(Schema):
    """An upstream of the config, or one that was in it."""

    upstream: str
    attempts: list[LiveAttempts]
    targets: list[LiveTarget] = Field(description="Empty: no worker has told.")


class LiveLedger(Schema):
    """What the database does not have yet."""

    queue_rows: Count
    journal_rows: Count
    journal_bytes: Count
    set_aside_files: Count = Field(description="Of the journal, with something that can't be replayed.")
    dropped_rows: Count = Field(description="They are lost.")


class LiveStore(Schema):
    """Whether the database could be used when it was last tried."""

    purpose: str = Field(description="`keys` or `ledger`.")
    healthy: bool


class LiveRedis(Schema):
    """The Redis in which machines share their limits."""

    limits_up: bool | None = Field(description="Whether every worker can ask it; null: there is one machine.")


class LiveLimited(Schema):
    """Requests that a limit or a budget refused."""

    limit: str
    scope: str
    requests: Count


class LiveShed(Schema):
    """Requests that were turned away."""

    reason: str
    requests: Count


class LiveAuthFailures(Schema):
    """Requests that were refused for their key."""

    code: str
    requests: Count


class LiveBudget(Schema):
    """A budget in its current window."""

    budget_id: int
    spent_ratio: float = Field(description="1 is all of it.")


class LiveSchema(Schema):
    """The gateway as its workers see it."""

    at: Time = Field(description="When they were asked.")
    instance: str | None = Field(
        description="Changes when counters begin anew; null: nothing could be counted."
    )
    status: LiveStatus = Field(
        description="The worst of the workers', as in `/readyz`; `unavailable` also if none answers."
    )
    problems: list[str] = Field(description="Why it is `unavailable`.")
    warnings: list[str] = Field(description="Why it is `degraded`.")
    workers: list[int] = Field(description="The process ids of those that could be asked.")
    in_flight: Count
    waiting: Count = Field(description="Those that wait for a place at an upstream.")
    models: list[LiveModel] = Field(description="Those that were asked since the counters began.")
    errors: list[LiveError]
    upstreams: list[LiveUpstream]
    ledger: LiveLedger
    store: list[LiveStore]
    redis: LiveRedis
    limited: list[LiveLimited]
    shed: list[LiveShed]
    auth_failures: list[LiveAuthFailures]
    budgets: list[LiveBudget] = Field(description="The oldest hundred, as far as they have spent something.")


class AskerSchema(Schema):
    """The key that asks."""

    id: Id
    name: str
    kind: Literal["admin", "admin_read"]
    may_change: bool = Field(description="False: it only looks.")
    expires_at: Time | None


_FIRST_EVENT = {
    "bounds_s": [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0],
    "counts": [0, 0, 12, 310, 903, 411, 102, 44, 12, 5, 3, 1, 0, 0, 0],
}
_TOTAL = {
    "bounds_s": [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0],
    "counts": [1, 0, 4, 96, 404, 610, 411, 201, 60, 13, 4, 0, 0, 0, 0],
}
LIVE = {
    "at": "2026-11-26T08:00:00.125Z",
    "instance": "5f0c1e9ab2d4c6e8",
    "status": "degraded",
    "problems": [],
    "warnings": ["the database can't be written; ledger rows wait in the journal"],
    "workers": [4711, 4712],
    "in_flight": 7,
    "waiting": 0,
    "models": [
        {
            "model": "qwen3.6-plus",
            "requests": 1804,
            "errors": 1,
            "prompt_tokens": 2172016,
            "completion_tokens": 559240,
            "reasoning_tokens": 220088,
            "cached_tokens": 1847296,
            "unpriced": 0,
            "costs": {"CNY": "8.0992384"},
            "first_event": _FIRST_EVENT,
            "total": _TOTAL,
            "thinking": [{"asked": "on", "sent": "enable_thinking", "observed": True, "requests": 1803}],
        }
    ],
    "errors": [{"kind": "first_event_timeout", "requests": 1}],
    "upstreams": [
        {
            "upstream": "dashscope",
            "attempts": [
                {"outcome": "first_event_timeout", "count": 1},
                {"outcome": "ok", "count": 1803},
            ],
            "targets": [
                {
                    "upstream_model": "qwen3.6-plus",
                    "account": None,
                    "state": "up",
                    "in_flight": 7,
                    "cooling_s": 0.0,
                    "last_failure": "first_event_timeout",
                    "last_failure_s": 812.4,
                }
            ],
        }
    ],
    "ledger": {
        "queue_rows": 0,
        "journal_rows": 3,
        "journal_bytes": 1622,
        "set_aside_files": 0,
        "dropped_rows": 0,
    },
    "store": [{"purpose": "keys", "healthy": True}, {"purpose": "ledger", "healthy": False}],
    "redis": {"limits_up": None},
    "limited": [{"limit": "tokens_per_minute", "scope": "key", "requests": 12}],
    "shed": [],
    "auth_failures": [{"code": "invalid_api_key", "requests": 2}],
    "budgets": [{"budget_id": 4, "spent_ratio": 0.82}],
}
ASKER = {
    "id": 2,
    "name": "zhang.wei",
    "kind": "admin",
    "may_change": True,
    "expires_at": "2027-01-01T00:00:00Z",
}
