"""How soon a started gateway answers and what it holds at rest: `python -m benches.start [PROGRAM …]`.

Each PROGRAM is another build's `llmgw`, compared in the same rounds. A round starts each on one core, asks
`/healthz` until it answers, then for one chat, waits until it has been idle for `REST_S`, and reads memory.
Printed are medians: seconds from the start, and MiB of worker and parent, PSS with RSS in parentheses.
"""

import http.client
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benches.gateway.machine import Held, held
from benches.gateway.peers.base import Launch
from benches.gateway.peers.llmgw import PROGRAM, Llmgw
from benches.gateway.processes import LOCALHOST, BenchError, Mock, Program
from benches.gateway.workloads import UPSTREAM_MODELS

ROUNDS: Final = 3
REST_S: Final = 7.0
"""Longer than it takes until a worker returns its free memory (`serving.memory`)."""
_GATEWAY_CORE: Final = 0
_OTHER_CORE: Final = 1
_READY_TIMEOUT_S: Final = 60.0
_HEAD: Final = """\
| build | to the first /healthz, s | to the first chat, s | worker, MiB | parent, MiB |
| --- | --- | --- | --- | --- |"""


@dataclass(frozen=True)
class Sample:
    """One start."""

    healthz_s: float
    chat_s: float
    parent: Held
    worker: Held


def main(programs: Sequence[Path]) -> None:
    """Measure and print."""
    peers = [Llmgw(name=str(program), program=program) for program in programs]
    for peer in peers:
        if (reason := peer.absent()) is not None:
            sys.exit(f"{peer.name}: {reason}")
    samples: dict[str, list[Sample]] = {peer.name: [] for peer in peers}
    with tempfile.TemporaryDirectory(prefix="llmgw-start-") as place:
        mock = Mock(Path(place), core=_OTHER_CORE)
        try:
            mock.play({"answer": "plain"})
            for number in range(ROUNDS):
                for index, peer in enumerate(peers):
                    folder = Path(place, f"{number}-{index}")
                    folder.mkdir()
                    samples[peer.name].append(start(peer, mock, folder))
        finally:
            mock.stop()
    print(_HEAD)
    for name, ones in samples.items():
        print(row(name, ones))


def start(peer: Llmgw, mock: Mock, folder: Path) -> Sample:
    """Start it once. Raises BenchError."""
    launch = peer.launch(mock.port, folder)
    log = folder / "output.log"
    program = Program(peer.name, launch.command, core=_GATEWAY_CORE, log=log, env=launch.env)
    try:
        healthz_s = program.wait_answer(_port(launch), launch.health, timeout_s=_READY_TIMEOUT_S)
        _chat(launch)
        chat_s = time.monotonic() - program.begun
        time.sleep(REST_S)
        match held(program.session):
            case [parent, worker]:
                return Sample(healthz_s, chat_s, parent, worker)
            case others:
                raise BenchError(f"parent and worker are {others}:\n{program.output()}")
    finally:
        program.stop()


def row(name: str, samples: Sequence[Sample]) -> str:
    """A row of the table, of medians."""
    cells = [name]
    cells += [
        f"{median(one.healthz_s for one in samples):.2f}",
        f"{median(one.chat_s for one in samples):.2f}",
    ]
    for ones in ([one.worker for one in samples], [one.parent for one in samples]):
        pss, rss = median(one.pss for one in ones) / 1024, median(one.rss for one in ones) / 1024
        cells.append(f"{pss:.1f} ({rss:.1f})")
    return f"| {' | '.join(cells)} |"


def _port(launch: Launch) -> int:
    if launch.port is None:
        raise BenchError("it has chosen its port itself")
    return launch.port


def _chat(launch: Launch) -> None:
    """One request, as a client makes it. Raises BenchError."""
    turns = [{"role": "user", "content": "hi"}]
    body = json.dumps({"model": next(iter(UPSTREAM_MODELS)), "messages": turns})
    connection = http.client.HTTPConnection(LOCALHOST, _port(launch), timeout=_READY_TIMEOUT_S)
    try:
        headers = {"content-type": "application/json", **launch.headers}
        connection.request("POST", launch.path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise BenchError(f"it answered {answer.status}: {text[:500]!r}")


if __name__ == "__main__":
    main([PROGRAM, *(Path(argument).absolute() for argument in sys.argv[1:])])
