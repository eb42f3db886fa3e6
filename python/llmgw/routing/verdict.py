"""What follows from a failed attempt: another attempt or none, who was at fault, and what the client is told.

What went wrong at an upstream arrives as a kind and a status (`_core.UpstreamError`); one table turns it into
a verdict and into an `ApiError`.
"""

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from llmgw import _core
from llmgw.errors import ApiError

if TYPE_CHECKING:
    from llmgw._core import _ErrorKind

_CLIENT_ERRORS: Final = range(400, 500)

_RETRIABLE_STATUSES: Final = frozenset({408, 409, 429})


class Retry(Enum):
    """Whether a failed attempt may be followed by another one, as long as nothing has gone to the client."""

    NEVER = "never"
    OTHER = "other"
    """At another target; this one would fail again."""
    SAME = "same"
    """At another target, or where there is none at this one after a pause: such failures pass."""


class Blame(Enum):
    """What a failed attempt says of its target."""

    UPSTREAM = "upstream"
    PACE = "pace"
    """It is well, but asks to be left alone for a while."""
    REQUEST = "request"
    """It is well: the request was at fault."""
    NOBODY = "nobody"


class _UpstreamFault(NamedTuple):
    code: str
    message: str
    retriable: bool = True
    retry: Retry = Retry.OTHER
    blame: Blame = Blame.UPSTREAM


# `_core.UpstreamError.kind`, where no HTTP status decides.
_BY_KIND: Final[dict["_ErrorKind", _UpstreamFault]] = {
    "unreachable": _UpstreamFault(
        "upstream_unreachable", "The upstream could not be reached.", retry=Retry.SAME
    ),
    "connect_timeout": _UpstreamFault(
        "upstream_timeout", "The upstream did not accept a connection in time."
    ),
    "first_event_timeout": _UpstreamFault(
        "upstream_timeout", "The upstream did not begin to answer in time."
    ),
    "idle_timeout": _UpstreamFault(
        "upstream_timeout", "The upstream fell silent in the middle of its answer."
    ),
    "total_timeout": _UpstreamFault(
        "upstream_timeout", "The upstream did not finish its answer in time.", retry=Retry.NEVER
    ),
    "redirect": _UpstreamFault("upstream_error", "The upstream answered with a redirect.", retriable=False),
    "content_type": _UpstreamFault(
        "upstream_error", "The upstream answered with an unexpected content type."
    ),
    "content_encoding": _UpstreamFault(
        "upstream_error", "The upstream answered with an unexpected encoding."
    ),
    "protocol": _UpstreamFault("upstream_error", "The upstream does not speak HTTP."),
    "error_event": _UpstreamFault("upstream_error", "The upstream reported an error instead of an answer."),
    "invalid_event": _UpstreamFault("upstream_error", "The upstream's answer is no valid completion."),
    "event_too_large": _UpstreamFault(
        "upstream_error",
        "The upstream's answer exceeds the gateway's limit.",
        retry=Retry.NEVER,
        blame=Blame.NOBODY,
    ),
    "reset": _UpstreamFault("upstream_error", "The connection to the upstream broke.", retry=Retry.SAME),
    "draining": _UpstreamFault(
        "overloaded", "The gateway is restarting. Try again.", retry=Retry.NEVER, blame=Blame.NOBODY
    ),
    "truncated": _UpstreamFault("upstream_error", "The upstream's answer ended before it was complete."),
    "too_large": _UpstreamFault(
        "upstream_error",
        "The upstream's answer exceeds the gateway's limit.",
        retry=Retry.NEVER,
        blame=Blame.NOBODY,
    ),
    "aborted": _UpstreamFault(
        "upstream_error",
        "The request was aborted before the upstream answered.",
        retry=Retry.NEVER,
        blame=Blame.NOBODY,
    ),
    "panic": _UpstreamFault(
        "internal_error", "The gateway failed on this request.", retry=Retry.NEVER, blame=Blame.NOBODY
    ),
}

_REFUSED: Final = _UpstreamFault(
    "upstream_error",
    "The upstream refused the gateway itself, not this request. The gateway's operator must look at it.",
    retriable=False,
)

_OVERLOADED: Final = _UpstreamFault(
    "overloaded", "The upstream is overloaded. Try again later.", retry=Retry.SAME
)

_TIMED_OUT: Final = _UpstreamFault(
    "upstream_timeout", "The upstream gave up on the request after too long a time."
)

_RATE_LIMITED: Final = _UpstreamFault(
    "upstream_rate_limited",
    "The upstream limits the rate of requests.",
    retry=Retry.SAME,
    blame=Blame.PACE,
)

_FAILED: Final = _UpstreamFault("upstream_error", "The upstream failed on this request.")

_BY_STATUS: Final[dict[int, _UpstreamFault]] = {
    401: _REFUSED,
    402: _REFUSED,
    403: _REFUSED,
    404: _REFUSED,
    407: _REFUSED,
    408: _TIMED_OUT,
    429: _RATE_LIMITED,
    # A proxy's word for a connection that broke behind it.
    502: _FAILED._replace(retry=Retry.SAME),
    503: _OVERLOADED,
    504: _TIMED_OUT,
    529: _OVERLOADED,
}

_DECIDED_BY_STATUS: Final[frozenset["_ErrorKind"]] = frozenset({"status", "error_event"})


def _fault(kind: "_ErrorKind", status: int | None) -> _UpstreamFault:
    """The row of an upstream's failure: by its status where that decides, else by its kind."""
    if status is None or kind not in _DECIDED_BY_STATUS:
        return _BY_KIND.get(kind, _FAILED)
    # Such a status reaches the client as it is.
    if _core.is_about_the_request(status):
        message = f"The upstream refused the request with status {status}."
        retriable = status in _RETRIABLE_STATUSES
        return _UpstreamFault("upstream_error", message, retriable, Retry.NEVER, Blame.REQUEST)
    return _BY_STATUS.get(status, _REFUSED if status in _CLIENT_ERRORS else _FAILED)


def upstream_error(
    kind: "_ErrorKind",
    *,
    status: int | None = None,
    retry_after_s: float | None = None,
    message: str | None = None,
) -> ApiError:
    """What the client is told when the exchange with an upstream failed before anything was shown.

    The arguments are the attributes of `_core.UpstreamError`. The upstream's own `message` goes out only with
    a 4xx about the request itself; nothing else that an upstream says is ever echoed.
    """
    fault = _fault(kind, status)
    about_the_request = fault.blame is Blame.REQUEST
    return ApiError(
        fault.code,
        message if about_the_request and message else fault.message,
        status=status if about_the_request else None,
        retry_after_s=retry_after_s,
        retriable=fault.retriable,
    )


def upstream_verdict(kind: "_ErrorKind", *, status: int | None = None) -> tuple[Retry, Blame]:
    """What follows from a failed exchange: may there be another attempt, and what does it say of the target?

    The arguments are as for `upstream_error`.
    """
    fault = _fault(kind, status)
    return fault.retry, fault.blame
