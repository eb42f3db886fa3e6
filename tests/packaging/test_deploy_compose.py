"""deploy/compose.yaml: linted, held against rules, and its configs are really used.

No container runs here. But llmgw with this very config works with a PostgreSQL and with a Valkey that has the
Valkey's own config and ACL, and nginx reads what nginx would get.
"""

import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tests.packaging.configs import GIB, most_bytes, parsed, secrets_of
from tests.packaging.containerfile import Containerfile
from tests.support.postgres import PostgresServer
from tests.support.processes import ROOT, Process, free_port, wait_until
from tests.support.redis import RedisServer

FOLDER: Final = ROOT / "deploy"
CONFIG: Final = FOLDER / "compose" / "llmgw.toml"
MAKE_SECRETS: Final = FOLDER / "compose" / "make-secrets"
YOURS: Final = {"dashscope_api_key"}
"""Secrets that nobody can make up."""
KNOWN: Final = {
    *(
        "build",
        "cap_drop",
        "command",
        "cpus",
        "depends_on",
        "entrypoint",
        "environment",
        "healthcheck",
        "image",
    ),
    *("logging", "mem_limit", "networks", "pids_limit", "ports", "read_only", "restart", "secrets"),
    *("security_opt", "shm_size", "stop_grace_period", "stop_signal", "sysctls", "tmpfs", "ulimits", "user"),
    "volumes",
}
"""Keys of a service, as the Compose specification spells them."""
GATEWAYS: Final = ("gateway-1", "gateway-2")


class Loader(yaml.SafeLoader):
    """Knows `!override`, by which a second file replaces a list of the first."""


