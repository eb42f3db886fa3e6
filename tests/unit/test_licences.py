"""Whatever is shipped with llmgw or installed for it may be used as Apache-2.0 software may."""

import json
import re
import subprocess
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

import pytest

from tests.support.processes import ROOT

PERMISSIVE = {
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "PSF-2.0",
    "Unicode-3.0",
    "Zlib",
}
EXCEPTIONS = {"certifi": "MPL-2.0"}
"""certifi: Mozilla's list of root certificates, used as it is."""
OLD_NAMES = {"MIT License": "MIT"}


def permits(expression: str) -> bool:
    """True for an SPDX expression that can be met with permissive licences alone; `/` is Cargo's old OR."""
    tokens = re.findall(r"[()]|[^()\s/]+(?: WITH \S+)?|/", OLD_NAMES.get(expression, expression))
    words = {"(": "(", ")": ")", "AND": " and ", "OR": " or ", "/": " or "}
    terms = [words.get(token, str(token in PERMISSIVE)) for token in tokens]
    return bool(eval("".join(terms)))  # noqa: S307 - nothing but True, False, and, or, parentheses


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("MIT License", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("Apache-2.0 / MIT", True),
        ("MIT/Apache-2.0", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", True),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", True),
        ("(MIT OR Apache-2.0) AND GPL-3.0-only", False),
    ],
)
def test_expressions(expression: str, *, expected: bool) -> None:
    assert permits(expression) is expected


def output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_crates() -> None:
    """Those of this platform, which the build has fetched already."""
    host = re.search(r"^host: (.+)$", output("rustc", "-vV"), re.MULTILINE)
    assert host
    options = ("--format-version", "1", "--locked", "--offline", "--filter-platform", host[1])
    crates = [
        crate for crate in json.loads(output("cargo", "metadata", *options))["packages"] if crate["source"]
    ]
    assert crates
    refused = {crate["name"]: crate["license"] for crate in crates if not permits(crate["license"] or "none")}
    assert refused == {}


def licence(package: PackageMetadata) -> str:
    """The licence expression, or what older packages say instead."""
    stated = [package[field] for field in ("License-Expression", "License") if field in package]
    return stated[0] if stated else "none"


def test_python_packages() -> None:
    """Those of requirements.lock. One that is meant for another platform is not here to be asked."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = re.findall(r"^([A-Za-z0-9_.-]+)==\S+( ;)?", lock, re.MULTILINE)
    assert locked
    refused = {}
    for name, marker in locked:
        try:
            found = licence(metadata(name))
        except PackageNotFoundError:
            assert marker, f"{name} is not installed"
            continue
        if EXCEPTIONS.get(name) != found and not permits(found):
            refused[name] = found
    assert refused == {}
