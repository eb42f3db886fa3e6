"""The PostgreSQL server that other tests use: it does what they rely on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import ROLE, PostgresServer
from tests.support.processes import ROOT, wait_until

TIMEOUT_S = 30.0


def test_it_wants_a_password_and_keeps_what_is_committed(postgres: PostgresServer) -> None:
    name = postgres.new_database()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"host=127.0.0.1 port={postgres.port} user={ROLE} password=wrong dbname={name}")
    with psycopg.connect(postgres.url(name).replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    assert postgres.ask("SELECT one FROM kept", database=name) == [(1,)]
    other = postgres.new_database(template=name)
    assert postgres.ask("SELECT one FROM kept", database=other) == [(1,)]


def test_killed_stopped_and_started_again() -> None:
    with PostgresServer(durable=True) as server:
        server.ask("CREATE TABLE kept AS SELECT 1 AS one")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            server.ask("SELECT 1")
        server.start()
        assert server.ask("SELECT one FROM kept") == [(1,)]
        server.pause()
        with pytest.raises(psycopg.OperationalError):
            server.ask("SELECT 1")
        server.resume()
        assert server.ask("SELECT one FROM kept") == [(1,)]
        server.stop()
        server.start()
        assert server.ask("SELECT one FROM kept") == [(1,)]


def test_a_standby_follows_and_is_promoted(postgres: PostgresServer) -> None:
    with postgres.standby() as standby:
        name = postgres.new_database()
        postgres.ask("CREATE TABLE followed AS SELECT 1 AS one", database=name)

        def followed() -> bool:
            try:
                return standby.ask("SELECT one FROM followed", database=name) == [(1,)]
            except psycopg.Error:
                return False

        wait_until(followed, "replicated", timeout_s=TIMEOUT_S)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            standby.ask("DROP TABLE followed", database=name)
        standby.promote()
        standby.ask("DROP TABLE followed", database=name)


STARTED = """
import sys
from tests.support.postgres import PostgresServer
server = PostgresServer()
print(server.pid, server._data.parent, flush=True)
sys.stdin.read()
"""


def test_it_ends_when_the_tests_are_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as tests:
        assert tests.stdout
        pid, folder = tests.stdout.readline().split()
        assert Path(f"/proc/{pid}").exists()
        os.kill(tests.pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the server ends", timeout_s=TIMEOUT_S)
    wait_until(lambda: not Path(folder).exists(), "its folder goes", timeout_s=TIMEOUT_S)
