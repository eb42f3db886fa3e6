"""The console's files over real sockets: in the workers, in the admin process, and not at all."""

import gzip
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmgw.admin.console import STATIC, Console
from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.console import FILES, INDEX, PACKED, PROGRAM, SCRIPT, STYLE, console_env, write_console
from tests.support.gateway import TIMEOUT_S, Gateway, config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

SECURITY = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
BY_THE_SERVER = {"server", "date"}
ASSET = "/console/assets/index-Ab1_-x9.js"
UNKNOWN = "/console/assets/index-none.js"
FOREVER = "public, max-age=31536000, immutable"
GZIP = {"accept-encoding": "gzip, deflate, br"}
HTML = "text/html; charset=utf-8"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console of these tests, and beside it a file that is nobody's business."""
    folder = tmp_path_factory.mktemp("console")
    (folder / "secret.txt").write_text("secret", "utf-8")
    write_console(folder / "static")
    return folder / "static"


@pytest.fixture(scope="module", params=["in the workers", "in its own process"])
def admin(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    folder: Path,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
) -> Iterator[Admin]:
    with admin_gateway(
        tmp_path_factory.mktemp("admin"),
        config_text(simulator.url, scripted.base_url),
        own_process=request.param == "in its own process",
        program=PROGRAM,
        env=console_env(folder),
    ) as admin:
        yield admin


@pytest.fixture(scope="module")
def off(
    tmp_path_factory: pytest.TempPathFactory,
    folder: Path,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
) -> Iterator[Gateway]:
    """Without `[admin] enabled`."""
    config = config_text(simulator.url, scripted.base_url)
    with Gateway(tmp_path_factory.mktemp("off"), config, program=PROGRAM, env=console_env(folder)) as gateway:
        yield gateway


def raw(
    url: str, target: str, method: str = "GET", headers: Mapping[str, str] | None = None, host: str = "x"
) -> tuple[int, dict[str, str], bytes]:
    """Ask for a target as it is written here: status, headers and body, byte for byte."""
    address = httpx.URL(url)
    assert address.port is not None
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    received = b""
    with socket.create_connection((address.host, address.port), timeout=TIMEOUT_S) as connection:
        connection.sendall("\r\n".join((*lines, "", "")).encode("latin-1"))
        while piece := connection.recv(65_536):
            received += piece
    head, _, content = received.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in rest)
    assert len(fields) == len(rest), "a header twice"
    assert fields.pop("x-request-id").startswith("req_")
    fields.pop("connection", None)
    return int(first.split()[1]), {k: v for k, v in fields.items() if k not in BY_THE_SERVER}, content


def code_of(content: bytes) -> str:
    error: dict[str, Any] = json.loads(content)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    code: str = error["code"]
    return code


@pytest.mark.parametrize(
    ("target", "content", "media_type", "caching"),
    [
        ("/console/", INDEX, HTML, "no-cache"),
        ("/console/index.html", INDEX, HTML, "no-cache"),
        ("/console/licenses.md", b"# Licences\n", "text/plain; charset=utf-8", "no-cache"),
        ("/console/icon.svg", b"<svg/>", "image/svg+xml", "no-cache"),
        (ASSET, SCRIPT, "text/javascript; charset=utf-8", FOREVER),
        ("/console/assets/index-Cd2.css", STYLE, "text/css; charset=utf-8", FOREVER),
    ],
)
def test_a_file_and_its_headers(
    admin: Admin, target: str, content: bytes, media_type: str, caching: str
) -> None:
    name = target.removeprefix("/console/") or "index.html"
    plain, packed = raw(admin.url, target), raw(admin.url, target, headers=GZIP)
    expected = {"content-type": media_type, "cache-control": caching, "etag": plain[1]["etag"], **SECURITY}
    if name in PACKED:
        expected["vary"] = "accept-encoding"
        assert gzip.decompress(packed[2]) == content
        length = {"content-length": str(len(packed[2])), "content-encoding": "gzip"}
        assert packed[:2] == (200, {**expected, **length})
    else:
        assert packed == plain
    assert plain == (200, {**expected, "content-length": str(len(content))}, content)
    for headers, answer in (({}, plain), (GZIP, packed)):
        assert raw(admin.url, target, "HEAD", headers) == (*answer[:2], b"")


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("br, x-gzip ; q=1", True),
        ("*", True),
        ("identity", False),
        ("", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("gzipped", False),
        ("gzip;q=many", False),
    ],
)
def test_gzip_is_for_those_who_take_it(admin: Admin, accepted: str, is_packed: bool) -> None:  # noqa: FBT001
    _, fields, _ = raw(admin.url, ASSET, headers={"accept-encoding": accepted})
    assert (fields.get("content-encoding") == "gzip") == is_packed


