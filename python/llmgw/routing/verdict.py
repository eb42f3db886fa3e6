"""What follows from a failed attempt: is it retried, who is blamed, and what is the client told?

A failure arrives as a kind and a status (`_core.UpstreamError`). One table turns it into a verdict and into
an `ApiError`.
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
    """Whether a failed attempt may be retried, provided that nothing has been sent to the client."""

    NEVER = "never"
    OTHER = "other"
    """At another target only: this one would fail again."""
    SAME = "same"
    """At another target, or at the same one after a pause: such failures are temporary."""


class Blame(Enum):
    """What a failed attempt says about its target."""

    UPSTREAM = "upstream"
    PACE = "pace"
    """Healthy, but it limits our rate."""
    REQUEST = "request"
    """Healthy: the request was at fault."""
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
    "invalid_event": _UpstreamFault("upstream_error", "The upstream's answer is not a valid completion."),
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
    # What a proxy answers when its own connection to the server broke.
    502: _FAILED._replace(retry=Retry.SAME),
    503: _OVERLOADED,
    504: _TIMED_OUT,
    529: _OVERLOADED,
}

_DECIDED_BY_STATUS: Final[frozenset["_ErrorKind"]] = frozenset({"status", "error_event"})


def _fault(kind: "_ErrorKind", status: int | None) -> _UpstreamFault:
    """The row for a failure: by status where that decides, else by kind."""
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
    """The error for the client when an exchange failed before anything was sent to it.

    The arguments are the attributes of `_core.UpstreamError`. The upstream's own `message` is passed on only
    with a 4xx about the request itself. (Once a stream has begun, the Rust core passes on the message of an
    error event; that does not come through here.)
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
    """May the attempt be retried, and what is to blame? The arguments are as for `upstream_error`."""
    fault = _fault(kind, status)
    return fault.retry, fault.blame
