"""Two workers on a PostgreSQL that fails: they serve on, raise an alarm, and the ledger is whole after it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from llmgw.ledger.journal import pending
from tests.support.answered import (
    IN_A_ROW,
    SLOW_STREAM,
    STREAM,
    TIMEOUT_S,
    Clients,
    assert_complete,
    completion_tokens,
    kill_worker,
    metric,
    ready,
    wait_healthy,
)
from tests.support.chat import body
from tests.support.frames import check_stream
from tests.support.gateway import Gateway, config_text
from tests.support.postgres import ROLE, PostgresServer, SmallDisk
from tests.support.processes import NOISE, free_port, wait_until
from tests.support.proxy import Proxy
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

pytestmark = pytest.mark.alone

REQUESTS = 6
MAX_CONNECTIONS = 64
"""More than the gateways of these tests want together, of which each keeps some for a while."""
OPEN_TO_ALL = MAX_CONNECTIONS - 3
"""Superusers have the others: PostgreSQL's `superuser_reserved_connections`."""
PROMPT_S = 4.5
"""A request does not wait for the database, except for its own row where durability is strict."""
GIVEN_UP_S = 8.0
"""Within that a database that says nothing is given up, and the journal has taken the row."""
REVOKED_WITHIN_S = 1.0
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which only root can")


