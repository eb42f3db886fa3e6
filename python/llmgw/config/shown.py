"""The config in force, for people: with its defaults, without its secrets."""

from typing import Any

from llmgw.config.tables import Config


def shown(config: Config) -> dict[str, Any]:
    """All tables as JSON values. A secret that is set is `**********`, one that is not is None."""
    tables: dict[str, Any] = config.model_dump(mode="json")
    return tables
