"""What every client is asked to do, and what the gateway promised that it would see.

The simulated providers are deterministic where a request has a `seed`, so the promise is exact: the very
text, reasoning, calls and token counts that the provider gave, whatever it wrapped them in.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from llmgw.simulator import MODELS, PROVIDERS
from llmgw.simulator.request import ChatRequest
from tests.support.chat import CLOCK, PNG, WEATHER

SCENARIOS = (
    "plain",
    "streamed",
    "tools",
    "parallel tools",
    "reasoning",
    "image",
    "error",
    "mid-stream error",
    "usage",
    "silence",
)
EACH_FAMILY = ("qwen3.6-plus", "deepseek-v4-pro", "glm-5", "kimi-k2.6", "minimax-m3")
SEEING = ("qwen3.6-plus", "kimi-k2.6", "minimax-m3")
SWITCHABLE = ("qwen3.6-plus", "deepseek-v4-pro", "glm-5")
"""Models whose thinking can be switched off, so that their first chunk after the role is content."""
SWITCHED_BY_WORDS = ("deepseek-v4-pro",)
"""Models that find the switch in the prompt."""
SEED = 1
HEARTBEAT_S = 0.1
"""Of the gateway, so that silence takes no time."""
SILENCE = {"first_delay_ms": 400, "delay_ms": 250, "chunk_chars": 40}
"""A provider that makes its client wait for several heartbeats before each chunk."""
TOOL_RESULT = "18 degrees, rain"
FAULTS: tuple[dict[str, int], ...] = (
    {"error_after_chunks": 9},
    {"fail_after_chunks": 9},
    {"end_after_chunks": 9},
)
"""How a provider gives up: an error event, a broken connection, an end without a finish reason."""


@dataclass(frozen=True)
class Refusal:
    """An error that the gateway promises. Its message is what the gateway says to a plain HTTP request."""

    code: str
    status: int | None
    """None: it comes in the middle of a stream, after a 200."""


@dataclass(frozen=True)
class Case:
    """One request, and what is to be seen."""

    scenario: str
    name: str
    model: str
    stream: bool
    prompt: str = "Say hello."
    more: dict[str, Any] = field(default_factory=dict)
    """Further members of the task: `tools`, `stream_options`, `image`, `tool_result`."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Members of the request that no SDK has a parameter for."""
    right_key: bool = True
    refusal: Refusal | None = None

    def task(self, key: str) -> dict[str, Any]:
        """The line that a client's program reads."""
        return {
            "name": self.name,
            "model": self.model,
            "stream": self.stream,
            "prompt": self.prompt,
            "seed": SEED,
            "extra": self.extra,
            "api_key": key if self.right_key else "sk-gtw-" + "x" * 32,
            **self.more,
        }

    def body(self) -> dict[str, Any]:
        """The same as a request body, as any client should send it."""
        content: Any = self.prompt
        if "image" in self.more:
            content = [
                {"type": "text", "text": self.prompt},
                {"type": "image_url", "image_url": {"url": self.more["image"]}},
            ]
        standard: dict[str, Any] = {
            name: self.more[name] for name in ("tools", "stream_options") if name in self.more
        }
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "seed": SEED,
            "stream": self.stream,
            **standard,
            **self.extra,
        }

    def promised(self, *, asks_for_thinking: bool = False) -> "Promise":
        """What a client sees that asks just this. `asks_for_thinking`: where it streams, as Messages must."""
        body = self.body() | {"stream_options": {"include_usage": True}} if self.counted else self.body()
        if asks_for_thinking and self.stream and self.model in SWITCHED_BY_WORDS and not self.extra:
            body["messages"][0]["content"] += " /think"
        after = TOOL_RESULT if "tool_result" in self.more else None
        return promise(body, stream=self.stream, text_after_tools=after)

    @property
    def counted(self) -> bool:
        """Does a usage come?"""
        return not self.stream or "stream_options" in self.more


@dataclass(frozen=True)
class Promise:
    """Text, reasoning, calls, finish reason and usage, as the provider gave them."""

    text: str
    reasoning: str
    tool_calls: list[tuple[str, Any]]
    """Name and arguments."""
    finish_reason: str
    usage: dict[str, int] | None
    text_after_tools: str | None = None
    """Stands in the answer to the tools' results."""


