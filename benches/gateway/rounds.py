"""The order of a run: rounds of cases; in each case the mock itself, then one gateway after the other.

All gateways of a round are started at its beginning and then frozen; only the one that is measured runs. So
two figures that are compared were taken seconds apart, and nobody's housekeeping costs anyone else anything.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benches.gateway.machine import Memory, cpu_s, memory
from benches.gateway.measure import Cores, Figures, Target, measure
from benches.gateway.peers.base import Peer
from benches.gateway.processes import BenchError, Mock, Program
from benches.gateway.workloads import UPSTREAM_MODELS, Timing, Workload

DIRECT: Final = "direct"
"""The name of the mock where it is asked without a gateway: the ceiling of the harness."""
_FIRST_WORDS: Final = Timing(warmup_s=0.2, window_s=0.3)
_SETTLE_LIMIT_S: Final = 10.0
_SETTLE_STEP_S: Final = 0.2
_SETTLED_SHARE: Final = 0.2
_GREETING: Final = Workload("greeting", "first requests", "request", 4)


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    peers: Sequence[Peer]
    workloads: Sequence[Workload]
    rounds: int
    timing: Timing
    cores: Cores


@dataclass(frozen=True)
class Start:
    """A gateway that has started and answered its first requests."""

    round: int
    peer: str
    start_s: float | None
    """Until it answered its health path."""
    rest: Memory | None
    fault: str | None = None


@dataclass(frozen=True)
class Sample:
    """One case of one round."""

    round: int
    workload: str
    peer: str
    figures: Figures | None
    fault: str | None = None
    """Why there are no figures: a wrong answer, or none."""


def run_rounds(plan: Plan, folder: Path, say: Callable[[str], None]) -> tuple[list[Start], list[Sample]]:
    """Do it all."""
    starts: list[Start] = []
    samples: list[Sample] = []
    for number in range(1, plan.rounds + 1):
        place = folder / f"round-{number}"
        place.mkdir()
        with ExitStack() as stack:
            mock = Mock(place, core=plan.cores.load)
            stack.callback(mock.stop)
            gateways: list[_Gateway] = []
            for peer in plan.peers:
                say(f"round {number}/{plan.rounds} · start · {peer.name}")
                gateway = _Gateway(peer, number, plan, mock, place)
                stack.callback(gateway.stop)
                starts.append(gateway.start())
                gateways += [gateway] if starts[-1].fault is None else []
            shift = (number - 1) % max(1, len(gateways))
            in_turn = gateways[shift:] + gateways[:shift]  # each round begins with another one
            for workload in plan.workloads:
                # The mock speaks chat only.
                if workload.door == "chat":
                    say(f"round {number}/{plan.rounds} · {workload.name} · {DIRECT}")
                    samples.append(_direct(number, workload, plan, mock, place))
                for gateway in in_turn:
                    if not gateway.has(workload):
                        continue
                    say(f"round {number}/{plan.rounds} · {workload.name} · {gateway.name}")
                    samples.append(gateway.sample(workload))
    return starts, samples


def _direct(number: int, workload: Workload, plan: Plan, mock: Mock, place: Path) -> Sample:
    target = Target(mock.port, "/v1/chat/completions", {}, UPSTREAM_MODELS, None)
    try:
        figures = measure(workload, plan.timing, target, mock, folder=place, cores=plan.cores)
    except BenchError as error:
        return Sample(number, workload.name, DIRECT, None, str(error))
    return Sample(number, workload.name, DIRECT, figures)


class _Gateway:
    """A gateway during one round."""

    def __init__(self, peer: Peer, number: int, plan: Plan, mock: Mock, place: Path) -> None:
        self.name = peer.name
        self._peer = peer
        self._number = number
        self._plan = plan
        self._mock = mock
        self._place = place
        self._begun = 0
        self._program: Program | None = None
        self._target: Target | None = None

    def start(self) -> Start:
        """Start it, let it answer a few requests, freeze it."""
        self._begun += 1
        folder = self._place / f"{self.name}-{self._begun}"
        folder.mkdir()
        try:
            program, start_s = self._launch(folder)
            self._measure(_GREETING, _FIRST_WORDS)
        except BenchError as error:
            self.stop()
            return Start(self._number, self.name, None, None, str(error))
        return Start(self._number, self.name, start_s, memory(program.session))

    def _launch(self, folder: Path) -> tuple[Program, float]:
        launch = self._peer.launch(self._mock.port, folder)
        log = folder / "output.log"
        program = Program(self.name, launch.command, core=self._plan.cores.gateway, log=log, env=launch.env)
        self._program = program
        port = launch.port
        if port is None:
            url = program.wait_line(r"(http://\S+)", timeout_s=launch.ready_timeout_s)
            port = urlsplit(url).port or 80
        start_s = program.wait_answer(port, launch.health, timeout_s=launch.ready_timeout_s)
        self._target = Target(port, launch.path, launch.headers, launch.models, program.session, launch.doors)
        return program, start_s

    def has(self, workload: Workload) -> bool:
        """Whether it has the door of this case."""
        return workload.door == "chat" or (self._target is not None and workload.door in self._target.doors)

    def sample(self, workload: Workload) -> Sample:
        """One case. A gateway that leaves it in disorder is started anew, for the sake of the next."""
        if self._program is None:
            return Sample(self._number, workload.name, self.name, None, "it could not be started again")
        fault, figures = None, None
        try:
            figures = self._measure(workload, self._plan.timing)
        except BenchError as error:
            fault = str(error)
        if figures is None or figures.unfinished:
            self.stop()
            self.start()
        return Sample(self._number, workload.name, self.name, figures, fault)

    def _measure(self, workload: Workload, timing: Timing) -> Figures:
        program, target = self._program, self._target
        if program is None or target is None:
            raise BenchError(f"{self.name} does not run")
        program.thaw()
        try:
            _settle(program.session)
            return measure(workload, timing, target, self._mock, folder=self._place, cores=self._plan.cores)
        finally:
            program.freeze()

    def stop(self) -> None:
        """End it."""
        if self._program is not None:
            self._program.stop()
            self._program = None


def _settle(session: int) -> None:
    """Until a gateway has cleared away what the case before left it with; not for ever, though."""
    deadline = time.monotonic() + _SETTLE_LIMIT_S
    used = cpu_s(session)
    while time.monotonic() < deadline:
        time.sleep(_SETTLE_STEP_S)
        before, used = used, cpu_s(session)
        if used - before < _SETTLED_SHARE * _SETTLE_STEP_S:
            return
