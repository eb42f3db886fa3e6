"""What goes wrong with the demo's requests: which kinds of failure, how many, and with whom."""

import random
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, Literal, NamedTuple

from llmgw.cli.simulated.draft import Draft
from llmgw.cli.simulated.team import BATCH, CLAUDE_CODE, CODEX, EDITOR, HELPDESK, INTERN, WEBUI
from llmgw.errors import ERRORS
from llmgw.pipeline.account import CLIENT_CLOSED_REQUEST, CLIENT_GONE
from llmgw.routing.verdict import upstream_error

Change = Callable[[Draft, random.Random], Draft]
Which = Literal["scattered", "burst", "last"]
STANDBY: Final = "qwen-standby"
"""The upstream that takes over where `qwen` fails."""
_EARLY: Final = frozenset({"length", "content_filter"})
_FIRST_EVENT_TIMEOUT_S: Final = 60.0
"""The config's default."""


class Fault(NamedTuple):
    """A kind of failure."""

    number: int
    key: str | None
    """Of this key's requests; None: of any."""
    change: Change
    api: str | None = None
    model: str | None = None
    streams: bool | None = None
    asked: bool | None = None
    which: Which = "scattered"

    def fits(self, draft: Draft) -> bool:
        """Whether a request may fail like this. Each fails at most once."""
        return (
            draft.status == HTTPStatus.OK
            and draft.error_kind is None
            and draft.attempts == 1
            and draft.finish not in _EARLY
            and self.key in {None, draft.key}
            and (draft.writes if self.api is None else draft.api == self.api)
            and self.model in {None, draft.model}
            and self.streams in {None, draft.stream}
            and self.asked in {None, draft.asked}
        )


def refused(code: str, *, model: str | None = "") -> Change:
    """By the gateway, before an upstream was asked. `model` None: of a model that it does not know."""

    def change(draft: Draft, rng: random.Random) -> Draft:
        return draft._replace(
            model=draft.model if model == "" else model,
            upstream=None,
            status=ERRORS[code].status,
            error_kind=code,
            finish=None,
            attempts=0,
            came=0.0,
            total_s=rng.uniform(0.0006, 0.004),
        )

    return change


def failed(kind: "_Kind", words: str, *, status: int | None = None, attempts: int = 1) -> Change:
    """By the upstream, before its answer began. `words`: what the ledger keeps of each attempt."""

    def change(draft: Draft, rng: random.Random) -> Draft:
        took_s = _FIRST_EVENT_TIMEOUT_S if kind == "first_event_timeout" else rng.uniform(0.08, 0.9)
        return draft._replace(
            status=upstream_error(kind, status=status).status,
            error_kind=kind,
            finish=None,
            attempts=attempts,
            attempt_errors=", ".join([f"{draft.upstream}: {words}"] * attempts),
            came=0.0,
            total_s=took_s * attempts + rng.uniform(0.002, 0.02),
        )

    return change


def recovered(words: str, *, by: str | None = None) -> Change:
    """The first attempt fails, the second one answers: at the upstream `by`, None: at the same one."""

    def change(draft: Draft, rng: random.Random) -> Draft:
        lost_s = rng.uniform(0.15, 1.2)
        return draft._replace(
            upstream=by or draft.upstream,
            attempts=2,
            attempt_errors=f"{draft.upstream}: {words}",
            first_s=draft.first_s + lost_s,
            total_s=draft.total_s + lost_s,
        )

    return change


def broken(kind: str, words: str | None) -> Change:
    """In the middle of a stream: the upstream's fault, or, without words, the client left."""

    def change(draft: Draft, rng: random.Random) -> Draft:
        came = rng.uniform(0.1, 0.8)
        first_s = draft.first_s
        return draft._replace(
            error_kind=kind,
            finish=None,
            attempt_errors=words and f"{draft.upstream}: {words}",
            came=came,
            total_s=first_s + (draft.total_s - first_s) * came,
        )

    return change