def promise(body: dict[str, Any], *, stream: bool, text_after_tools: str | None = None) -> Promise:
    """What the provider says to this body, its `simulate` apart, and so what a client is to see."""
    asked = {name: value for name, value in body.items() if name != "simulate"} | {"stream": True}
    family = next(model.provider for model in MODELS if model.id == body["model"])
    turn = PROVIDERS[family].answer(ChatRequest.parse(json.dumps(asked).encode(), delay_ms=0))
    [answer] = turn.answers
    options = body.get("stream_options") or {}
    usage = {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
    }
    return Promise(
        text=answer.content,
        # Answers that are not streamed never carry reasoning.
        reasoning=answer.reasoning if stream else "",
        tool_calls=[(call.name, json.loads(call.arguments)) for call in answer.tool_calls],
        finish_reason=answer.finish_reason,
        usage=usage if options.get("include_usage") else None,
        text_after_tools=text_after_tools,
    )


def _mode(stream: bool) -> str:  # noqa: FBT001 - a member of a name
    return "streamed" if stream else "plain"


def cases() -> Iterator[Case]:
    """All cases of all scenarios."""
    for model in EACH_FAMILY:
        yield Case("plain", f"plain/{model}", model, stream=False)
        yield Case("streamed", f"streamed/{model}", model, stream=True)
        yield Case("reasoning", f"reasoning/{model}", model, stream=True, prompt="为什么天是蓝的？")
        yield from _tools(model)
        yield Case("silence", f"silence/{model}", model, stream=True, extra={"simulate": SILENCE})
    for stream in (False, True):
        for model in SEEING:
            yield Case(
                "image",
                f"image/{model}/{_mode(stream)}",
                model,
                stream,
                prompt="What is in this picture?",
                more={"image": PNG},
            )
        for model in EACH_FAMILY:
            options = {"stream_options": {"include_usage": True}} if stream else {}
            yield Case("usage", f"usage/{model}/{_mode(stream)}", model, stream, more=options)
        yield from _errors(stream)
    for model in SWITCHABLE:
        for fault in FAULTS:
            yield Case(
                "mid-stream error",
                f"mid-stream error/{model}/{next(iter(fault))}",
                model,
                stream=True,
                extra={"simulate": fault, "llmgw_thinking": False},
                refusal=Refusal("upstream_error", None),
            )


def _tools(model: str) -> Iterator[Case]:
    for stream in (False, True):
        yield Case(
            "tools",
            f"tools/{model}/{_mode(stream)}",
            model,
            stream,
            prompt="How is the weather in Paris?",
            more={"tools": [WEATHER], "tool_result": TOOL_RESULT},
        )
        yield Case(
            "parallel tools",
            f"parallel tools/{model}/{_mode(stream)}",
            model,
            stream,
            prompt="Weather and time in Tokyo, in parallel.",
            more={"tools": [WEATHER, CLOCK], "tool_result": TOOL_RESULT},
        )


def _errors(stream: bool) -> Iterator[Case]:  # noqa: FBT001 - a member of a name
    rows: tuple[tuple[str, str, dict[str, Any], Refusal], ...] = (
        ("unknown model", "glm-55", {}, Refusal("model_not_found", 404)),
        ("wrong key", "glm-5", {"right_key": False}, Refusal("invalid_api_key", 401)),
        ("no images", "glm-5", {"more": {"image": PNG}}, Refusal("unsupported_modality", 400)),
        (
            "provider's limit",
            "qwen3-max",
            {"extra": {"simulate": {"status": 429, "retry_after_s": 7}}},
            Refusal("upstream_rate_limited", 429),
        ),
        (
            "provider's failure",
            "qwen3-max",
            {"extra": {"simulate": {"status": 500}}},
            Refusal("upstream_error", 502),
        ),
        (
            "provider's refusal",
            "qwen3-max",
            {"extra": {"simulate": {"status": 400}}},
            Refusal("upstream_error", 400),
        ),
    )
    for name, model, more, refusal in rows:
        yield Case("error", f"error/{name}/{_mode(stream)}", model, stream, refusal=refusal, **more)


_AGENT_MODELS = {
    "streamed": EACH_FAMILY,
    "reasoning": ("qwen3.6-plus", "minimax-m3"),
    "tools": EACH_FAMILY,
    "parallel tools": ("qwen3.6-plus", "glm-5"),
    "usage": ("qwen3.6-plus", "kimi-k2.6"),
    "image": ("qwen3.6-plus",),
    "mid-stream error": ("glm-5",),
    "silence": ("glm-5", "deepseek-v4-pro"),
}
_AGENT_ERRORS = ("unknown model", "wrong key", "provider's refusal")


def agent_cases() -> Iterator[Case]:
    """Streams only, and fewer: a terminal agent takes seconds for each, and tries some errors again."""
    for case in cases():
        subject = case.name.split("/")[1]
        wanted = _AGENT_ERRORS if case.scenario == "error" else _AGENT_MODELS.get(case.scenario, ())
        if case.stream and subject in wanted:
            yield case
