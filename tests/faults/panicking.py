"""`python -m tests.faults.panicking …`: llmgw, whose scanner panics in Rust where a body asks it to.

Nothing in the gateway itself can be told to panic, and nothing should be.
"""

import sys
from collections.abc import Sequence
from typing import Any

from llmgw import _core
from llmgw.cli.main import main
from llmgw.endpoints import chat

MARK = b'"panic": "please"'


def scan(pieces: Sequence[bytes]) -> Any:  # noqa: ANN401  (a ChatRequest, if it comes to that)
    """Stands in for `ChatRequest`."""
    if MARK in b"".join(pieces):
        _core._panic_for_tests()
    return _core.ChatRequest(pieces)


if __name__ == "__main__":
    chat.ChatRequest = scan  # type: ignore[assignment,attr-defined]  # workers are forked, so they have it too
    sys.exit(main())
