"""A worker that is killed: the others go on, and its successor has the config in force."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from llmgw.serving.run_folder import RunFolder
from tests.support.chat import body, streamed
from tests.support.frames import check_stream
from tests.support.gateway import Gateway, config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream, Wait, partial_event_stream
from tests.support.simulator import SimulatorProcess

SOON_S = 20.0
STREAMS = 24
NEW_MODEL = '\n[[models]]\nid = "new"\nupstream = "qwen"\nupstream_model = "qwen3-max"\n'
FIRST = (
    b'{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%b}]}'
)
BEGIN = b"data: " + FIRST % b'{"role":"assistant","content":"a"},"finish_reason":null' + b"\n\n"
END = b"data: " + FIRST % b'{"content":"b"},"finish_reason":"stop"' + b"\n\ndata: [DONE]\n\n"

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
Start = Callable[[], Gateway]


@pytest.fixture
def two(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """A gateway of the test's own with two workers."""
    text = config_text(simulator.url, scripted.base_url, server="workers = 2")
    with Gateway(tmp_path, text) as gateway:
        wait_until(lambda: serving(gateway) == 2, "two workers", timeout_s=SOON_S)
        yield gateway


def serving(gateway: Gateway) -> int:
    """How many workers are there and have said so, which they do with all of their threads and files."""
    [folder] = RunFolder.running(Path(f"{gateway.database}.run"))
    return sum(folder.worker_state(worker) is not None for worker in gateway.workers())


def policies(process: int) -> set[int]:
    """How the system schedules a process's threads."""
    return {os.sched_getscheduler(int(thread.name)) for thread in Path(f"/proc/{process}/task").iterdir()}


def test_threads_of_a_worker_do_not_interrupt_each_other(two: Gateway) -> None:
    assert statuses(two, "glm-5", 1) == [200]  # the threads are there
    for worker in two.workers():
        assert policies(worker) == {os.SCHED_BATCH}
    assert policies(two.process.process.pid) == {os.SCHED_OTHER}


def statuses(gateway: Gateway, model: str, number: int = 12) -> list[int]:
    """Of so many requests, each on a connection of its own."""
    url = f"{gateway.url}/v1/chat/completions"
    return [
        httpx.post(
            url, headers=gateway.headers(), json=body(model), timeout=SOON_S, trust_env=False
        ).status_code
        for _ in range(number)
    ]


def kill_one(gateway: Gateway) -> None:
    """Kill a worker and wait for its successor to serve."""
    before = gateway.workers()
    os.kill(before[0], signal.SIGKILL)
    wait_until(
        lambda: len(set(gateway.workers()) - set(before)) == 1 and before[0] not in gateway.workers(),
        "a successor",
        timeout_s=SOON_S,
    )
    [successor] = set(gateway.workers()) - set(before)
    [folder] = RunFolder.running(Path(f"{gateway.database}.run"))
    wait_until(lambda: folder.worker_state(successor) is not None, "it serves", timeout_s=SOON_S)


def test_the_others_go_on(two: Gateway, scripted: ScriptedUpstream) -> None:
    more = threading.Event()
    rest = b"%x\r\n%b\r\n0\r\n\r\n" % (len(END), END)
    script = scripted.script(*partial_event_stream(BEGIN), Wait(more), rest)
    with ExitStack() as stack:
        streams = []
        for _ in range(STREAMS):
            client = stack.enter_context(httpx.Client(trust_env=False, timeout=SOON_S))
            url = f"{two.url}/v1/chat/completions"
            request = client.stream(
                "POST", url, headers=two.headers(), json=streamed("scripted", script=script)
            )
            pieces = stack.enter_context(request).iter_raw()
            streams.append((next(pieces), pieces))
        kill_one(two)
        more.set()
        whole = broken = 0
        for first, pieces in streams:
            try:
                data = first + b"".join(pieces)
            except httpx.RemoteProtocolError:
                broken += 1  # of the killed worker: the client sees that it is not whole
                continue
            assert check_stream(data, include_usage=False).only.content == "ab"
            whole += 1
    assert whole + broken == STREAMS
    assert whole > 0
    assert statuses(two, "glm-5") == [200] * 12
    wait_until(
        lambda: sum(row["model"] == "scripted" for row in two.ledger_rows()) == whole,
        "the survivor's ledger rows",
        timeout_s=SOON_S,
    )
    # The killed one's requests are in flight no more.
    wait_until(lambda: two.metric("llmgw_requests_in_flight") == 0, "the gauge", timeout_s=SOON_S)
    assert two.process.stop() == 0


def test_its_successor_has_the_config_in_force(two: Gateway) -> None:
    text = two.config.read_text("utf-8")
    two.config.write_text(text + NEW_MODEL, "utf-8")
    two.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: statuses(two, "new") == [200] * 12, "the new model", timeout_s=SOON_S)
    # What stands in the file now would not even start.
    two.config.write_text("nonsense", "utf-8")
    kill_one(two)
    assert statuses(two, "new") == [200] * 12
    two.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload refused" in two.process.output, "the refusal", timeout_s=SOON_S)
    assert statuses(two, "new") == [200] * 12
    assert two.process.stop() == 0


def test_what_a_dead_worker_counted_goes_on_in_its_successor(two: Gateway) -> None:
    """And no file is left behind for it, however often workers die."""
    assert statuses(two, "glm-5", 1) == [200]  # the files are there
    maps = Path(f"/proc/{two.workers()[0]}/maps").read_text("utf-8").splitlines()
    [folder] = {Path(line.split()[-1]).parent for line in maps if "/llmgw-metrics-" in line}
    before = 1
    for _ in range(3):
        before += statuses(two, "glm-5").count(200)
        counted = 'llmgw_requests_total{api="chat",model="glm-5",status="200"}'
        wait_until(lambda: two.metric(counted) == before, "the count", timeout_s=SOON_S)  # noqa: B023
        kill_one(two)
        assert two.metric(counted) == before
    living = set(map(str, two.workers()))
    assert {file.stem.rpartition("_")[2] for file in folder.iterdir()} <= living
