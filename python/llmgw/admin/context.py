"""What the admin API works on, whichever process it is in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from llmgw.access.keyring import KeyRing
from llmgw.admin.standing import Standings
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
    """What one worker said in `/readyz?verbose`."""

    worker: int
    """Its process id."""
    upstreams: Sequence[Mapping[str, Any]]
    """What it knows of each model at each upstream."""
    status: str = "ok"
    """Or `degraded`, `unavailable`."""
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()


class WorkerFacts(NamedTuple):
    """What a worker reported of the config."""

    worker: int
    """Its process id."""
    generation: int | None
    """The latest that it has seen; None: it has not reported yet."""
    problem: str | None
    """Why it can't use that config; None: it does."""


class GatewayFacts(NamedTuple):
    """The gateway as its processes know it."""

    name: str
    """Random, and another one after each start."""
    started_at: datetime
    workers: Sequence[WorkerFacts]


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
    gateway: Callable[[], GatewayFacts]
    """Raises OSError or ValueError: its folder can't be read."""
    live: Callable[[], bytes]
    """`LiveSchema` as JSON, made at most once a second."""
    standings: Standings
    """Of keys and projects."""
