"""What a request tells the chaos upstream to do: a member `chaos` of its body, which passes untouched.

    {"chaos": {"mark": "m-17", "acts": {"a": [{"head": "status", "status": 503}], "*": [{}]}}}

The n-th exchange of a mark at an upstream plays that upstream's n-th act (the last one from then on); `*`
stands for every upstream that is not named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Head = Literal[
    "good",
    "stall",  # no headers, ever
    "silence",  # headers of a stream, then nothing
    "status",  # `status`, as a JSON error, with `retry_after_s`
    "html",  # an HTML error page with `status`
    "wrong_type",  # an event stream that calls itself text/html
    "redirect",  # 307 to the trap
    "encoded",  # compressed with `encoding`, though identity was asked for
    "bomb",  # a small gzip of `pad` zeros
    "error_event",  # 200, and an error in its first event
    "garbage",  # no HTTP
    "hang_up",  # the connection is closed without a word
]
End = Literal[
    "done",  # finish reason, usage, [DONE]
    "reset",  # a TCP reset
    "stall",  # nothing more, ever
    "close",  # a clean end, without finish reason and [DONE]
    "cut",  # a clean end in the middle of an event
    "error",  # an error event
    "endless",  # a line that never ends
]
Framing = Literal["events", "bytes", "odd"]
Says = Literal["content", "reasoning_content", "arguments"]
"""Where the events of a stream are: text, reasoning, or the arguments of a tool call."""
ARGUMENTS_HEAD = '{"said": "'
ARGUMENTS_TAIL = '"}'
"""What is around the events where they are arguments."""


@dataclass(frozen=True)
class Act:
    """One answer of the upstream."""

    head: Head = "good"
    end: End = "done"
    """What comes after `events` events. Answers that are not streamed know `done`, `reset` and `stall`."""
    events: int = 6
    pad: int = 0
    """Bytes of filler in each event."""
    delay_ms: float = 0
    """Before each event."""
    first_delay_ms: float = 0
    """Before the headers."""
    status: int = 503
    retry_after_s: float | None = None
    framing: Framing = "events"
    """`bytes`: every byte in a chunk and a write of its own. `odd`: all that the SSE specification allows."""
    says: Says = "content"
    encoding: str = "gzip"
    calls_tool: bool = False
    """A whole answer is a tool call with reasoning, without events."""

    def as_json(self) -> dict[str, Any]:
        """Only what differs from the default."""
        default = asdict(_DEFAULT)
        return {name: value for name, value in asdict(self).items() if value != default[name]}


_DEFAULT = Act()
KEY_PREFIX = "chaos-secret-"
"""Upstream NAME wants the key `chaos-secret-NAME`, which nobody but the gateway may ever see."""
PROMPT_TOKENS = 7
"""Of every request; each event is one completion token, and every chunk's usage says how many came so far."""

Acts = Act | Sequence[Act] | Mapping[str, Act | Sequence[Act]]


def _sequence(acts: Act | Sequence[Act]) -> list[dict[str, Any]]:
    return [act.as_json() for act in ([acts] if isinstance(acts, Act) else acts)]


def chaos(mark: str, acts: Acts) -> dict[str, Any]:
    """The body member for these acts."""
    named = acts if isinstance(acts, Mapping) else {"*": acts}
    return {"mark": mark, "acts": {name: _sequence(listed) for name, listed in named.items()}}


def act_for(member: Mapping[str, Any], upstream: str, attempt: int) -> Act:
    """The act of an upstream's `attempt`-th exchange (from 0) with this mark."""
    acts = member["acts"]
    listed = acts.get(upstream) or acts.get("*") or [{}]
    return Act(**listed[min(attempt, len(listed) - 1)])


@dataclass
class Exchange:
    """A line of the upstream's ledger. Times are of the monotonic clock, which all processes share."""

    upstream: str
    mark: str
    request_id: str
    authorized: bool
    """The request carried this upstream's own key, and nothing of the client's."""
    began_s: float
    head: str = "good"
    end: str = "done"
    events: int = 0
    """Events that were written."""
    tokens: int | None = None
    """The completion tokens of the last usage that was written."""
    written_bytes: int = 0
    whole: bool = False
    """The act was played to its end."""
    gone_s: float | None = None
    """When the gateway closed the connection before that."""
    ended_s: float | None = None
    """When it was over, one way or the other; None while it is `open`."""
    last_write_s: float | None = None
    """When the last piece of the answer was about to be written."""
    open: bool = True
    restored: bool = False
    """A message of the request carried reasoning."""
