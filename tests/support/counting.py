"""`python -m tests.support.counting …`: llmgw that tells how many objects are alive in a worker.

`GET /counts` answers with a JSON object, class ⇒ instances. Objects that take part in the collection of
cycles are counted one by one. Those of compiled classes do not: each holds a reference to its class, so these
are counted by the references to the class. `CYCLES` says how many objects only that collection has freed.
"""

import gc
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from llmgw.cli.main import main
from llmgw.serving import server, worker
from llmgw.serving.in_force import Board

COUNTS_PATH: Final = "/counts"
CYCLES: Final = "freed with their cycles"
_HEAP_TYPE: Final = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: made at run time, as every class of PyO3 is."""
_COMPILED: Final = ("granian._granian", "llmgw._core", "builtins")
"""The modules of compiled classes; granian's awaitables name none, which reads `builtins`."""


_freed = 0


def _collected(phase: str, told: dict[str, int]) -> None:
    global _freed  # noqa: PLW0603
    if phase == "stop":
        _freed += told["collected"]


def counts() -> dict[str, int]:
    """Instances of each class. That of a compiled class is too high, by a number that stays the same."""
    gc.collect()
    tracked = gc.get_objects()
    alive = Counter(_name(type(each)) for each in tracked)
    for each in tracked:
        if isinstance(each, type) and each.__flags__ & _HEAP_TYPE and each.__module__ in _COMPILED:
            alive[_name(each)] = sys.getrefcount(each)
    return {CYCLES: _freed, **alive}


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def load_app(board: Board, predecessors: Sequence[int] = ()) -> Any:  # noqa: ANN401  (an ASGI application, in granian's words)
    """The gateway's application, with one more path."""
    app = worker.load_app(board, predecessors)
    gc.callbacks.append(_collected)

    async def counting(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        if scope.get("path") != COUNTS_PATH:
            await app(scope, receive, send)
            return
        body = json.dumps(counts()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return counting


if __name__ == "__main__":
    server.load_app = load_app  # type: ignore[attr-defined]
    sys.exit(main())
