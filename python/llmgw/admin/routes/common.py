"""What routes have in common: the context, who asks, and what the document says of each operation."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Protocol, TypeVar

from fastapi import Depends, Request

from llmgw.access.key import Key
from llmgw.admin.context import Context
from llmgw.admin.guard import KEY
from llmgw.admin.paging import make_cursor, read_cursor
from llmgw.admin.schemas.errors import ErrorBody
from llmgw.errors import ERRORS

T = TypeVar("T")


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def _asker(request: Request) -> Key:
    key: Key = request.scope[KEY]
    return key


async def _actor(key: Annotated[Key, Depends(_asker)]) -> str:
    return f"key {key.id} ({key.name})" if key.name else f"key {key.id}"


Ctx = Annotated[Context, Depends(_context)]
Asker = Annotated[Key, Depends(_asker)]
"""The key that asks."""
Actor = Annotated[str, Depends(_actor)]
"""Who asks, as the audit has it."""

_ALWAYS: Final = (
    "missing_api_key",
    "wrong_key_kind",
    "request_timeout",
    "body_too_large",
    "internal_error",
    "overloaded",
)
_SAID: Final = {
    "missing_field": ("name: is missing", "name"),
    "unsupported_value": ("limit: must be less than or equal to 500", "limit"),
    "missing_api_key": ("No API key was given. Send it as 'Authorization: Bearer sk-gtw-...'.", None),
    "wrong_key_kind": (
        "This key is for models. The admin API takes admin keys: llmgw keys create --admin.",
        None,
    ),
    "not_found": ("There is no such path in the admin API.", None),
    "unknown_key": ("there is no key 12", None),
    "unknown_budget": ("There is no budget 4.", None),
    "unknown_capture": ("there is no capture 2", None),
    "unknown_project": ("there is no project '3'; see the list", None),
    "conflict": ("The name 'search' is taken.", "name"),
    "config_refused": (
        "models[0].upstream: there is no upstream 'glmm'; did you mean 'glm'?",
        "models[0].upstream",
    ),
    "capture_disabled": (
        "The config does not allow to capture requests. Set [admin] capture = true and reload.",
        None,
    ),
    "request_timeout": ("The request body did not arrive in time.", None),
    "body_too_large": ("The request body exceeds the limit of 65536 bytes.", None),
    "internal_error": ("The gateway failed on this request.", None),
    "overloaded": ("The gateway can't use its database at the moment. Try again later.", None),
}


def told(
    summary: str, example: object, *, errors: Sequence[str] = (), status: int = 200, description: str = ""
) -> dict[str, Any]:
    """An operation's part of the document. `errors`: its own codes; the first of a status is the example."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {"content": {"application/json": {"example": as_text(example)}}}
    }
    for code in (*errors, "unsupported_value", *_ALWAYS):
        responses.setdefault(ERRORS[_code(code)].status, _error(code))
    return {
        "summary": summary,
        "description": description or None,
        "responses": responses,
        "status_code": status,
    }


def as_text(example: object) -> str:
    """An example as JSON: FastAPI drops what is null in objects. `api` makes an object of it again."""
    return json.dumps(example, ensure_ascii=False)


def _error(code: str) -> dict[str, Any]:
    message, param = _SAID[code]
    code = _code(code)
    error: dict[str, Any] = {"message": message, "type": ERRORS[code].type, "param": param, "code": code}
    if param is not None:
        error["faults"] = [{"param": param, "message": message.partition(": ")[2] or message}]
    return {
        "model": ErrorBody,
        "description": _STATUS[ERRORS[code].status],
        "content": {"application/json": {"example": as_text({"error": error})}},
    }


def _code(name: str) -> str:
    """Of a name in `_SAID`."""
    return name if name in ERRORS else "not_found"


_STATUS: Final = {
    400: "The input has faults; all of them are listed.",
    401: "There is no key, or none that is in force.",
    403: "The key, or the config, does not allow this.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "It can't be done as things are now.",
    413: "The body is too large.",
    500: "A defect in the gateway.",
    503: "The database can't be used, or there are too many requests at once.",
}


def example_page(*entries: object, **more: object) -> Mapping[str, object]:
    """A list, for the document."""
    return {"data": list(entries), "next_cursor": None, **more}


def example_body(body: object) -> dict[str, Any]:
    """The body of a request, for the document."""
    return {"usual": {"summary": "As usual", "value": as_text(body)}}


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


N = TypeVar("N", bound=_Numbered)


def page_after(items: Sequence[N], of: str, cursor: str | None, limit: int) -> tuple[list[N], str | None]:
    """A page of a list by rising ids, and the cursor of the next. Raises ApiError."""
    position = read_cursor(of, cursor, int)
    rest = items if position is None else [item for item in items if item.id > position[0]]
    page = list(rest[:limit])
    return page, make_cursor(of, page[-1].id) if len(rest) > limit else None


def slice_of(items: Sequence[T], of: str, cursor: str | None, limit: int) -> tuple[list[T], str | None]:
    """A page of a list that is short and in memory, and the cursor of the next. Raises ApiError."""
    position = read_cursor(of, cursor, int)
    start = 0 if position is None else max(position[0], 0)
    end = min(start + limit, len(items))
    return list(items[start:end]), make_cursor(of, end) if end < len(items) else None
