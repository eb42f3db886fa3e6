"""The memory in which the workers of this machine share limits and budgets: a folder beside the database."""

from typing import Final

from llmgw._core import LimitTable
from llmgw.config import Config
from llmgw.errors import CommandError

_LEAST_SLOTS: Final = 64
"""Worker processes of all gateways of the database, on this machine."""


def open_table(config: Config) -> LimitTable:
    """A worker's face of it. Raises OSError."""
    return LimitTable.open(str(config.limits_folder), slots=max(_LEAST_SLOTS, 2 * config.server.workers))


def check_table(config: Config) -> None:
    """Raises CommandError if the workers could not share it. To be called before they are forked."""
    folder = config.limits_folder
    try:
        slots = open_table(config).slots
    except OSError as error:
        problem = f"can't share limits between workers in {folder} ({error.strerror or error})"
        raise CommandError(f"{problem}; check the permissions of its folder") from error
    if slots < config.server.workers:
        problem = f"the limits in {folder} were made for {slots} workers, not for {config.server.workers}"
        raise CommandError(f"{problem}; stop every gateway of this database and remove that folder")
