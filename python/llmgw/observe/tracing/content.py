"""The messages of a request and its answer, for a span: only where the operator asks for them.

OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true does, and then whatever people write reaches the
collector. The event loop only copies bytes, up to limits; what they say is read by the exporting thread.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from llmgw.observe.copies import Copy, Held
from llmgw.observe.tracing.messages import Message, input_of, output_of

MAX_COPIED_BYTES: Final = 1 << 20
"""Of a request's body, and of its answer. What is longer can't be read, and is left out."""
MAX_HELD_BYTES: Final = 32 << 20
"""Of all bodies that are being copied or wait for the collector, in one worker."""
MAX_ATTRIBUTE_CHARS: Final = 65_536
"""Of an attribute. A history loses its oldest messages; a message that is longer by itself is cut."""
_CUT: Final = "…"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half of a pair, which JSON can say (`\\ud800`) and UTF-8 can't: the exporter would lose the attribute."""


class Content:
    """The bodies of one request."""

    __slots__ = ("_held", "_request", "_response")

    def __init__(self, held: Held) -> None:
        """Has copied nothing yet."""
        self._held = held
        self._request = Copy(held, MAX_COPIED_BYTES)
        self._response = Copy(held, MAX_COPIED_BYTES)

    def asked(self, pieces: Sequence[bytes]) -> None:
        """The request's body, unpacked."""
        for piece in pieces:
            self._request.add(piece)

    def answered(self, piece: bytes) -> None:
        """A piece of the answer's body."""
        self._response.add(piece)

    def release(self) -> None:
        """Nothing of it is needed any more. On any thread."""
        for copy in (self._request, self._response):
            self._held.give_back(copy.size)
            copy.pieces.clear()
            copy.size = 0
            copy.is_cut = True

    def attributes(self, api: str) -> dict[str, str]:
        """As the conventions have them; without what could not be copied or read."""
        said: dict[str, str] = {}
        if not self._request.is_cut:
            asked = input_of(api, b"".join(self._request.pieces))
            said["gen_ai.input.messages"] = _history(asked.messages)
            said["gen_ai.system_instructions"] = _history(asked.instructions)
            if len(tools := json.dumps(asked.tools, ensure_ascii=False)) <= MAX_ATTRIBUTE_CHARS:
                said["gen_ai.tool.definitions"] = tools
        if not self._response.is_cut:
            said["gen_ai.output.messages"] = _history(output_of(api, b"".join(self._response.pieces)))
        return {
            name: _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
            for name, value in said.items()
            if value != "[]"
        }


def _history(messages: Sequence[Message]) -> str:
    """The last ones that fit."""
    texts: list[str] = []
    left = MAX_ATTRIBUTE_CHARS
    for message in reversed(messages):
        text = json.dumps(message, ensure_ascii=False)
        if len(text) > left and not texts:
            text = json.dumps(_shortened(message, left // 2), ensure_ascii=False)
        if len(text) > left:
            break
        texts.append(text)
        left -= len(text) + 2
    return f"[{', '.join(reversed(texts))}]"


def _shortened(value: Any, limit: int) -> Any:  # noqa: ANN401  (any JSON value)
    """With no string longer than the limit, of which each of several gets its part."""
    match value:
        case str():
            return value if len(value) <= limit else value[:limit] + _CUT
        case list():
            return [_shortened(each, limit // len(value)) for each in value]
        case dict():
            return {name: _shortened(each, limit // len(value)) for name, each in value.items()}
    return value
