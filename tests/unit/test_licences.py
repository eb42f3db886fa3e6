"""Whatever is shipped with llmgw or installed for it may be used as Apache-2.0 software may."""

import json
import re
import subprocess
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from typing import Any

import pytest

from tests.support.processes import ROOT

PERMISSIVE = {
    "0BSD",
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
CONSOLE_TOOLS = {
    "argparse": "Python-2.0",
    "axe-core": "MPL-2.0",
    "lightningcss": "MPL-2.0",
}
"""Packages that the console is built or tested with, and that no build contains.

argparse: Python's own licence of old; comes with what makes types of the admin API's document. axe-core:
looks for barriers in the pages, in the tests' browser. lightningcss: makes style sheets smaller.
"""
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


def npm_packages() -> list[tuple[str, dict[str, Any]]]:
    """The console's: name and what package-lock.json says, of every system."""
    lock = json.loads((ROOT / "console" / "package-lock.json").read_text("utf-8"))["packages"]
    return [(path.rpartition("node_modules/")[2], package) for path, package in lock.items() if path]


def tool_of(name: str) -> str:
    """lightningcss-linux-x64-gnu is lightningcss, for one system."""
    return next((tool for tool in CONSOLE_TOOLS if name.startswith(f"{tool}-")), name)


def test_npm_packages() -> None:
    """Those that the page contains without exception; some that it is made with."""
    packages = npm_packages()
    shipped = {name for name, package in packages if not package.get("dev")}
    assert {"preact", "uplot"} <= shipped
    refused = {
        name: package["license"]
        for name, package in packages
        if not permits(package["license"])
        and (name in shipped or CONSOLE_TOOLS.get(tool_of(name)) != package["license"])
    }
    assert refused == {}


def test_the_exceptions_are_still_needed() -> None:
    assert set(CONSOLE_TOOLS) <= {name for name, package in npm_packages() if package.get("dev")}


def test_the_console_carries_the_licences_of_what_it_contains() -> None:
    """One section for each package, and for the tools that leave lines of their own in what they build."""
    text = (ROOT / "python/llmgw/admin/static/licenses.md").read_text("utf-8")
    sections = dict(
        re.findall(r"^## (\S+ \S+ \([^\n]+\))\n\n```text\n(.+?)\n```$", text, re.MULTILINE | re.DOTALL)
    )
    expected = {
        f"{name} {package['version']} ({package['license']})"
        for name, package in npm_packages()
        if not package.get("dev") or name in {"rolldown", "vite"}
    }
    assert set(sections) == expected
    granted = ("Permission is hereby granted, free of charge", "Apache License")
    assert [
        title for title, section in sections.items() if not any(word in section for word in granted)
    ] == []
    assert [title for title, section in sections.items() if "opyright" not in section] == []
