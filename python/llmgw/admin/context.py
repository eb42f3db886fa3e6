"""What the admin API works on, whichever process it is in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmgw.access.keyring import KeyRing
from llmgw.config import Config, Fault
from llmgw.store import Store


class Reloaded(NamedTuple):
    """What came of a reload."""

    pid: str
    """The process id of the gateway, as it knows it."""
    generation: int
    """The config that is in force afterwards."""
    workers: Sequence[int]
    """Their process ids."""
    faults: Sequence[Fault]
    """Why the new config was refused. Empty: it is in force."""
    problems: Sequence[str]
    """Of single workers."""


class WorkerReport(NamedTuple):
    """What one worker said of the upstreams."""

    worker: int
    """Its process id."""
    upstreams: Sequence[Mapping[str, Any]]
    """As in `/readyz?verbose`."""


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that routes use. Whatever is called here may block: routes run in threads."""

    store: Store
    keyring: KeyRing
    config: Callable[[], Config]
    """The one in force."""
    reload: Callable[[], Reloaded]
    """Raises CommandError: the gateway can't be asked, or does not answer."""
    health: Callable[[], Sequence[WorkerReport]]
    """Of as many workers as could be asked."""
