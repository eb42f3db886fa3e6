"""deploy/nginx: read by nginx itself, as compose.yaml starts it; with TLS where nginx has it.

`tests/cluster` sends requests through the same file. The nginx that the tests build has no TLS, so that part
wants another one: the system's, or that of `LLMGW_TEST_NGINX`.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.nginx import PROGRAM_ENV, nginx_program
from tests.support.processes import ROOT

NGINX: Final = ROOT / "deploy" / "nginx"
COMPOSE: Final = ROOT / "deploy" / "compose"
PLACES: Final = {"/etc/nginx/llmgw": "etc", "/run/secrets": "secrets", "/tmp": "tmp"}  # noqa: S108
"""The container's folders, and what they are here."""


def moved(text: str, folder: Path) -> str:
    """With the container's paths in `folder`."""
    return re.sub("|".join(PLACES), lambda found: str(folder / PLACES[found[0]]), text)


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """The folders of nginx's container, with its files."""
    for here in PLACES.values():
        (tmp_path / here).mkdir()
    for file in (*NGINX.iterdir(), COMPOSE / "nginx-start", COMPOSE / "nginx.conf"):
        (tmp_path / "etc" / file.name).write_text(moved(file.read_text("utf-8"), tmp_path), "utf-8")
    return tmp_path


def started(container: Path) -> str:
    """The file that the start script makes, and that it then becomes nginx."""
    programs = container / "bin"
    programs.mkdir(exist_ok=True)
    stub = programs / "nginx"
    stub.write_text('#!/bin/sh\necho "$@"\n')
    stub.chmod(0o755)
    path = os.pathsep.join((str(programs), os.environ["PATH"]))
    command: list[str | Path] = ["sh", container / "etc" / "nginx-start"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": path})
    assert done.stdout == "-g daemon off;\n"
    return (container / "tmp" / "llmgw.conf").read_text("utf-8")


def checked(program: str | Path, container: Path) -> str:
    """What `nginx -t` says of it, with names that are only known in Compose's network resolved."""
    made = container / "tmp" / "llmgw.conf"
    made.write_text(made.read_text("utf-8").replace("server gateway-", "server 127.0.0."), "utf-8")
    command: list[str | Path] = [program, "-t", "-p", container, "-c", container / "etc" / "nginx.conf"]
    (container / "logs").mkdir(exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_it_finds_both_gateways_and_logs_to_stdout(container: Path) -> None:
    made = started(container)
    assert re.findall(r"^    server (\S+) ", made, re.MULTILINE) == ["gateway-1:8000", "gateway-2:8000"]
    assert re.findall(r"access_log (\S+)", made) == ["/dev/stdout"]
    assert re.findall(r"listen ([^;]+);", made) == ["80"]
    nothing_else = made.replace("gateway-1", "192.0.2.11").replace("gateway-2", "192.0.2.12")
    original = (container / "etc" / "llmgw.conf").read_text("utf-8")
    assert nothing_else.replace("/dev/stdout", "/var/log/nginx/llmgw.log") == original


def test_nginx_reads_it(container: Path) -> None:
    started(container)
    assert "test is successful" in checked(nginx_program(), container)


def test_with_a_certificate_the_api_is_on_443_alone(container: Path) -> None:
    (container / "secrets" / "tls_certificate").write_text("a chain")
    made = started(container)
    assert re.findall(r"(?:listen|include) ([^;]+);", made) == ["127.0.0.1:80", f"{container}/etc/tls.conf"]


def with_tls() -> str | None:
    """An nginx that has it."""
    program = os.environ.get(PROGRAM_ENV) or shutil.which("nginx")
    if program is None:
        return None
    told = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr
    return program if "--with-http_ssl_module" in told else None


def test_nginx_reads_it_with_tls(container: Path) -> None:
    program, openssl = with_tls(), shutil.which("openssl")
    if program is None or openssl is None:
        pytest.skip("no nginx with TLS, or no openssl")
    secrets = container / "secrets"
    files = ["-keyout", str(secrets / "tls_key"), "-out", str(secrets / "tls_certificate")]
    what = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=llm.example.com",
    ]
    subprocess.run([openssl, "req", "-x509", *what, *files], capture_output=True, check=True)
    started(container)
    said = checked(program, container)
    assert "test is successful" in said
    assert "[warn]" not in said.replace('[warn] the "user" directive', "")
