"""What all simulated providers have: models, and refusals, which each words in its own way."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

JsonObject = dict[str, Any]


class Thinking(Enum):
    """What a model does if a request has no thinking switch."""

    ON = "on"
    OFF = "off"
    ALWAYS = "always"
    """The switch has no effect or is refused, depending on the provider."""


@dataclass(frozen=True)
class Model:
    """One simulated model."""

    id: str
    provider: str
    thinking: Thinking
    images: bool = False
    context_window: int = 131_072
    """Tokens; a fact for catalogs, the simulator does not enforce it."""

    @property
    def input_modalities(self) -> list[str]:
        """As the gateway's config spells it."""
        return ["text", "image"] if self.images else ["text"]


class Refusal(Enum):
    """Kinds of refusal. A provider maps each to its own `type` and `code`."""

    INVALID_KEY = 401
    INVALID_REQUEST = 400
    MODEL_NOT_FOUND = 404
    RATE_LIMITED = 429
    SERVER_ERROR = 500


class RefusalError(Exception):
    """The provider refuses a request. `code` is set if the real one uses a particular code."""

    def __init__(
        self,
        kind: Refusal,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """`status` None: the kind's own."""
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.code = code
        self.status = kind.value if status is None else status
        self.retry_after_s = retry_after_s
