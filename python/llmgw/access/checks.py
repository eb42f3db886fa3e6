"""What names, models and times of keys and projects may be. Functions return all faults that they find."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from llmgw.config import Config, PricesConfig
from llmgw.errors import InputFault

MAX_NAME_LENGTH: Final = 200
"""Characters of the name of a key or a project, and of an owner."""
MAX_MODEL_LENGTH: Final = 200
"""Characters of a model's id in a limit, a budget or a key's list."""
MAX_KEY_MODELS: Final = 1000
"""Models in a key's list."""


_DEFAULT_ZONE: Final = ZoneInfo(PricesConfig().timezone)


@dataclass(frozen=True, slots=True)
class Known:
    """What the config says about models and money."""

    models: tuple[str, ...] | None = None
    """None: any id will do."""
    currency: str | None = None
    """None: any will do."""
    zone: ZoneInfo = _DEFAULT_ZONE
    """In which budgets' days begin."""

    @classmethod
    def of(cls, config: Config) -> "Known":
        """As this config says."""
        ids = tuple(model.id for model in config.models)
        return cls(ids, config.prices.currency, ZoneInfo(config.prices.timezone))

    def model_faults(self, model: str, param: str) -> list[InputFault]:
        """That there is no such model."""
        if not model or len(model) > MAX_MODEL_LENGTH or not is_text(model):
            return [InputFault(param, f"must be a model's id, of 1 to {MAX_MODEL_LENGTH} characters")]
        if self.models is None or model in self.models:
            return []
        close = difflib.get_close_matches(model, self.models, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the config has {', '.join(self.models)}"
        return [InputFault(param, f"there is no model {model!r}: {hint}")]


def is_text(value: str) -> bool:
    """False if it can't be stored: it has half of a surrogate pair."""
    return value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value)


def text_faults(value: str, param: str) -> list[InputFault]:
    """Of a key's name or an owner, which may be empty."""
    if len(value) > MAX_NAME_LENGTH:
        return [InputFault(param, f"must have at most {MAX_NAME_LENGTH} characters, not {len(value)}")]
    return [] if is_text(value) else [InputFault(param, "must be valid Unicode")]


def project_name_faults(value: str, param: str = "name") -> list[InputFault]:
    """Of a project's name, which refers to it where an id could stand too."""
    if not value or value != value.strip():
        return [InputFault(param, "must not be empty, nor begin or end with a space")]
    if value.isdigit():
        return [InputFault(param, f"must not be a number, which would be taken for an id: {value!r}")]
    return text_faults(value, param)


def models_faults(models: Iterable[str], known: Known, param: str = "models") -> list[InputFault]:
    """Of a key's list of models."""
    listed = list(models)
    if len(listed) > MAX_KEY_MODELS:
        return [InputFault(param, f"must name at most {MAX_KEY_MODELS} models, not {len(listed)}")]
    return [fault for model in listed for fault in known.model_faults(model, param)]


def time_faults(time: datetime, param: str) -> list[InputFault]:
    """Of a point in time."""
    return [] if time.tzinfo is not None else [InputFault(param, "must have a time zone, such as Z")]