def test_what_is_known_is_not_sent_again(admin: Admin) -> None:
    for target in ("/console/", "/console/keys", ASSET, "/console/licenses.md"):
        _, fields, content = raw(admin.url, target)
        etag = fields["etag"]
        kept = {k: v for k, v in fields.items() if k not in {"content-type", "content-length"}}
        for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
            for method in ("GET", "HEAD"):
                for accepted in ({}, GZIP):
                    headers = {"if-none-match": known, **accepted}
                    assert raw(admin.url, target, method, headers) == (304, kept, b"")
        for unknown in ('"other"', etag.replace('"', ""), "", ","):
            status, _, again = raw(admin.url, target, headers={"if-none-match": unknown})
            assert (status, again) == (200, content)


@pytest.mark.parametrize(
    "target",
    [
        "/console/keys",
        "/console/keys/17",
        "/console/models/qwen3.6-plus",
        "/console/models/vendor/qwen3.6-plus",
        "/console/models/vendor%2Fqwen3.6-plus",
        "/console/models/%E4%B8%AD%20%3F",
        "/console/usage/?by=model&since=1",
        "/console/keys?x=../../secret.txt",
    ],
)
def test_an_address_of_a_page_is_the_page(admin: Admin, target: str) -> None:
    status, fields, content = raw(admin.url, target)
    assert (status, fields["content-type"], fields["cache-control"], content) == (
        200,
        HTML,
        "no-cache",
        INDEX,
    )


@pytest.mark.parametrize("target", ["/console", "/%63onsole"])
def test_the_slash_that_is_missing(admin: Admin, target: str) -> None:
    for method in ("GET", "HEAD"):
        answer = raw(admin.url, target, method)
        assert answer == (308, {"location": "/console/", "content-length": "0", **SECURITY}, b"")


def test_what_follows_the_path_is_kept(admin: Admin) -> None:
    """A page's filters are in its address."""
    assert raw(admin.url, "/console?range=week&a=%0d%0a")[1]["location"] == "/console/?range=week&a=%0d%0a"


@pytest.mark.parametrize("target", ["/%63onsole/%61ssets/index-Cd2.css", "/console%2fassets%2Findex-Cd2.css"])
def test_an_encoded_path_is_the_path(admin: Admin, target: str) -> None:
    assert raw(admin.url, target)[2] == STYLE


@pytest.mark.parametrize(
    "target",
    [
        UNKNOWN,
        "/console/assets",
        "/console/assets/",
        "/console/assets/index-Ab1_-x9.js.gz",
        "/console/assets/../index.html",
        "/console/index.html.gz",
        "/console/index.html/",
        "/console/secret.txt",
        "/console/../secret.txt",
        "/console/..%2fsecret.txt",
        "/console/%2e%2e/secret.txt",
        "/console/%252e%252e/secret.txt",
        "/console/keys/../../secret.txt",
        "/console/keys/..",
        "/console/keys/.",
        "/console/..\\secret.txt",
        "/console/%5c..%5csecret.txt",
        "/console/keys%5c..",
        "/console//etc/passwd",
        "/console///",
        "/console//",
        "/console/%00",
        "/console/keys%00",
        "/console/keys/%0d%0aset-cookie:x=1",
        "/console/keys/%ff%00",
        "/console/.",
        "/console/.git/config",
        "/console/C:/secret.txt",
        "/console/KEYS",
        "/console/wp-login.php",
        "/console/__init__.py",
    ],
)
def test_nothing_else_is_there_not_even_for_an_admin(admin: Admin, target: str) -> None:
    for headers in ({}, admin.headers(), {"authorization": f"Bearer {admin.gateway.key}"}):
        status, _, content = raw(admin.url, target, headers=headers)
        assert (status, code_of(content)) == (404, "not_found"), content
        assert b"secret" not in content


@pytest.mark.parametrize("target", ["//console/", "/consoles", "/CONSOLE/", "/console;x/", "/./console/"])
def test_what_looks_like_it_needs_a_key(admin: Admin, target: str) -> None:
    status, _, content = raw(admin.url, target)
    assert (status, code_of(content)) == (401, "missing_api_key")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"])
