"""How often the gateway is asked for `live`, by one process and by several, and what is told if it fails."""

import fcntl
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from llmgw.admin import lookout as lookout_module
from llmgw.admin import shelf as shelf_module
from llmgw.admin.context import GatewayFacts, WorkerFacts
from llmgw.admin.lookout import Lookout, instance_of
from llmgw.admin.shelf import Seen, Shelf
from llmgw.config import Config
from tests.support.configs import load, with_upstream
from tests.support.processes import wait_until

SOON_S = 10.0


class FakeGateway(ThreadingHTTPServer):
    """Answers as workers would, in turn by connection, and counts what it is asked."""

    daemon_threads = True

    def __init__(self, *workers: int) -> None:
        """Not yet asked."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.workers = workers
        self.turns = cycle(workers)
        self.asked: list[str] = []
        self.page = b'llmgw_requests_total{model="m"} 3.0\n'
        self.open = threading.Event()
        """Cleared: who asks for the page waits."""
        self.open.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def facts(self) -> GatewayFacts:
        """What its folder says."""
        return GatewayFacts("name", datetime.now(UTC), [WorkerFacts(pid, 1, None) for pid in self.workers])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeGateway

    def setup(self) -> None:
        """One connection is of one worker."""
        super().setup()
        self.worker = next(self.server.turns)

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/metrics":
            self.server.open.wait(SOON_S)
            body = self.server.page
        else:
            body = json.dumps({"status": "ok", "worker": self.worker, "upstreams": []}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway(1, 2) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.open.set()
        server.shutdown()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(tmp_path, with_upstream(""))


def lookout(gateway: FakeGateway, config: Config, shelf: Shelf | None = None) -> Lookout:
    """One that looks at it."""
    return Lookout(gateway.url, gateway.facts, lambda: config, shelf)


def told(text: bytes) -> Any:  # noqa: ANN401
    """What was seen, as a client reads it."""
    return json.loads(text)


def test_all_who_ask_within_a_second_get_one_look(
    gateway: FakeGateway, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout_module, "INTERVAL_S", 60.0)  # a second is nothing on a busy machine
    looking = lookout(gateway, config)
    gateway.open.clear()
    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(looking.look) for _ in range(20)]
        wait_until(lambda: "/metrics" in gateway.asked, "a look", timeout_s=SOON_S)
        gateway.open.set()
        assert len({each.result() for each in asking}) == 1
    seen = told(looking.look())
    assert gateway.asked.count("/metrics") == 1
    assert seen["workers"] == [1, 2]
    assert seen["models"][0]["requests"] == 3


def test_a_second_later_it_looks_again(
    gateway: FakeGateway, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout_module, "INTERVAL_S", 0.05)
    looking = lookout(gateway, config)
    first = looking.look()
    wait_until(lambda: looking.look() != first, "another look", timeout_s=SOON_S)


def test_who_asks_during_a_look_gets_the_one_before(
    gateway: FakeGateway, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout_module, "INTERVAL_S", 0.0)
    looking = lookout(gateway, config)
    first = looking.look()
    gateway.open.clear()
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(looking.look)
        wait_until(lambda: gateway.asked.count("/metrics") == 2, "a look", timeout_s=SOON_S)
        assert looking.look() == first  # without waiting
        assert not later.done()
        gateway.open.set()
        assert later.result() != first


def test_a_large_page_is_asked_for_less_often(gateway: FakeGateway, config: Config) -> None:
    looking = lookout(gateway, config)
    looking.look()
    assert looking._seen is not None
    assert looking._seen.fresh_s == lookout_module.INTERVAL_S
    many = "".join(f'llmgw_requests_total{{model="{number}"}} 1.0\n' for number in range(20_000))
    gateway.page = many.encode()
    looking = lookout(gateway, config)
    looking.look()
    assert looking._seen is not None
    assert looking._seen.fresh_s == pytest.approx(20_000 * 2 * lookout_module.RENDER_S / lookout_module.SHARE)


@pytest.mark.parametrize("page", [b"", b"<html>no</html>\n", b"llmgw_requests_total 1.0", b"\xff\n"])
def test_a_page_that_is_none(gateway: FakeGateway, config: Config, page: bytes) -> None:
    gateway.page = page
    seen = told(lookout(gateway, config).look())
    assert (seen["status"], seen["instance"], seen["models"]) == ("unavailable", None, [])
    assert gateway.url in seen["problems"][0]


def test_nobody_there(gateway: FakeGateway, config: Config) -> None:
    looking = Lookout("http://127.0.0.1:1", gateway.facts, lambda: config)
    assert told(looking.look())["status"] == "unavailable"


def test_a_folder_that_is_gone(gateway: FakeGateway, config: Config) -> None:
    def gone() -> GatewayFacts:
        raise FileNotFoundError

    assert told(Lookout(gateway.url, gone, lambda: config).look())["status"] == "unavailable"


def test_a_worker_that_is_not_met_is_remembered_for_a_while(
    gateway: FakeGateway, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout_module, "INTERVAL_S", 0.0)
    looking = lookout(gateway, config)
    assert told(looking.look())["workers"] == [1, 2]
    gateway.turns = cycle([1])
    assert told(looking.look())["workers"] == [1, 2]
    monkeypatch.setattr(lookout_module, "FORGET_S", 0.0)
    assert told(looking.look())["workers"] == [1]
    monkeypatch.undo()
    gateway.turns = cycle([1, 3])
    gateway.workers = (1, 3)  # 2 was started again
    monkeypatch.setattr(lookout_module, "INTERVAL_S", 0.0)
    wait_until(lambda: told(looking.look())["workers"] == [1, 3], "its successor", timeout_s=SOON_S)


@pytest.mark.parametrize(
    ("name", "workers", "worker", "other_name", "same"),
    [
        ("two, another renders", (1, 2), 2, "n", True),
        ("two, one was replaced", (1, 3), 3, "n", True),
        ("two, after a start", (1, 2), 1, "m", False),
        ("one, the same", (1,), 1, "n", False),
    ],
)
def test_instances(name: str, workers: tuple[int, ...], worker: int, other_name: str, *, same: bool) -> None:
    def facts(name: str, *pids: int) -> GatewayFacts:
        return GatewayFacts(name, datetime.now(UTC), [WorkerFacts(pid, None, None) for pid in pids])

    before = instance_of(facts("n", 1, 2), 1)
    assert (instance_of(facts(other_name, *workers), worker) == before) is same, name
    assert instance_of(facts("n", 1), 1) == instance_of(facts("n", 1), 1)
    assert instance_of(facts("n", 1), 1) != instance_of(facts("n", 2), 2)


# Several processes.


def test_processes_share_a_look(
    gateway: FakeGateway, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout_module, "INTERVAL_S", 60.0)  # as above
    looking = [lookout(gateway, config, Shelf(tmp_path)) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        seen = {each.result() for each in [pool.submit(each.look) for each in looking * 2]}
    assert len(seen) == 1
    assert gateway.asked.count("/metrics") == 1


def test_a_process_that_is_stopped_in_its_look_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_module, "_TURN_TIMEOUT_S", 0.1)
    shelf, other = Shelf(tmp_path), Shelf(tmp_path)
    old = Seen(b"old", time.monotonic(), 0.0)
    assert shelf.get(lambda: old) == old
    with (tmp_path / "live.lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert other.get(lambda: pytest.fail("it looked")) == old
        shelf._file.unlink()
        new = Seen(b"new", time.monotonic(), 60.0)
        assert other.get(lambda: new) == new


@pytest.mark.parametrize("content", [b"", b"short", b"\x00" * 16, b"\xff" * 16 + b"{}"])
def test_what_another_wrote_half_is_not_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "live").write_bytes(content)
    new = Seen(b"new", time.monotonic(), 60.0)
    assert Shelf(tmp_path).get(lambda: new) == new
    assert Shelf(tmp_path).get(lambda: pytest.fail("it looked")) == new


def test_without_its_folder_each_looks_alone(tmp_path: Path) -> None:
    new = Seen(b"new", time.monotonic(), 60.0)
    assert Shelf(tmp_path / "gone").get(lambda: new) == new
