"""A failed attempt in the operator's words: for the log, the ledger, `/readyz?verbose` and the metrics.

What an upstream says may hold anything: line breaks, half a prompt, megabytes. The core has cut it and taken
out the upstream's own key; here it becomes one short line, without the other secrets.
"""

import json
from typing import TYPE_CHECKING, Final

from llmgw._core import UpstreamError
from llmgw.observe.logs import redacted

if TYPE_CHECKING:
    from llmgw._core import _Cause

MESSAGE_CHARS: Final = 200
"""An upstream's message is cut after these."""

_CAUSES: Final[dict["_Cause", str]] = {
    "dns": "DNS: the name can't be resolved",
    "refused": "connection refused",
    "no_route": "no route to the host",
    "closed": "closed while connecting",
    "local": "no socket left on this machine",
    "tls_unknown_issuer": "TLS: unknown issuer",
    "tls_expired": "TLS: the certificate is not valid at this time",
    "tls_wrong_name": "TLS: the certificate is for another name",
    "tls_certificate": "TLS: bad certificate",
    "tls_not_spoken": "TLS: the server does not speak it",
    "tls_handshake": "TLS: no agreement with the server",
    "other": "no connection",
}

_LABELLED_STATUSES: Final = frozenset({400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529})
"""These have a metric's label of their own; any other one has its class."""


def failure_text(error: UpstreamError) -> str:
    """To be read behind the upstream's name: `answered 401 invalid_api_key "The key is wrong."`."""
    return redacted(" ".join([_what(error), *_said(error)]))


def outcome(error: UpstreamError) -> str:
    """A metric's label, of which there are few: `status_401`, `unreachable_dns`, or just the kind."""
    if error.cause is not None:
        return f"{error.kind}_{error.cause}"
    if error.status is None or error.kind not in {"status", "error_event"}:
        return error.kind
    known = error.status in _LABELLED_STATUSES
    return f"{error.kind}_{error.status if known else f'{error.status // 100}xx'}"


def _what(error: UpstreamError) -> str:
    if error.cause is not None:
        return f"{error.kind}: {_CAUSES[error.cause]}"
    if error.kind == "status":
        return f"answered {error.status}"
    if error.kind == "redirect":
        return f"answered {error.status}, a redirect"
    if error.kind == "error_event":
        return "sent an error" if error.status is None else f"sent an error {error.status}"
    return error.kind


def _said(error: UpstreamError) -> list[str]:
    said = []
    if error.code:
        said.append(_printable(error.code))
    if error.message:
        message = error.message[: MESSAGE_CHARS + 1]
        if len(message) > MESSAGE_CHARS:
            message = f"{message[:MESSAGE_CHARS]}…"
        said.append(json.dumps(_printable(message), ensure_ascii=False))
    return said


def _printable(text: str) -> str:
    """Without what could begin a line or colour a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
