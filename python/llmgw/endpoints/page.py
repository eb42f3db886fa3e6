"""Which part of a list a client of Anthropic's API asks for: `limit`, `after_id`, `before_id`."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from llmgw.errors import ApiError

_LIMITS: Final = range(1, 1001)
"""Anthropic's own."""
_FIELDS: Final = 100
"""So many parameters a query may have."""


class Page(NamedTuple):
    """A part of a list."""

    ids: Sequence[str]
    has_more: bool
    """Whether there is more in the direction in which the client goes."""


def page_of(ids: Sequence[str], query: bytes) -> Page:
    """What a query asks for; all of it where it does not say. Raises ApiError.

    `invalid_type` for a limit that is none or for two directions at once, `model_not_found` for an id that is
    not in the list.
    """
    asked = _parameters(query)
    limit = _limit(asked.get("limit"))
    after, before = asked.get("after_id"), asked.get("before_id")
    if after is not None and before is not None:
        raise ApiError("invalid_type", "A list goes on after an id or before one.", param="before_id")
    if before is not None:
        end = _place(ids, before, "before_id")
        start = 0 if limit is None else max(end - limit, 0)
        return Page(ids[start:end], start > 0)
    start = 0 if after is None else _place(ids, after, "after_id") + 1
    end = len(ids) if limit is None else min(start + limit, len(ids))
    return Page(ids[start:end], end < len(ids))


def _parameters(query: bytes) -> dict[str, str]:
    try:
        # Bytes that are no UTF-8 can't be in an id.
        return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError:
        raise ApiError("invalid_type", f"The query has more than {_FIELDS} parameters.") from None


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= len(str(_LIMITS[-1])) and int(text) in _LIMITS:
        return int(text)
    message = f"It must be a number from {_LIMITS[0]} to {_LIMITS[-1]}."
    raise ApiError("invalid_type", message, param="limit")


def _place(ids: Sequence[str], model_id: str, param: str) -> int:
    try:
        return ids.index(model_id)
    except ValueError:
        raise ApiError("model_not_found", "There is no such model in the list.", param=param) from None
