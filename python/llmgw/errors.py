"""Which errors the gateway answers with, and the tree of all its exceptions.

Each code of the contract (docs/contract.md, Errors) is in `ERRORS` once, with its HTTP status, its
OpenAI-like type and whether the same request can succeed later. Handlers raise `ApiError`; the app turns it
into bytes with `render_headers` and an `ErrorShape`: `OPENAI`, or `ANTHROPIC` for the clients of that API.
`routing.verdict` makes one of an upstream's failure.

    Exception
     ├── LlmgwError                    every exception that Python code of llmgw defines
     │    ├── ApiError                 an answer other than success
     │    ├── ClientGone               the client left before its answer began
     │    ├── CommandError             a command line verb can't do its work
     │    ├── AccessError              access: a key or a project can't be found or changed
     │    │    ├── NotFoundError       nothing is known by that reference
     │    │    │    └── NoCaptureError  no such capture, or none is open
     │    │    ├── AmbiguousError      several are
     │    │    ├── NameTakenError      a project has that name
     │    │    ├── StateError          a revoked key, a blocked project
     │    │    └── BadValueError       values that can't be; it has all of them
     │    ├── BudgetInputError         budgets: an amount or a window that can't be
     │    ├── UnknownBudgetError       budgets: nothing is known by that id
     │    ├── WindowsNotOpenError      budgets: a window is to be opened, by a transaction that is alone
     │    ├── PriceDataError           prices: the installed price list can't be read
     │    ├── NoMasterError            redis: the sentinels know no master of that name
     │    ├── NoNodeError              redis: the cluster has no node for a key
     │    ├── ServerGone               limits: the Redis that machines share them by can't be used
     │    ├── ReplyError               limits: it answered what no script of ours returns
     │    ├── ConfigError              config: the config file can't be used
     │    ├── RedisUrlError            config: the URL of a Redis can't be used
     │    ├── FileError                config: a file that it names can't be read
     │    ├── StoreError               store: the database can't be opened
     │    ├── StoreGoneError           store: also SQLAlchemyError; its file was deleted or moved
     │    ├── StatementTimeoutError    store: also psycopg's; the server did not answer in time
     │    ├── TargetNotEmptyError      store: a copy would be mixed with what is there
     │    ├── SourceChangedError       store: it was written to while it was copied
     │    ├── CopyDiffersError         store: what was copied does not sum up to what it was copied from
     │    ├── RowRefusedError          store: the other database does not take a row
     │    ├── NotDurableError          ledger: a row is neither in the database nor in the journal
     │    ├── JournalFullError         ledger: also OSError; the journal has reached its limit
     │    └── CacheError               reasoning: the cache can't be used right now
     ├── _core.RequestError            the request body breaks a rule of the contract
     ├── _core.UpstreamError           an exchange failed before anything went to the client
     └── _core.CoreError               a defect in the Rust core

This module uses no other module of the package.
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple


class LlmgwError(Exception):
    """The base of all exceptions of llmgw's Python code."""


class CommandError(LlmgwError):
    """A command line verb can't do its work. The message says why, and what to do about it."""


class ClientGone(LlmgwError):  # noqa: N818  (not an error: there is nobody left to tell)
    """The client closed the connection before its answer began."""


class ErrorSpec(NamedTuple):
    """How one code looks on the wire."""

    status: int
    type: str
    retriable: bool
    """False: the client is told `x-should-retry: false`, since the same request would fail again."""


ERRORS: Final[dict[str, ErrorSpec]] = {
    "invalid_json": ErrorSpec(400, "invalid_request_error", retriable=False),
    "invalid_encoding": ErrorSpec(400, "invalid_request_error", retriable=False),
    "invalid_type": ErrorSpec(400, "invalid_request_error", retriable=False),
    "missing_field": ErrorSpec(400, "invalid_request_error", retriable=False),
    "duplicate_field": ErrorSpec(400, "invalid_request_error", retriable=False),
    "wrong_api": ErrorSpec(400, "invalid_request_error", retriable=False),
    "unsupported_value": ErrorSpec(400, "invalid_request_error", retriable=False),
    "previous_response_not_found": ErrorSpec(400, "invalid_request_error", retriable=False),
    "too_deep": ErrorSpec(400, "invalid_request_error", retriable=False),
    "unsupported_modality": ErrorSpec(400, "invalid_request_error", retriable=False),
    "unsupported_thinking_mode": ErrorSpec(400, "invalid_request_error", retriable=False),
    "invalid_host": ErrorSpec(400, "invalid_request_error", retriable=False),
    "missing_api_key": ErrorSpec(401, "authentication_error", retriable=False),
    "invalid_api_key": ErrorSpec(401, "authentication_error", retriable=False),
    "expired_api_key": ErrorSpec(401, "authentication_error", retriable=False),
    "blocked_api_key": ErrorSpec(403, "permission_error", retriable=False),
    "model_not_allowed": ErrorSpec(403, "permission_error", retriable=False),
    "unpriced_model": ErrorSpec(403, "permission_error", retriable=False),
    "wrong_key_kind": ErrorSpec(403, "permission_error", retriable=False),
    "read_only_key": ErrorSpec(403, "permission_error", retriable=False),
    "capture_disabled": ErrorSpec(403, "permission_error", retriable=False),
    "model_not_found": ErrorSpec(404, "not_found_error", retriable=False),
    "not_found": ErrorSpec(404, "not_found_error", retriable=False),
    "method_not_allowed": ErrorSpec(405, "invalid_request_error", retriable=False),
    "request_timeout": ErrorSpec(408, "invalid_request_error", retriable=True),
    "conflict": ErrorSpec(409, "invalid_request_error", retriable=False),
    "config_refused": ErrorSpec(409, "invalid_request_error", retriable=False),
    "body_too_large": ErrorSpec(413, "invalid_request_error", retriable=False),
    "unsupported_encoding": ErrorSpec(415, "invalid_request_error", retriable=False),
    "websocket_unsupported": ErrorSpec(426, "invalid_request_error", retriable=False),
    "head_too_large": ErrorSpec(431, "invalid_request_error", retriable=False),
    "rate_limit_exceeded": ErrorSpec(429, "rate_limit_error", retriable=True),
    "insufficient_quota": ErrorSpec(429, "insufficient_quota", retriable=False),
    "upstream_rate_limited": ErrorSpec(429, "rate_limit_error", retriable=True),
    "internal_error": ErrorSpec(500, "server_error", retriable=True),
    "upstream_error": ErrorSpec(502, "upstream_error", retriable=True),
    "upstream_unreachable": ErrorSpec(502, "upstream_error", retriable=True),
    "overloaded": ErrorSpec(503, "upstream_error", retriable=True),
    "upstream_timeout": ErrorSpec(504, "upstream_error", retriable=True),
}

