"""The wheel, as a user gets it: built, looked into, installed into an empty environment, started, asked."""

import importlib.metadata
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

import httpx
import pytest
from packaging.version import Version

from tests.packaging.deployed import assert_whole, config_text, drains, terminate, wait_ready
from tests.packaging.notices import NOTICES, linked_crates
from tests.packaging.stage import CONSOLE, local_version, stage
from tests.support.processes import Process, free_port, wait_until
from tests.support.simulator import SimulatorProcess

ROOT: Final = Path(__file__).parents[2]
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 20.0
# What a user's shell has, and nothing of this environment: only the wheel can be what runs.
USER_ENVIRONMENT: Final = {
    **{name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ},
    "PYTHONUNBUFFERED": "1",
}


class Gateway(NamedTuple):
    """A running `llmgw demo`."""

    base_url: str
    key: str


def maturin(*arguments: str | Path) -> None:
    subprocess.run([Path(sys.executable).with_name("maturin"), *arguments], check=True)


@pytest.fixture(scope="module")
def manifest() -> Path:
    """Of the extension, in copies of this tree's sources with the commit in their version."""
    sources = ROOT / "target" / "wheel"
    stage(sources)
    return sources / "rust" / "python" / "Cargo.toml"


@pytest.fixture(scope="module")
def wheel(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, as `make wheel` makes it, but for a debug build."""
    out = tmp_path_factory.mktemp("dist")
    what: list[str | Path] = ["--manifest-path", manifest, "--target-dir", ROOT / "target"]
    maturin("build", "--quiet", "--locked", *what, "--interpreter", sys.executable, "--out", out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds the wheel and what it asks for, nothing else."""
    return installed(f"{wheel}", tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def scripts_with_admin(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with what the admin API takes."""
    return installed(f"{wheel}[admin]", tmp_path_factory.mktemp("with-admin"))


def installed(requirement: str, home: Path) -> Path:
    """Made without a pip of its own: this one's installs into it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    # The versions are those of the lock file, so that some dependency's new release can't break this test.
    here = (package for package in importlib.metadata.distributions() if package.name != "llmgw")
    constraints = home / "constraints.txt"
    constraints.write_text("".join(f"{package.name}=={package.version}\n" for package in here))
    scripts = home / "venv" / "bin"
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        scripts / "python",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "--constraint", constraints, requirement], cwd=home, check=True)
    return scripts


def printed_key(output: IO[str]) -> str:
    """The key that the demo prints."""
    lines: list[str] = []
    for line in output:
        lines.append(line)
        if found := re.search(r"sk-gtw-[\w-]+", line):
            return found[0]
    pytest.fail(f"llmgw demo ended, or took {START_TIMEOUT_S} s, without a key:\n{''.join(lines)}")


@pytest.fixture(scope="module")
def gateway(scripts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`llmgw demo` of the installed wheel. At the end it must stop in order."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [scripts / "llmgw", "demo", "--port", str(port)],
        cwd=tmp_path_factory.mktemp("cwd"),
        env=USER_ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        deadline = threading.Timer(START_TIMEOUT_S, process.kill)
        deadline.start()
        try:
            key = printed_key(process.stdout)
        finally:
            deadline.cancel()
        try:
            yield Gateway(f"http://127.0.0.1:{port}", key)
        finally:
            process.terminate()
        assert process.wait(STOP_TIMEOUT_S) == 0


@pytest.mark.parametrize(
    "name",
    [
        "llmgw/__init__.py",
        "llmgw/_core.abi3.so",
        "llmgw/_core.pyi",
        "llmgw/cli/main.py",
        "llmgw/py.typed",
        "llmgw/simulator/__init__.py",
        "llmgw/store/migrations/env.py",
    ],
)
def test_wheel_holds(wheel: Path, name: str) -> None:
    assert name in zipfile.ZipFile(wheel).namelist()


def test_wheel_holds_every_migration(wheel: Path) -> None:
    versions = {
        f"llmgw/store/migrations/versions/{path.name}"
        for path in (ROOT / "python/llmgw/store/migrations/versions").glob("*.py")
    }
    assert versions
    assert versions <= set(zipfile.ZipFile(wheel).namelist())


def built_console() -> set[str]:
    """What `make console` built, named as in the wheel."""
    files = {path.relative_to(ROOT / "python") for path in (ROOT / CONSOLE).rglob("*") if path.is_file()}
    return {str(path) for path in files}


def test_wheel_holds_the_console(wheel: Path) -> None:
    """Though git ignores it."""
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("llmgw/admin/static/")}
    assert held == built_console()
    assert {f"llmgw/admin/static/{name}" for name in ("index.html", "index.html.gz", "licenses.md")} <= held
    kinds = {name.partition(".")[2] for name in held if "/assets/" in name}
    assert {"js", "js.gz", "css", "css.gz"} <= kinds


@pytest.fixture(scope="module")
def unpacked(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution's one folder."""
    out = tmp_path_factory.mktemp("sdist")
    maturin("sdist", "--manifest-path", manifest, "--out", out)
    (built,) = out.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        archive.extractall(out, filter="data")
    (folder,) = (path for path in out.iterdir() if path.is_dir())
    return folder


def test_source_distribution_holds_the_console(unpacked: Path) -> None:
    """So that whoever builds a wheel from it needs no Node."""
    assert all((unpacked / "python" / name).is_file() for name in built_console())


def test_source_distribution_has_all_that_cargo_wants(unpacked: Path) -> None:
    """Every crate of ours, and for the others the versions that are locked here."""
    command = ["cargo", "metadata", "--offline", "--format-version", "1"]
    told = subprocess.run(command, cwd=unpacked / "rust" / "python", check=True, capture_output=True).stdout
    packages = json.loads(told)["packages"]
    ours = {package["name"] for package in packages if package["source"] is None}
    assert {"llmgw-core", "llmgw-limits", "llmgw-python", "llmgw-upstream"} <= ours
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text("utf-8"))["package"]
    foreign = {(package["name"], package["version"]) for package in packages if package["source"]}
    assert foreign
    assert foreign <= {(package["name"], package["version"]) for package in locked}


def test_source_distribution_carries_what_licences_want(unpacked: Path) -> None:
    for name in ("LICENSE", NOTICES.name, "README.md"):
        assert (unpacked / name).read_bytes() == (ROOT / name).read_bytes()
    information = (unpacked / "PKG-INFO").read_text("utf-8")
    assert "License-Expression: Apache-2.0\n" in information
    assert {"License-File: LICENSE", f"License-File: {NOTICES.name}"} <= set(information.splitlines())


def test_no_wheel_without_the_console(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make console"):
        stage(tmp_path / "staged", tmp_path)


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    folders = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    version = wheel.name.split("-")[1]
    assert folders == {"llmgw", f"llmgw-{version}.dist-info"}


def test_the_version_has_the_commit(wheel: Path, scripts: Path) -> None:
    """So that pip puts a newer wheel in the place of an older one, and an operator sees which one runs."""
    base, _, local = wheel.name.split("-")[1].partition("+")
    assert (base, local) == (importlib.metadata.version("llmgw"), local_version())
    command: list[str | Path] = [scripts / "llmgw", "--version"]
    shown = subprocess.run(command, env=USER_ENVIRONMENT, check=True, capture_output=True, text=True).stdout
    assert shown == f"llmgw {'+'.join(filter(None, (base, local)))}\n"


def test_a_later_commit_is_a_newer_version() -> None:
    commits = ("0.1.0", "0.1.0+20261125235959.gffffffffff", "0.1.0+20261126000000.g0000000000")
    assert sorted(map(Version, reversed(commits))) == [Version(commit) for commit in commits]


def test_wheel_carries_the_notices_of_what_it_links(wheel: Path) -> None:
    """Of every crate of this platform, in the version that is locked. `make wheel` writes the file."""
    [name] = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(f"/{NOTICES.name}")]
    notices = zipfile.ZipFile(wheel).read(name).decode("utf-8")
    host = re.search(r"^host: (.+)$", subprocess.check_output(["rustc", "-vV"], text=True), re.MULTILINE)  # noqa: S607
    assert host
    crates = linked_crates([host[1]])
    assert {"pyo3", "tokio", "rustls", "ring"} <= {crate.name for crate in crates}
    assert [str(crate) for crate in crates if f"  {crate} ({crate.licence})\n" not in notices] == []
    assert "Permission is hereby granted, free of charge" in notices
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in notices


def test_wheel_serves_every_python_from_3_11(wheel: Path) -> None:
    assert "-cp311-abi3-" in wheel.name


def test_help_names_every_command(scripts: Path) -> None:
    output = subprocess.run(
        [scripts / "llmgw", "--help"], env=USER_ENVIRONMENT, check=True, capture_output=True, text=True
    ).stdout
    commands = ["serve", "demo", "simulate", "keys", "usage", "check", "chat"]
    assert [command for command in commands if not re.search(rf"\b{command}\b", output)] == []


ADMIN_CONFIG: Final = """
[store]
url = "sqlite:///gateway.db"

[admin]
enabled = true

[upstreams.nobody]
base_url = "http://127.0.0.1:9/v1"
api_key = "opens-nothing"

[[models]]
id = "some-model"
upstream = "nobody"
upstream_model = "some-model"
"""


def test_installed_gateway_serves_the_console(scripts_with_admin: Path, tmp_path: Path) -> None:
    """The page, all that it names, and the licences."""
    (tmp_path / "llmgw.toml").write_text(ADMIN_CONFIG, "utf-8")
    port = free_port()
    command: list[str | Path] = [scripts_with_admin / "llmgw", "serve", "--port", str(port)]
    command += ["--config", tmp_path / "llmgw.toml"]
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=tmp_path, env=USER_ENVIRONMENT, stdout=output, stderr=output
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):

        def ready() -> bool:
            assert process.poll() is None, log.read_text("utf-8")
            try:
                return client.get("/readyz").is_success
            except httpx.TransportError:
                return False

        try:
            wait_until(ready, "the gateway is ready", timeout_s=START_TIMEOUT_S)
            page = client.get("/console/")
            named = re.findall(r'(?:src|href)="(/console/[^"]+)"', page.text)
            answers = {name: client.get(name) for name in (*named, "/console/licenses.md")}
        finally:
            process.terminate()
        assert process.wait(STOP_TIMEOUT_S) == 0
    assert page.headers["content-encoding"] == "gzip"
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert {Path(name).suffix for name in named} == {".css", ".js", ".svg"}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert "Permission is hereby granted, free of charge" in answers["/console/licenses.md"].text