def left(draft: Draft, rng: random.Random) -> Draft:
    """The client does not wait for the answer to begin."""
    waited_s = draft.first_s * rng.uniform(0.4, 0.95)
    return draft._replace(
        status=CLIENT_CLOSED_REQUEST, error_kind=CLIENT_GONE, finish=None, came=0.0, total_s=waited_s
    )


def finished(reason: str, *, share: float) -> Change:
    """The answer ends for another reason, after a part of it."""

    def change(draft: Draft, _rng: random.Random) -> Draft:
        took_s = draft.total_s - draft.first_s
        text = max(int(draft.text * share), 1)
        return draft._replace(finish=reason, text=text, total_s=draft.first_s + took_s * share)

    return change


_Kind = Literal["status", "first_event_timeout", "unreachable"]
_TOO_MANY: Final = 'answered 429 limit_requests "You exceeded your current requests limit."'
_BUSY: Final = 'answered 503 server_busy "The engine is overloaded, please retry."'
_FILTERED: Final = 'answered 400 data_inspection_failed "Input data may contain inappropriate content."'

FAULTS: Final = (
    # Limits and budgets.
    Fault(7, HELPDESK, refused("rate_limit_exceeded"), which="burst"),
    Fault(5, INTERN, refused("rate_limit_exceeded"), which="last"),
    Fault(6, BATCH, refused("insufficient_quota"), which="last"),
    # Upstreams, and what was done about them.
    Fault(6, HELPDESK, recovered(_BUSY, by=STANDBY), model="qwen3.6-plus"),
    Fault(2, WEBUI, recovered("first_event_timeout", by=STANDBY), model="qwen3.6-plus"),
    Fault(4, CLAUDE_CODE, recovered("reset")),
    Fault(4, None, failed("status", _BUSY, status=503, attempts=2), model="glm-5", api="messages"),
    Fault(3, CODEX, failed("status", 'answered 500 "internal error"', status=500)),
    Fault(3, None, failed("status", _TOO_MANY, status=429), model="kimi-k2.6"),
    Fault(2, CODEX, failed("first_event_timeout", "first_event_timeout"), model="deepseek-v4-pro"),
    Fault(1, WEBUI, failed("first_event_timeout", "first_event_timeout")),
    Fault(2, None, failed("unreachable", "unreachable: connection refused", attempts=2), model="minimax-m3"),
    Fault(2, WEBUI, broken("reset", "reset"), streams=True),
    Fault(1, CODEX, broken("idle_timeout", "idle_timeout"), streams=True),
    # Clients.
    Fault(4, EDITOR, left),
    Fault(2, CLAUDE_CODE, left),
    Fault(5, WEBUI, broken(CLIENT_GONE, None), streams=True),
    Fault(1, WEBUI, refused("unsupported_modality"), model="glm-5"),
    Fault(2, EDITOR, refused("model_not_found", model=None)),
    Fault(1, INTERN, refused("model_not_allowed")),
    Fault(1, CODEX, refused("unsupported_value")),
    Fault(1, EDITOR, refused("missing_field", model=None)),
    # Answers that ended early.
    Fault(3, WEBUI, finished("content_filter", share=0.2)),
    Fault(2, HELPDESK, failed("status", _FILTERED, status=400), model="qwen3.6-plus"),
    Fault(9, None, finished("length", share=1.0), api="chat"),
)


def with_faults(drafts: Sequence[Draft], rng: random.Random) -> list[Draft]:
    """The same requests, in their order, some of which fail now."""
    changed = list(drafts)
    for fault in FAULTS:
        places = [place for place, draft in enumerate(changed) if fault.fits(draft)]
        for place in _chosen(places, fault, rng):
            changed[place] = fault.change(changed[place], rng)
    return changed


def _chosen(places: Sequence[int], fault: Fault, rng: random.Random) -> Sequence[int]:
    number = min(fault.number, len(places))
    if fault.which == "last":
        return places[len(places) - number :]
    if fault.which == "burst":
        begin = rng.randrange(len(places) - number + 1)
        return places[begin : begin + number]
    return sorted(rng.sample(places, number))