def test_files_are_only_read(admin: Admin, method: str) -> None:
    for target in ("/console", "/console/", ASSET, UNKNOWN):
        status, fields, content = raw(admin.url, target, method)
        assert (status, fields["allow"], code_of(content)) == (405, "GET, HEAD", "method_not_allowed")


def test_a_key_changes_nothing_about_files(admin: Admin) -> None:
    for key in (admin.key, admin.gateway.key, "sk-gtw-unknown"):
        assert raw(admin.url, "/console/", headers=admin.headers(key))[2] == INDEX


def test_other_paths_need_their_key_as_before(admin: Admin) -> None:
    for target in ("/admin/v1/models", "/v1/models", "/v1/usage/me"):
        status, _, content = raw(admin.url, target)
        assert (status, code_of(content)) == (401, "missing_api_key")


def test_requests_on_one_connection(admin: Admin) -> None:
    for _ in range(3):
        etag = admin.client.get("/console/").headers["etag"]
        assert admin.client.get("/console/", headers={"if-none-match": etag}).status_code == 304
        assert admin.client.head(ASSET).headers["content-encoding"] == "gzip"
        assert admin.client.get(ASSET).content == SCRIPT


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8000", 200), ("[::1]:8000", 200), ("llm.example.com", 200), ("", 400), ("a b", 400)],
)
def test_any_name_of_the_machine_will_do(admin: Admin, host: str, status: int) -> None:
    for target in ("/console/", ASSET):
        assert raw(admin.url, target, host=host)[0] == status


NOTHING = ["/console", "/console/", "/console/keys", "/console/index.html", ASSET, UNKNOWN, "/console/../x"]


@pytest.mark.parametrize("target", NOTHING)
def test_without_the_admin_api_none_of_it_is_served(off: Gateway, target: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        for headers in ({}, off.headers(), {"authorization": "Bearer sk-gtw-unknown"}):
            status, fields, content = raw(off.url, target, method, headers)
            assert (status, code_of(content)) == (404, "not_found")
            assert set(fields) == {"content-type", "content-length", "x-should-retry"}
            assert json.loads(content)["error"]["message"] == "There is no such path."


def test_with_a_port_of_its_own_the_gateways_port_has_no_console(admin: Admin) -> None:
    if admin.url == admin.gateway.url:
        pytest.skip("the workers serve it")
    for target in NOTHING:
        status, _, content = raw(admin.gateway.url, target)
        assert (status, code_of(content)) == (404, "not_found")


def printed(gateway: Gateway) -> str:
    """What it printed once it answered."""
    process = gateway.process
    wait_until(lambda: f"listening on {gateway.url}\n" in process.output, "its address", timeout_s=SOON_S)
    return process.output


def test_serve_prints_where_the_console_is_and_how_to_sign_in(admin: Admin) -> None:
    config = admin.gateway.config
    assert f"\nconsole at {admin.url}/console/\nno admin key yet: " in printed(admin.gateway)
    command = f"llmgw keys create --admin --name me --config {config}\n"
    assert command in printed(admin.gateway)


def test_without_the_admin_api_serve_prints_nothing_of_it(off: Gateway) -> None:
    assert "console" not in printed(off)
    assert "admin" not in printed(off)


def test_without_a_build_it_says_what_to_do(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    config = config_text(simulator.url, scripted.base_url)
    env = console_env(tmp_path / "missing")
    with admin_gateway(tmp_path, config, own_process=False, program=PROGRAM, env=env) as admin:
        for target in ("/console", "/console/", "/console/keys", UNKNOWN):
            status, _, content = raw(admin.url, target)
            assert (status, code_of(content)) == (404, "not_found")
            assert "make console" in json.loads(content)["error"]["message"]
        assert "no console: run make console\n" in printed(admin.gateway)


def test_each_file_is_in_memory_once(folder: Path) -> None:
    files = Console(folder)._files
    assert set(files) == set(FILES)
    for name, file in files.items():
        assert (file.packed is not None) == (name in PACKED)
        assert (file._plain is None) == (name in PACKED)
        assert file.plain == FILES[name]


@pytest.mark.skipif(not STATIC.is_dir(), reason="the console is not built (make console)")
def test_the_built_console_is_served_as_it_was_built() -> None:
    files = Console()._files
    assert "index.html" in files
    for name, file in files.items():
        assert file.plain == (STATIC / name).read_bytes()
        assert file.media_type != b"application/octet-stream", name
