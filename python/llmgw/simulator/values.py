"""Which JSON value fits a schema? For arguments of simulated tool calls and structured answers."""

import re
from typing import Any

from llmgw.simulator.model import JsonObject

MAX_DEPTH = 16
"""Schemas may refer to themselves; deeper values are null."""

_PLACES = re.compile(
    r"Paris|London|Berlin|Tokyo|New York|San Francisco|Boston|Beijing|Shanghai"
    r"|北京|上海|深圳|广州|杭州|巴黎|东京|伦敦"
)
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T08:00:00Z",
    "time": "08:00:00Z",
    "email": "simulator@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}
_NAMES = (
    (("date", "day"), "2026-01-01"),
    (("unit",), "celsius"),
    (("url", "link"), "https://example.com/"),
    (("email",), "simulator@example.com"),
    (("path", "file"), "/tmp/example.txt"),  # noqa: S108 - an argument that is only shown
    (("lang",), "en"),
)


def value_for(schema: JsonObject, question: str, *, all_members: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """A value that the schema allows. Some members, by their names, are taken from the question.

    Objects get their required members, or all with `all_members`. An empty schema gives an empty object.
    """
    return _Maker(schema, question, all_members=all_members).make(schema, "", 0)


class _Maker:
    def __init__(self, root: JsonObject, question: str, *, all_members: bool) -> None:
        self.root = root
        self.question = question
        self.all_members = all_members

    def make(self, schema: object, name: str, depth: int) -> Any:  # noqa: ANN401 - any JSON value
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return None
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        for key in ("enum", "examples"):
            if isinstance(schema.get(key), list) and schema[key]:
                return self._choose(schema[key])
        if "$ref" in schema:
            return self.make(self._resolve(str(schema["$ref"])), name, depth + 1)
        for key in ("anyOf", "oneOf", "allOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                return self.make(schema[key][0], name, depth + 1)
        return self._by_type(schema, name, depth)

    def _by_type(self, schema: JsonObject, name: str, depth: int) -> Any:  # noqa: ANN401 - any JSON value
        kind = schema.get("type", "object" if "properties" in schema or not name else "string")
        if isinstance(kind, list):
            kind = next((k for k in kind if k != "null"), "null")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            wanted = schema.get("minItems", 1)
            length = max(1, wanted) if isinstance(wanted, int) else 1
            return [self.make(schema.get("items", {"type": "string"}), name, depth + 1)] * length
        if kind in ("integer", "number"):
            return schema.get("minimum", 1)
        if kind == "string":
            return self._string(schema, name)
        return True if kind == "boolean" else None

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return {}
        required = schema.get("required")
        names = list(properties) if self.all_members or not isinstance(required, list) else required
        return {name: self.make(properties[name], name, depth + 1) for name in names if name in properties}

    def _string(self, schema: JsonObject, name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        lower = name.lower()
        if any(
            word in lower for word in ("city", "location", "place", "town", "destination", "城市", "地点")
        ):
            found = _PLACES.search(self.question)
            return found.group() if found else "Beijing"
        for words, value in _NAMES:
            if any(word in lower for word in words):
                return value
        return self.question[:80] if self.question else "example"

    def _choose(self, values: list[Any]) -> Any:  # noqa: ANN401 - any JSON value
        """The value that the question names, else the first."""
        named = (v for v in values if isinstance(v, str) and v and v.lower() in self.question.lower())
        return next(named, values[0])

    def _resolve(self, ref: str) -> object:
        target: Any = self.root
        for part in ref.removeprefix("#/").split("/"):
            if not isinstance(target, dict):
                return None
            target = target.get(part.replace("~1", "/").replace("~0", "~"))
        return target