def test_installed_gateway_drains(scripts: Path, tmp_path: Path) -> None:
    """A stream that runs at SIGTERM gets its end, then the gateway ends with status 0."""
    config, port = tmp_path / "llmgw.toml", free_port()
    command: list[str | Path] = [scripts / "llmgw", "keys", "create", "--name", "test", "--json"]
    with SimulatorProcess(tmp_path) as simulator:
        config.write_text(config_text(port=port, state=tmp_path, simulator=simulator.url), "utf-8")
        made = subprocess.run(
            [*command, "--config", config], env=USER_ENVIRONMENT, check=True, capture_output=True
        )
        serve = ("serve", "--config", str(config))
        process = Process(scripts / "llmgw", *serve, folder=tmp_path, env={"PYTHONPATH": ""})
        try:
            wait_ready(process, f"http://127.0.0.1:{port}")
            stop = terminate(process.process.pid)
            assert_whole(drains(f"http://127.0.0.1:{port}", json.loads(made.stdout)["key"], stop))
            assert process.process.wait(STOP_TIMEOUT_S) == 0, process.output
        finally:
            process.kill()


def test_installed_gateway_streams(gateway: Gateway) -> None:
    body = {
        "model": "qwen3.6-plus",
        "messages": [{"role": "user", "content": "解释什么是 RESTful API"}],
        "max_tokens": 2048,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    # The key is printed when the gateway starts; the first connection may still come too early.
    with httpx.Client(
        base_url=gateway.base_url,
        transport=httpx.HTTPTransport(retries=5),
        headers={"authorization": f"Bearer {gateway.key}"},
        timeout=START_TIMEOUT_S,
    ) as client:
        response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    *frames, done, after = response.text.split("\n\n")
    assert (done, after) == ("data: [DONE]", "")
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames if not frame.startswith(":")]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas)
    assert "".join(delta.get("content") or "" for delta in deltas)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 0
