"""deploy/systemd: the unit is verified by systemd where that is installed, and by rules everywhere.

No service manager runs here, so the unit is not really started. Its command lines are: the gateway says
READY=1, reloads and drains, under the limits of the unit that a process can put on itself.
"""

import configparser
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from llmgw.cli.main import EXIT_CONFIG
from llmgw.config.tables import ServerConfig
from tests.packaging import seccomp
from tests.packaging.deployed import (
    START_TIMEOUT_S,
    STOP_TIMEOUT_S,
    assert_whole,
    config_text,
    drains,
    terminate,
)
from tests.support.processes import ROOT, Process, free_port
from tests.support.simulator import SimulatorProcess

FOLDER: Final = ROOT / "deploy" / "systemd"
PROGRAM: Final = "/opt/llmgw/bin/llmgw"
CONFIG: Final = "/etc/llmgw/llmgw.toml"
ANALYZE: Final = shutil.which("systemd-analyze")
MAX_EXPOSURE: Final = 2.0
"""Of `systemd-analyze security`, which says 1.6 (systemd 252); without hardening it is 9.6."""


def settings() -> dict[str, list[str]]:
    """The values of each key of [Service], in order."""
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in (FOLDER / "llmgw.service").read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def one(key: str) -> str:
    [value] = settings()[key]
    return value


@pytest.fixture
def runnable(tmp_path: Path) -> Path:
    """The unit, with a program that is there."""
    unit = tmp_path / "llmgw.service"
    text = (FOLDER / "llmgw.service").read_text("utf-8")
    unit.write_text(text.replace(PROGRAM, str(Path(sys.executable).with_name("llmgw"))), "utf-8")
    return unit


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
def test_systemd_finds_no_fault(runnable: Path) -> None:
    command = [str(ANALYZE), "verify", "--man=no", str(runnable)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
def test_systemd_finds_it_hardened(runnable: Path) -> None:
    command = [str(ANALYZE), "security", "--offline=true", "--no-pager", str(runnable)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for llmgw.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= MAX_EXPOSURE


def test_it_has_more_time_to_stop_than_the_gateway_takes() -> None:
    assert int(one("TimeoutStopSec")) > ServerConfig().stop_delay_s + ServerConfig().drain_timeout_s + 5
    assert one("KillMode") == "mixed", "workers are stopped by the gateway"


def test_it_starts_again_what_may_come_back() -> None:
    assert one("Restart") == "on-failure"
    assert int(one("RestartPreventExitStatus")) == EXIT_CONFIG
    assert one("OOMPolicy") == "continue", "else one worker that is killed stops all"


def test_only_its_state_is_writable() -> None:
    assert one("ProtectSystem") == "strict"
    assert {"ReadWritePaths", "ConfigurationDirectory", "CacheDirectory", "LogsDirectory"}.isdisjoint(
        settings()
    )
    assert (one("StateDirectory"), one("StateDirectoryMode"), one("UMask")) == ("llmgw", "0700", "0077")
    assert one("User") == one("Group") == "llmgw"
    assert one("NoNewPrivileges") == "yes"
    assert one("CapabilityBoundingSet") == ""


def test_user_and_folders_are_those_of_the_unit() -> None:
    sysusers = (FOLDER / "sysusers.conf").read_text("utf-8").splitlines()
    [user] = [shlex.split(line) for line in sysusers if not line.startswith("#")]
    assert user == ["u", "llmgw", "-", "llmgw gateway", "/var/lib/llmgw", "/usr/sbin/nologin"]
    tmpfiles = (FOLDER / "tmpfiles.conf").read_text("utf-8").splitlines()
    folders = [line.split() for line in tmpfiles if not line.startswith("#")]
    assert [folder[1:] for folder in folders] == [
        ["/etc/llmgw", "0750", "root", "llmgw"],
        ["/etc/llmgw/secrets", "0750", "root", "llmgw"],
    ]


def test_its_file_is_what_other_parsers_read_too() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read(FOLDER / "llmgw.service", "utf-8")
    assert parser.sections() == ["Unit", "Service", "Install"]


LIMITED: Final = """
import ctypes, os, resource, sys
os.umask(int(sys.argv[1], 8))
files = min(int(sys.argv[2]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 38, 65
libc = ctypes.CDLL(None)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
libc.prctl(PR_SET_MDWE, 1, 0, 0, 0)  # MemoryDenyWriteExecute=; kernels before 6.3 don't know it
os.execv(sys.argv[3], sys.argv[3:])
"""


def filtered() -> list[str]:
    """What puts SystemCallFilter= on a program, where systemd and headers are there to tell how."""
    known = seccomp.numbers()
    if ANALYZE is None or not known:
        return []
    names = seccomp.allowed(settings()["SystemCallFilter"])
    assert {"read", "fchown", "sched_setscheduler"} <= names
    assert not {"mount", "setuid", "init_module", "reboot"} & names
    calls = ",".join(str(known[name]) for name in sorted(names & set(known)))
    return [sys.executable, seccomp.__file__, calls]


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is of Linux")
def test_its_commands_serve_reload_and_drain(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("llmgw"))
    state = tmp_path / "state"
    state.mkdir(0o700)
    config, notices = tmp_path / "llmgw.toml", tmp_path / "notify"
    port = free_port()

    def command(key: str) -> list[str]:
        words = shlex.split(one(key))
        assert words[0] == PROGRAM
        assert words[-1] == CONFIG
        return [program, *words[1:-1], str(config)]

    with (
        SimulatorProcess(tmp_path) as simulator,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor,
    ):
        config.write_text(config_text(port=port, state=state, simulator=simulator.url), "utf-8")
        supervisor.bind(str(notices))
        supervisor.settimeout(START_TIMEOUT_S)
        make = [program, "keys", "create", "--name", "test", "--json", "--config", str(config)]
        key = json.loads(subprocess.run(make, check=True, capture_output=True, cwd=state).stdout)["key"]
        limits = ("-c", LIMITED, one("UMask"), one("LimitNOFILE"))
        started = (*limits, *filtered(), *command("ExecStart"))
        process = Process(Path(sys.executable), *started, folder=state, env={"NOTIFY_SOCKET": str(notices)})
        try:
            try:
                assert supervisor.recv(100) == b"READY=1"
            except TimeoutError:
                pytest.fail(process.output)
            reload = [sys.executable, "-c", LIMITED, one("UMask"), one("LimitNOFILE")]
            reload += [*filtered(), *command("ExecReload")]
            done = subprocess.run(reload, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert_whole(drains(f"http://127.0.0.1:{port}", key, terminate(process.process.pid)))
            assert process.process.wait(STOP_TIMEOUT_S) == 0, process.output
        finally:
            process.kill()
    loose = [path for path in state.rglob("*") if path.stat().st_mode & 0o077 and path.suffix != ".log"]
    assert loose == []
    assert os.listdir(state / "llmgw.db.run") == []  # noqa: PTH208