def _override(loader: Loader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


Loader.add_constructor("!override", _override)


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((FOLDER / name).read_text("utf-8"), Loader)  # noqa: S506  (a safe one)
    return loaded


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return compose()


@pytest.fixture(scope="module")
def services(file: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = file["services"]
    return found


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder that `make-secrets` makes."""
    folder = tmp_path / "secrets"
    subprocess.run([MAKE_SECRETS, folder], check=True, capture_output=True)
    return folder


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration[:-1])


@pytest.mark.parametrize(("name", "graver_than"), [("compose.yaml", "low"), ("compose.tls.yaml", "high")])
def test_compose_lint_finds_nothing(name: str, graver_than: str) -> None:
    """Except that digests are missing (deploy/.compose-lint.yml), and that port 443 is for all machines."""
    lint = Path(sys.executable).with_name("compose-lint")
    options = ["--config", ".compose-lint.yml", "--strict-config", "--fail-on", graver_than, "--quiet"]
    done = subprocess.run(
        [lint, "check", *options, name], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_services_have_known_keys(services: dict[str, dict[str, Any]]) -> None:
    assert {key for service in services.values() for key in service} - KNOWN == set()


def test_every_service_is_bounded_and_healthy(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert {"mem_limit", "cpus", "pids_limit", "healthcheck", "networks"} <= set(service), name
        assert name in GATEWAYS or int(service["user"].split(":")[0]), f"{name} runs as root"
        assert re.search(r":v?\d[\w.-]*$", service["image"]), "pinned by tag"


def test_only_loopback_is_published(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {port.rpartition(":")[0].rpartition(":")[0] for port in ports} == {"127.0.0.1"}
    assert all("ports" not in services[name] for name in ("postgres", "valkey"))


def test_the_databases_have_no_way_out(file: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    inside = {name for name, network in file["networks"].items() if network.get("internal")}
    assert inside == {"data"}
    members = {name for name, service in services.items() if "data" in service["networks"]}
    assert members == {*GATEWAYS, "postgres", "valkey"}
    assert services["postgres"]["networks"] == services["valkey"]["networks"] == ["data"]


def test_what_is_named_is_there(file: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert set(service["networks"]) <= set(file["networks"]), name
        assert set(service.get("secrets", [])) <= set(file["secrets"]), name
        assert set(service.get("depends_on", [])) <= set(services), name
        for volume in service.get("volumes", []):
            source, _, _ = volume.partition(":")
            assert source in file["volumes"] or (FOLDER / source).exists(), f"{name}: {source}"
            assert source in file["volumes"] or volume.endswith(":ro"), f"{name} could write {source}"
    build = services["gateway-1"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).samefile(FOLDER / "Containerfile")


def test_each_gateway_has_its_own_journal(services: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    config = parsed(CONFIG.read_text("utf-8"), tmp_path)
    [state] = Containerfile().one("VOLUME").words
    volumes = {
        name: dict(each.split(":")[:2][::-1] for each in services[name]["volumes"]) for name in GATEWAYS
    }
    assert len({each[state] for each in volumes.values()}) == len(GATEWAYS)
    for folder in (config.journal_folder, config.limits_folder, config.run_folder):
        assert folder.is_relative_to(state)
    assert {each["/etc/llmgw/llmgw.toml"] for each in volumes.values()} == {"./compose/llmgw.toml"}


def test_the_gateways_config_is_right(services: dict[str, dict[str, Any]], secrets: Path) -> None:
    """With the secrets that `make-secrets` makes; each that it names is mounted."""
    text = CONFIG.read_text("utf-8")
    assert {Path(path).name for path in secrets_of(text)} == set(services["gateway-1"]["secrets"])
    config = parsed(text, secrets)
    assert config.server.host == "0.0.0.0"
    assert config.limits.machines == len(GATEWAYS)
    limit = services["gateway-1"]["mem_limit"]
    assert most_bytes(config) < int(limit.removesuffix("g")) * GIB
    taken_s = config.server.stop_delay_s + config.server.drain_timeout_s + 5
    assert seconds(services["gateway-1"]["stop_grace_period"]) > taken_s
    assert f"127.0.0.1:{config.admin.port}:{config.admin.port}" in services["gateway-1"]["ports"]
    assert config.store.url.endswith("@postgres:5432/llmgw")
    assert config.store.url.split(":")[2].startswith((secrets / "postgres_password").read_text().strip())


def test_secrets_are_made_once_and_closed_to_others(file: dict[str, Any], secrets: Path) -> None:
    wanted = {Path(each["file"]).name for each in file["secrets"].values()} - YOURS
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    assert set(before) == wanted
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o444}
    done = subprocess.run([MAKE_SECRETS, secrets], check=True, capture_output=True, text=True)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    assert all(name in done.stdout for name in YOURS)
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text("utf-8")


def test_no_password_is_in_the_file(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for key, value in service.get("environment", {}).items():
            assert "PASSWORD" not in key or value.startswith("/run/secrets/"), key


def test_prometheus_asks_every_gateway() -> None:
    scraped = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text("utf-8"))
    [job] = scraped["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"{name}:8000" for name in GATEWAYS]}]
    assert job.get("metrics_path", "/metrics") == "/metrics"


def test_grafana_finds_source_and_dashboards(services: dict[str, dict[str, Any]]) -> None:
    provisioning = FOLDER / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "llmgw.yaml").read_text())["providers"]
    mounted = dict(each.split(":")[:2][::-1] for each in services["grafana"]["volumes"])
    assert mounted[provider["options"]["path"]] == "./grafana/dashboards"


@pytest.fixture
def valkey(secrets: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """A server with the settings and the ACL of compose.yaml."""
    server = RedisServer(tmp_path, "--aclfile", str(secrets / "valkey_acl"), *valkey_options())
    try:
        yield server
    finally:
        server.kill()


def valkey_options() -> Iterator[str]:
    """Its config file as options; where it listens and what it keeps on disk is up to `RedisServer`."""
    for line in (FOLDER / "compose" / "valkey.conf").read_text("utf-8").splitlines():
        key, _, value = line.partition(" ")
        if key and key not in {"#", "port", "dir", "save", "appendonly", "aclfile"}:
            yield from (f"--{key}", value)


def test_the_gateway_works_with_that_valkey_and_a_postgresql(
    secrets: Path, valkey: RedisServer, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Limits over machines and kept reasoning need no more of the ACL than it has."""
    database = postgres.new_database()
    for name, text in (
        ("store_url", postgres.url(database)),
        (
            "redis_url",
            (secrets / "redis_url").read_text().replace("@valkey:6379", f"@127.0.0.1:{valkey.port}"),
        ),
        ("dashscope_api_key", "sk-of-a-provider"),
    ):
        (secrets / name).unlink(missing_ok=True)
        (secrets / name).write_text(text)
    port, admin = free_port(), free_port()
    text = CONFIG.read_text("utf-8").replace("/run/secrets", str(secrets)).replace("8001", str(admin))
    config = tmp_path / "llmgw.toml"
    config.write_text(text.replace("/var/lib/llmgw", str(tmp_path / "state")), "utf-8")
    (tmp_path / "state").mkdir()
    arguments = ("serve", "--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    process = Process("llmgw", *arguments, folder=tmp_path)
    try:
        process.wait_ready(f"http://127.0.0.1:{port}/readyz")
        wait_until(
            lambda: "all machines share the limits" in process.output, "Redis has the limits", timeout_s=10
        )
        answer = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
        assert json.loads(answer.content)["status"] == "ok", answer.text
        assert process.stop() == 0
        assert "NOPERM" not in process.output
    finally:
        process.kill()
    assert valkey.ask("GET a") == "-NOPERM User default has no permissions to run the 'get' command"
