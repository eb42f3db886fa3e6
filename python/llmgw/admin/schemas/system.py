"""`models`, `upstreams`, `config`, `reload`: what the config file says, and what the workers make of it."""

from typing import Any, Literal

from pydantic import Field

from llmgw.admin.schemas.base import Count, Page, PageQuery, Schema, Time

State = Literal["up", "probing", "cooling"]


class WorkerHealth(Schema):
    """What one worker knows about a model at an upstream."""

    worker: int = Field(description="Its process id.")
    state: State = Field(description="`probing`: the next request finds out whether it is up again.")
    consecutive_failures: Count
    cooling_s: float
    in_flight: Count = Field(description="Requests that run there.")
    last_failure: str | None = None
    last_failure_s: float | None = Field(default=None, description="How long ago that was.")


class Latency(Schema):
    """Of the last 24 hours; each is the upper bound of the step of the histogram in which it lies."""

    requests: Count
    first_event_p50_s: float | None = Field(description="Null: no request, or more than 60 s.")
    first_event_p95_s: float | None
    total_p50_s: float | None
    total_p95_s: float | None


class TargetHealth(Schema):
    """A model at an account of an upstream, over all workers that could be asked."""

    upstream_model: str
    account: int | None = Field(description="Its number, where the upstream has several; null: it has one.")
    state: State | None = Field(description="The worst of the workers'; null: none could be asked.")
    in_flight: Count
    workers: list[WorkerHealth]


class UpstreamSchema(Schema):
    """`[upstreams.NAME]` of the config, its health and its latency."""

    name: str
    base_url: str
    apis: list[Literal["chat", "messages", "responses"]]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    max_in_flight: int | None = Field(description="Of one worker.")
    wait_s: float
    targets: list[TargetHealth]
    latency: Latency


class UpstreamPage(Page[UpstreamSchema]):
    """All upstreams. Health is each worker's own: `workers` says whose."""

    workers: list[int] = Field(description="The workers that could be asked.")


class TargetSchema(Schema):
    """Where a model is asked."""

    upstream: str
    upstream_model: str
    weight: int
    priority: int
    state: State | None
    price: dict[str, Any] | None = Field(
        description="Numbers as text, of tokens per million; null: it has none."
    )


class LimitsSchema(Schema):
    """Limits; null: none of that kind."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None


class ModelSchema(Schema):
    """`[[models]]` of the config."""

    id: str
    catalog: dict[str, Any] = Field(description="As in `GET /v1/model-catalog`.")
    limits: LimitsSchema
    targets: list[TargetSchema]


class ModelPage(Page[ModelSchema]):
    """All models, in the order of the config."""


class ListQuery(PageQuery):
    """Which part of a list is wanted."""


class ConfigSchema(Schema):
    """The config in force. Secrets are blanked."""

    source: str = Field(description="The file that it was read from.")
    changed_at: Time = Field(description="When that file was last changed, as it was read.")
    config: dict[str, Any] = Field(description="All tables, with their defaults; secrets are `**********`.")


class ConfigFault(Schema):
    """One thing that is wrong with the config file."""

    path: str = Field(description="Where in the file, such as `models[3].upstream`; empty: the whole.")
    problem: str
    remedy: str


class ProbeSchema(Schema):
    """What an upstream answered an account that asked for its models."""

    upstream: str
    account: int | None = Field(description="Its number, where the upstream has several; null: it has one.")
    url: str
    status: int | None = Field(description="Null: no answer.")
    elapsed_s: float
    level: Literal["ok", "warning", "fault"]
    text: str


class CheckSchema(Schema):
    """What a reload would find."""

    source: str
    ok: bool = Field(description="The file has no fault, needs no restart, and no probe has failed.")
    faults: list[ConfigFault]
    needs_restart: list[ConfigFault] = Field(description="Changes that a reload refuses.")
    upstreams: list[ProbeSchema] | None = Field(description="Null: they were not asked.")


class CheckQuery(Schema):
    """What is checked."""

    probe: bool = Field(
        default=False, description="Also ask each upstream for its models, as `llmgw check` does."
    )


class ReloadSchema(Schema):
    """A changed config that is in force now."""

    generation: int
    workers: list[int] = Field(description="The process ids of those that use it.")
    problems: list[str] = Field(description="Of single workers that could not take it over.")


MODEL = {
    "id": "qwen3.6-plus",
    "catalog": {
        "id": "qwen3.6-plus",
        "object": "model_catalog_entry",
        "kind": "chat",
        "family": "qwen",
        "owned_by": "alibaba",
        "modalities": {"input": ["text"], "output": ["text"]},
        "context_window": 1000000,
        "max_output_tokens": None,
        "capabilities": {
            "streaming": True,
            "tools": None,
            "vision": False,
            "reasoning": None,
            "json_mode": None,
        },
        "thinking": {"dialect": "enable_thinking", "switch_effective": True, "modes": ["on", "off"]},
    },
    "limits": {"requests_per_minute": None, "tokens_per_minute": 2000000, "concurrent_requests": None},
    "targets": [
        {
            "upstream": "dashscope",
            "upstream_model": "qwen3.6-plus",
            "weight": 1,
            "priority": 1,
            "state": "up",
            "price": {
                "currency": "CNY",
                "price_currency": "CNY",
                "exchange": "1",
                "per_million_tokens": [
                    {
                        "above_input_tokens": 0,
                        "input": "2",
                        "cached_input": "0.4",
                        "cache_write": "2",
                        "output": "12",
                        "output_thinking": "12",
                    }
                ],
                "per_request": "0",
                "per_image": "0",
            },
        }
    ],
}
CHECK = {
    "source": "/etc/llmgw.toml",
    "ok": False,
    "faults": [
        {
            "path": "models[0].upstream",
            "problem": "there is no upstream 'glmm'",
            "remedy": "did you mean 'glm'?",
        }
    ],
    "needs_restart": [],
    "upstreams": None,
}
UPSTREAM = {
    "name": "dashscope",
    "base_url": "https://dashscope.aliyuncs.com/compatible-mode/v1",
    "apis": ["chat"],
    "requests_per_minute": 600,
    "tokens_per_minute": None,
    "max_in_flight": None,
    "wait_s": 0.0,
    "targets": [
        {
            "upstream_model": "qwen3.6-plus",
            "account": None,
            "state": "cooling",
            "in_flight": 3,
            "workers": [
                {
                    "worker": 4711,
                    "state": "cooling",
                    "consecutive_failures": 5,
                    "cooling_s": 0.8,
                    "in_flight": 3,
                    "last_failure": "status 503",
                    "last_failure_s": 0.2,
                }
            ],
        }
    ],
    "latency": {
        "requests": 1804,
        "first_event_p50_s": 0.5,
        "first_event_p95_s": 2.5,
        "total_p50_s": 5.0,
        "total_p95_s": 30.0,
    },
}
