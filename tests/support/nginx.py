"""`python -m tests.support.nginx`: builds the nginx of the tests, out of the source in a locked crate.

It takes cargo, make and a C compiler, and half a minute, once. It has neither TLS nor regular expressions,
which would take libraries; `PROGRAM_ENV` names another nginx, such as the system's.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
MANIFEST: Final = _ROOT / "tests" / "cluster" / "nginx" / "Cargo.toml"
_FOLDER: Final = _ROOT / "target" / "nginx"
PROGRAM: Final = _FOLDER / "nginx"
"""The Makefile has the same path."""
PROGRAM_ENV: Final = "LLMGW_TEST_NGINX"
"""Names another program, such as `/usr/sbin/nginx`."""
_CRATE: Final = "nginx-src"
_LEFT_OUT: Final = (
    "auth_basic", "autoindex", "browser", "charset", "empty_gif", "fastcgi", "geo", "grpc", "gzip",
    "limit_conn", "limit_req", "memcached", "mirror", "referer", "rewrite", "scgi", "split_clients", "ssi",
    "upstream_hash", "upstream_ip_hash", "upstream_random", "upstream_sticky", "userid", "uwsgi",
)  # fmt: skip
"""Modules that deploy/nginx/llmgw.conf does not use. `rewrite` would need PCRE."""


class BuildError(Exception):
    """nginx could not be built; quotes the tool that failed."""


def nginx_program() -> Path:
    """The nginx to test with; built first if that is not done yet. Raises BuildError."""
    if other := os.environ.get(PROGRAM_ENV):
        return Path(other)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of several processes may ask at once
        stamp, wanted = _FOLDER / ".built-from", _inputs()
        if not (PROGRAM.is_file() and stamp.is_file() and stamp.read_bytes() == wanted):
            PROGRAM.unlink(missing_ok=True)
            _build()
            stamp.write_bytes(wanted)
    return PROGRAM


def _inputs() -> bytes:
    return MANIFEST.with_name("Cargo.lock").read_bytes() + Path(__file__).read_bytes()


def _build() -> None:
    work = _FOLDER / "source"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(_fetch(), work)
    options = [f"--without-http_{module}_module" for module in _LEFT_OUT if _has(work, module)]
    options += ["--builddir=objs", "--prefix=.", "--without-pcre", "--with-cc-opt=-O1 -w"]
    _run("sh", "auto/configure", *options, folder=work)
    _run("make", "-s", f"-j{os.cpu_count() or 1}", "-f", "objs/Makefile", "binary", folder=work)
    shutil.copy(work / "objs" / "nginx", PROGRAM)
    shutil.rmtree(work)


def _has(work: Path, module: str) -> bool:
    """Versions of nginx differ in what can be left out."""
    return f"--without-http_{module}_module)" in (work / "auto" / "options").read_text("utf-8")


def _fetch() -> Path:
    """The folder with nginx's source, in cargo's own cache."""
    host = next(
        line.removeprefix("host: ") for line in _run("rustc", "-vV").splitlines() if line.startswith("host: ")
    )
    manifest = ("--locked", "--manifest-path", str(MANIFEST))
    _run("cargo", "fetch", "--quiet", *manifest, "--target", host)
    metadata = json.loads(
        _run("cargo", "metadata", "--offline", "--format-version", "1", *manifest, "--filter-platform", host)
    )
    [crate] = [package for package in metadata["packages"] if package["name"] == _CRATE]
    return Path(crate["manifest_path"]).with_name("nginx")


def _run(*command: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"no nginx for the tests: {command[0]}: {error.strerror}") from None
    if done.returncode:
        told = (done.stderr or done.stdout)[-2000:]
        raise BuildError(f"no nginx for the tests: {command[0]} ended with {done.returncode}:\n{told}")
    return done.stdout


if __name__ == "__main__":
    try:
        nginx_program()
    except BuildError as error:
        sys.exit(str(error))