RETRY_AFTER_CAP_S: Final = 86_400
"""The longest `retry-after` that a client gets, whatever an upstream says."""


class InputFault(NamedTuple):
    """One of the things that are wrong with a request of the admin API."""

    param: str | None
    """The path of the field, or the parameter's name; None: it is the request as a whole."""
    message: str


class ApiError(LlmgwError):
    """An answer other than success. The client reads its message: no key, no upstream body.

    Raises KeyError for a code that `ERRORS` does not list.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
        retriable: bool | None = None,
        faults: Sequence[InputFault] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """`status` and `retriable` default to what the table says for `code`.

        `faults`: all that is wrong at once, where the admin API checks input. `headers`: what this answer
        carries besides those that follow from the rest.
        """
        super().__init__(message)
        spec = ERRORS[code]
        self.code = code
        self.message = message
        self.type = spec.type
        self.param = param
        self.status = spec.status if status is None else status
        self.retry_after_s = retry_after_s
        self.retriable = spec.retriable if retriable is None else retriable
        self.faults = tuple(faults)
        self.headers = tuple(headers)


def render_body(error: ApiError, request_id: str = "") -> bytes:  # noqa: ARG001  (see ErrorShape)
    """The JSON body of an error response as OpenAI's clients know it, UTF-8."""
    body: dict[str, object] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.faults:
        body["faults"] = [fault._asdict() for fault in error.faults]
    return _json({"error": body})


def anthropic_body(error: ApiError, request_id: str) -> bytes:
    """The same as Anthropic's clients know it. They have no `param`, so the message begins with it."""
    message = error.message
    if error.param is not None and error.param not in message:
        message = f"{error.param}: {message}"
    body = {"type": anthropic_type(anthropic_status(error)), "message": message}
    return _json({"type": "error", "error": body, "request_id": request_id})


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


_OVERLOADED: Final = 503
_OVERLOADED_AT_ANTHROPIC: Final = 529
_FIRST_OF_THE_SERVER: Final = 500

_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Those that are not what their hundred is."""


def anthropic_type(status: int) -> str:
    """Anthropic's name for the errors of a status."""
    of_its_hundred = "invalid_request_error" if status < _FIRST_OF_THE_SERVER else "api_error"
    return _ANTHROPIC_TYPES.get(status, of_its_hundred)


def anthropic_status(error: ApiError) -> int:
    """The status of an error at Anthropic, where an overload has one of its own."""
    return _OVERLOADED_AT_ANTHROPIC if error.status == _OVERLOADED else error.status


class ErrorShape(NamedTuple):
    """How the clients of one family of APIs are told of an error."""

    body: Callable[[ApiError, str], bytes]
    """JSON, of the error and the request's id."""
    status: Callable[[ApiError], int]
    request_id_header: bytes | None
    """Where these clients look for the request's id, besides `x-request-id`."""


OPENAI: Final = ErrorShape(render_body, lambda error: error.status, None)
ANTHROPIC: Final = ErrorShape(anthropic_body, anthropic_status, b"request-id")


def render_frame(error: ApiError, request_id: str, instead_of: bytes) -> bytes:
    """The event that ends a stream of chat chunks that has failed (see `pipeline.body.Endpoint`)."""
    del request_id, instead_of
    return b"data: %s\n\n" % render_body(error)


def anthropic_frame(error: ApiError, request_id: str, instead_of: bytes) -> bytes:
    """The same for a stream of Messages: an `error` event, and no `message_stop`."""
    del instead_of
    return b"event: error\ndata: %s\n\n" % anthropic_body(error, request_id)


def render_headers(error: ApiError) -> list[tuple[bytes, bytes]]:
    """Headers of an error response as ASGI pairs; the app adds `x-request-id` and `content-length`."""
    headers = [(b"content-type", b"application/json")]
    if not error.retriable:
        headers.append((b"x-should-retry", b"false"))
    if error.code == "unsupported_encoding":
        headers.append((b"accept-encoding", b"gzip, zstd"))
    if error.retry_after_s is not None and math.isfinite(error.retry_after_s):
        seconds = min(max(math.ceil(error.retry_after_s), 0), RETRY_AFTER_CAP_S)
        headers.append((b"retry-after", b"%d" % seconds))
    headers += error.headers
    return headers
