"""In which API's words a path is answered where the gateway itself answers."""

from typing import Final

from llmgw.asgi.request import Fields
from llmgw.errors import ANTHROPIC, OPENAI, ErrorShape

ANTHROPIC_PATHS: Final = "/v1/messages"
"""This path and all below it are Anthropic's."""
SHARED_PATHS: Final = "/v1/models"
"""This path and all below it are both APIs'. Anthropic's clients say which version they speak."""


def error_shape(path: str, fields: Fields) -> ErrorShape:
    """How the errors of a request are told, whatever they are: also before it is known who asks."""
    if is_below(path, ANTHROPIC_PATHS) or asks_anthropic_for_models(path, fields):
        return ANTHROPIC
    return OPENAI


def asks_anthropic_for_models(path: str, fields: Fields) -> bool:
    """True for a client of Anthropic's API that asks which models there are."""
    return b"anthropic-version" in fields and is_below(path, SHARED_PATHS)


def is_below(path: str, root: str) -> bool:
    """True for `root` itself too."""
    return path.startswith(root) and path[len(root) : len(root) + 1] in {"", "/"}
