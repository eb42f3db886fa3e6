"""JSON for people: everything that fits on one line stands on one line."""

import json
from typing import Any, Final

LINE_CHARS: Final = 110


def dumps(value: Any, *, width: int = LINE_CHARS, indent: str = "") -> str:  # noqa: ANN401 - JSON
    """No newline at its end."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= width or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        names = (json.dumps(name, ensure_ascii=False) for name in value)
        inner = [
            f"{name}: {dumps(each, width=width, indent=deeper)}"
            for name, each in zip(names, value.values(), strict=True)
        ]
        return "{\n" + ",\n".join(deeper + each for each in inner) + f"\n{indent}}}"
    inner = [dumps(each, width=width, indent=deeper) for each in value]
    return "[\n" + ",\n".join(deeper + each for each in inner) + f"\n{indent}]"