@dataclass
class Site:
    """A gateway of two workers, and the database that it reaches through a proxy."""

    gateway: Gateway
    server: PostgresServer
    proxy: Proxy
    database: str
    journal: Path
    strict: bool

    def ask(self, count: int = REQUESTS) -> dict[str, int]:
        """Each request on a connection of its own, so that either worker takes some; all must succeed."""
        answered: dict[str, int] = {}
        for number in range(count):
            streamed = bool(number % 2)
            begun_s = time.monotonic()
            with httpx.Client(base_url=self.gateway.url, trust_env=False, timeout=TIMEOUT_S) as client:
                answer = client.post(
                    "/v1/chat/completions",
                    json=STREAM if streamed else body("glm-5"),
                    headers=self.gateway.headers(),
                )
            assert answer.status_code == 200, answer.text
            assert time.monotonic() - begun_s < (GIVEN_UP_S if self.strict else PROMPT_S)
            tokens = completion_tokens(answer.content, streamed=streamed)
            answered[answer.headers["x-request-id"]] = tokens
        return answered

    def end_connections(self) -> int:
        """Those of the gateway, and how many there were: the server tells each that it is over."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
        return len(self.server.ask(query, ROLE))

    def spent(self) -> tuple[int, int]:
        """Requests and completion tokens, as the hourly sums have them."""
        query = "SELECT coalesce(sum(requests), 0)::int, coalesce(sum(completion_tokens), 0)::int"
        [(requests, tokens)] = self.server.ask(f"{query} FROM usage_hours", database=self.database)
        return requests, tokens


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Somebody else's transaction, such as a migration of another program's."""
    with site.server.connect(site.database) as other:
        other.execute("LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


@contextmanager
def held_rows(site: Site) -> Iterator[None]:
    """Somebody holds the sums that each row adds to."""
    with site.server.connect(site.database) as other:
        other.execute("SELECT * FROM usage_hours FOR UPDATE")
        yield
        other.rollback()


@contextmanager
def killed(site: Site) -> Iterator[None]:
    site.server.kill()
    try:
        yield
    finally:
        site.server.start()


@contextmanager
def shut_down(site: Site) -> Iterator[None]:
    site.server.stop()
    try:
        yield
    finally:
        site.server.start()


@contextmanager
def stopped(site: Site) -> Iterator[None]:
    """It takes connections and statements, and never answers."""
    site.server.pause()
    try:
        yield
    finally:
        site.server.resume()


@contextmanager
def unreachable(site: Site) -> Iterator[None]:
    """A network that drops everything, also the news of it."""
    site.proxy.silence()
    try:
        yield
    finally:
        site.proxy.speak()


@contextmanager
def exhausted(site: Site) -> Iterator[None]:
    """Others have all connections that there are."""
    server, others = site.server, "others"
    server.ask(f"CREATE ROLE {others} LOGIN PASSWORD '{server.password}'")
    url = server.url(site.database).replace("+psycopg", "").replace(ROLE, others, 1)
    server.ask(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0")  # else the gateway is faster than they
    with ExitStack() as taken:

        def all_taken() -> bool:
            site.end_connections()
            with suppress(psycopg.OperationalError):
                while True:
                    taken.enter_context(psycopg.connect(url))
            [(count,)] = server.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", others)
            return bool(count == OPEN_TO_ALL)

        wait_until(all_taken, "no connection is left", timeout_s=TIMEOUT_S)
        server.ask(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")
        yield
    server.ask(f"DROP ROLE {others}")


@contextmanager
def password_changed(site: Site) -> Iterator[None]:
    site.server.ask(f"ALTER ROLE {ROLE} PASSWORD 'another'")
    site.end_connections()
    try:
        yield
    finally:
        site.server.ask(f"ALTER ROLE {ROLE} PASSWORD '{site.server.password}'")


@contextmanager
def dropped(site: Site) -> Iterator[None]:
    """And restored from a copy."""
    name, ask = site.database, site.server.ask
    ask(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")

    def copied() -> bool:
        with suppress(psycopg.errors.ObjectInUse):
            site.end_connections()
            ask(f"CREATE DATABASE {name}_copy OWNER {ROLE} TEMPLATE {name}")
            return True
        return False

    wait_until(copied, "copied", timeout_s=TIMEOUT_S)
    ask(f"DROP DATABASE {name}")
    try:
        yield
    finally:
        ask(f"ALTER DATABASE {name}_copy RENAME TO {name}")


@contextmanager
def read_only(site: Site) -> Iterator[None]:
    """As a server that has become a standby."""
    site.server.ask(f"ALTER DATABASE {site.database} SET default_transaction_read_only = on")
    site.end_connections()
    try:
        yield
    finally:
        site.server.ask(f"ALTER DATABASE {site.database} RESET default_transaction_read_only")
        site.end_connections()


FAULTS = {
    fault.__name__: fault
    for fault in (
        locked,
        held_rows,
        killed,
        shut_down,
        stopped,
        unreachable,
        exhausted,
        password_changed,
        dropped,
        read_only,
    )
}
STRICT_TOO = ("locked", "killed", "stopped", "read_only")
"""To the writer, one failed statement is like another."""
KEYS_UNREADABLE = {
    "killed",
    "shut_down",
    "stopped",
    "unreachable",
    "exhausted",
    "password_changed",
    "dropped",
}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that these tests may break."""
    with PostgresServer(durable=True, settings={"max_connections": str(MAX_CONNECTIONS)}) as started:
        yield started


@pytest.fixture(scope="module")
def make_site(
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
    server: PostgresServer,
) -> Iterator[Callable[..., Site]]:
    """Sites of the module's server, each with a database of its own."""
    with ExitStack() as stack:

        def make(*, strict: bool, tablespace: str | None = None, store: str = "") -> Site:
            """`store`: further lines of `[store]`."""
            name = server.new_database(more=f"TABLESPACE {tablespace}" if tablespace else "")
            proxy = stack.enter_context(Proxy(server.port))
            folder = tmp_path_factory.mktemp("postgres")
            config = config_text(
                simulator.url,
                scripted.base_url,
                server="workers = 2",
                store_url=server.url(name, port=proxy.port, more="sslmode=disable"),
            ).replace("[store]\n", f"[store]\n{store}\n")
            config += f'\n[ledger]\njournal = "rows"\ndurability = "{"strict" if strict else "relaxed"}"\n'
            gateway = stack.enter_context(Gateway(folder, config, store_url=server.url(name)))
            return Site(gateway, server, proxy, name, folder / "rows", strict)

        yield make


@pytest.fixture(scope="module")
def site_of(make_site: Callable[..., Site]) -> Callable[[str], Site]:
    """The one site of a durability."""
    return cache(lambda durability: make_site(strict=durability == "strict"))


@pytest.fixture(params=["relaxed", "strict"])
def site(request: pytest.FixtureRequest, site_of: Callable[[str], Site]) -> Site:
    return site_of(request.param)


@pytest.fixture
def strict(site_of: Callable[[str], Site]) -> Site:
    return site_of("strict")


@pytest.mark.parametrize(
    ("durability", "fault"),
    [*(("relaxed", fault) for fault in FAULTS), *(("strict", fault) for fault in STRICT_TOO)],
)
def test_it_serves_on_and_the_ledger_is_whole_afterwards(
    site_of: Callable[[str], Site], durability: str, fault: str
) -> None:
    site = site_of(durability)
    gateway = site.gateway
    expected = site.ask()
    assert_complete(gateway, expected)
    wait_healthy(gateway)
    before = site.spent()
    with FAULTS[fault](site):
        during = site.ask()
        wait_until(
            lambda: metric(gateway, "llmgw_ledger_journal_rows") == REQUESTS, "journaled", timeout_s=TIMEOUT_S
        )
        assert pending(site.journal).rows == REQUESTS
        ledger_healthy = 'llmgw_store_healthy{purpose="ledger"}'
        wait_until(lambda: metric(gateway, ledger_healthy) == 0, "told", timeout_s=TIMEOUT_S)

        def said() -> bool:
            """By a worker that has tried to write: it can serve, as the other can, and stays in rotation."""
            status, report = ready(gateway)
            assert status == 200
            warnings = report.get("warnings", [])
            return "the database can't be written; ledger rows wait in the journal" in warnings

        wait_until(said, "said by /readyz", timeout_s=TIMEOUT_S)
        during |= site.ask()  # to the journal at once, since it is known now
        if fault in KEYS_UNREADABLE:
            wait_until(
                lambda: metric(gateway, 'llmgw_store_healthy{purpose="keys"}') == 0,
                "seen",
                timeout_s=TIMEOUT_S,
            )
            begun_s = time.monotonic()
            assert gateway.get("/v1/models", key="sk-gtw-" + "x" * 32).status == 401  # unknown stays unknown
            assert time.monotonic() - begun_s < GIVEN_UP_S
    assert_complete(gateway, expected | during)
    wait_healthy(gateway)
    wait_until(lambda: metric(gateway, "llmgw_ledger_journal_rows") == 0, "replayed", timeout_s=TIMEOUT_S)
    for purpose in ("ledger", "keys"):  # in both workers
        healthy = f'llmgw_store_healthy{{purpose="{purpose}"}}'
        wait_until(lambda: metric(gateway, healthy) == 1, healthy, timeout_s=TIMEOUT_S)  # noqa: B023
    assert pending(site.journal).rows == 0
    after = site.spent()
    assert (after[0] - before[0], after[1] - before[1]) == (len(during), sum(during.values()))


def test_nothing_that_was_written_has_the_password(site: Site) -> None:
    """Also after all of these faults."""
    with locked(site):
        site.ask(2)
    told = site.gateway.process.output
    told += site.gateway.client.get("/metrics").text + str(ready(site.gateway))
    for path in site.journal.parent.rglob("*"):
        if path.is_file() and path != site.gateway.config:
            with suppress(FileNotFoundError):  # a journal that has just been stored
                told += path.read_text("utf-8", "replace")
    assert site.server.password not in told
    assert "ledger can't be written" in told


def test_a_slow_network_slows_no_answer(site: Site) -> None:
    expected = site.ask()
    assert_complete(site.gateway, expected)
    wait_healthy(site.gateway)
    site.proxy.delay_s = 0.1
    try:
        expected |= site.ask()
        assert_complete(site.gateway, expected)
    finally:
        site.proxy.delay_s = 0.0
    wait_healthy(site.gateway)


def test_a_commit_whose_answer_is_lost_counts_once(site: Site) -> None:
    """The row may be in the database and in the journal; the sums have it once all the same."""
    expected = site.ask()
    assert_complete(site.gateway, expected)
    before = site.spent()
    during: dict[str, int] = {}
    for _ in range(4):
        site.proxy.lost_commits = 2
        during |= site.ask(4)
        wait_until(lambda: site.proxy.lost_commits == 0, "cut", timeout_s=TIMEOUT_S)
    assert_complete(site.gateway, expected | during)
    wait_healthy(site.gateway)
    wait_until(lambda: pending(site.journal).rows == 0, "replayed", timeout_s=TIMEOUT_S)
    after = site.spent()
    assert (after[0] - before[0], after[1] - before[1]) == (len(during), sum(during.values()))


def stored(site: Site, request_id: str) -> list[dict[str, Any]]:
    return [row for row in site.gateway.ledger_rows() if row["request_id"] == request_id]


def test_strict_the_row_is_there_when_the_answer_ends(strict: Site) -> None:
    for request in (STREAM, SLOW_STREAM):
        received = b""
        with strict.gateway.stream(request) as response:
            for piece in response.iter_raw():
                received += piece
                if b"[DONE]" in received:
                    [row] = stored(strict, response.headers["x-request-id"])
                    break
            else:
                pytest.fail("no [DONE]")
        usage = check_stream(received, include_usage=True).usage
        assert usage is not None
        assert row["completion_tokens"] == usage["completion_tokens"]
        assert (row["status"], row["error_kind"], row["finish_reason"]) == (200, None, "stop")
    answer = strict.gateway.post(body("glm-5"))
    [row] = stored(strict, answer.headers["x-request-id"])
    assert row["completion_tokens"] == answer.json()["usage"]["completion_tokens"]


def test_strict_a_server_that_is_killed_under_load_loses_no_row(strict: Site) -> None:
    """Crash after crash: what was answered is in the database, or in the journal until it is back."""
    clients = Clients(strict.gateway, 6, connection_each=True)
    try:
        for _ in range(2):
            clients.more(20)
            strict.server.kill()
            clients.more(20)
            strict.server.start()
        clients.more(20)
    finally:
        clients.stop()
    assert clients.slowest_s < GIVEN_UP_S
    assert_complete(strict.gateway, clients.answered)
    wait_healthy(strict.gateway)
    ids = [row["request_id"] for row in strict.gateway.ledger_rows()]
    assert len(ids) == len(set(ids))
    assert strict.spent()[0] == len(ids)


@ROOT_ONLY
def test_a_full_disk(make_site: Callable[..., Site], server: PostgresServer) -> None:
    """The tables' disk has no byte left: `No space left on device`, until somebody makes room."""
    disk = SmallDisk(32 * 2**20)
    server.ask(f"CREATE TABLESPACE small LOCATION '{disk.path}'")
    site = make_site(strict=False, tablespace="small")
    expected = site.ask()
    assert_complete(site.gateway, expected)
    months = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ledger'::regclass"
    for (month,) in server.ask(months, database=site.database):
        # Few rows to a page, so that the next ones need another page soon.
        server.ask(f"ALTER TABLE {month} SET (fillfactor = 10)", database=site.database)
    disk.fill()
    try:

        def journaled() -> bool:
            expected.update(site.ask(4))
            warned = ready(site.gateway)[1]["status"] == "degraded"
            return warned and metric(site.gateway, "llmgw_ledger_journal_rows") > 0

        wait_until(journaled, "journaled", timeout_s=TIMEOUT_S)  # once its last pages are full
        assert "No space left on device" in site.gateway.process.output
        expected |= site.ask()
    finally:
        disk.free()
    assert_complete(site.gateway, expected)
    wait_healthy(site.gateway)
    assert site.spent() == (len(expected), sum(expected.values()))


@pytest.fixture(scope="module")
def forgetful(make_site: Callable[..., Site]) -> Site:
    return make_site(strict=False, store="stale_keys_s = 6")


def test_the_last_known_keys_are_good_for_so_long(forgetful: Site) -> None:
    gateway = forgetful.gateway
    expected = forgetful.ask()
    with killed(forgetful):
        expected |= forgetful.ask(2)

        def forgotten() -> bool:
            return all(ready(gateway)[0] == 503 for _ in range(IN_A_ROW))

        wait_until(forgotten, "forgotten by both workers", timeout_s=TIMEOUT_S)
        wait_until(lambda: gateway.post(body("glm-5")).status == 503, "refused", timeout_s=TIMEOUT_S)
        assert gateway.post(body("glm-5")).error["code"] == "overloaded"
    wait_healthy(gateway)
    expected |= forgetful.ask()
    assert_complete(gateway, expected)


def test_a_worker_that_starts_without_a_database_waits_for_it(forgetful: Site) -> None:
    """It knows no key yet, so it admits nobody; but it lives, and its server with it."""
    gateway = forgetful.gateway
    with killed(forgetful):
        kill_worker(gateway)
        kill_worker(gateway)

        def unavailable() -> bool:
            with suppress(httpx.TransportError):
                return all(ready(gateway)[1]["status"] == "unavailable" for _ in range(IN_A_ROW))
            return False

        wait_until(unavailable, "workers that answer", timeout_s=TIMEOUT_S)
        assert ready(gateway)[1]["problems"] == ["no key is in force: the keys can't be read"]
        assert gateway.post(body("glm-5")).status == 503
    wait_healthy(gateway)
    assert_complete(gateway, forgetful.ask())


def test_a_gateway_does_not_start_without_a_database(forgetful: Site, tmp_path: Path) -> None:
    """It says so at once, and not with which password."""
    command = [sys.executable, "-m", "llmgw", "serve", "--port", str(free_port())]
    with killed(forgetful):
        done = subprocess.run(
            [*command, "--config", str(forgetful.gateway.config)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=TIMEOUT_S,
        )
    wait_healthy(forgetful.gateway)
    assert done.returncode == 1
    assert "can't open the database postgresql+psycopg://llmgw@127.0.0.1" in done.stderr
    assert forgetful.server.password not in done.stderr + done.stdout


def test_a_key_ends_within_a_second_in_both_workers(site: Site) -> None:
    """The second time nobody listens to PostgreSQL any more: the poll behind it sees the change."""
    for _ in range(2):
        key = site.gateway.new_key()
        assert site.gateway.post(body("glm-5"), key=key).status == 200
        site.gateway.revoke(key)
        revoked_s = last_s = time.monotonic()
        refused = 0
        while refused < 16:  # in a row, by connections that either worker may take
            asked_s = time.monotonic()
            with httpx.Client(base_url=site.gateway.url, trust_env=False) as client:
                answer = client.get("/v1/models", headers=site.gateway.headers(key))
            refused = refused + 1 if answer.status_code == 401 else 0
            last_s = last_s if refused else asked_s
        assert last_s - revoked_s <= REVOKED_WITHIN_S * NOISE
        site.end_connections()
        wait_healthy(site.gateway)
