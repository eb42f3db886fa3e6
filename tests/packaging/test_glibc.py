"""Wheels of `make wheel` on Linux run with old versions of glibc; those that lie in dist/ are looked into."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import llmgw._core
from tests.packaging.glibc import needed_versions, newest_glibc
from tests.support.processes import ROOT

OLDEST = (2, 28)
"""Of Debian 10, RHEL 8 and Ubuntu 20.04."""
WHEELS = sorted((ROOT / "dist").glob("*manylinux*.whl"))
NAMED = re.compile(r"manylinux_(\d+)_(\d+)_\w+\.whl$")

linux = pytest.mark.skipif(sys.platform != "linux", reason="glibc is of Linux")


@linux
def test_versions_are_read_as_binutils_reads_them() -> None:
    library = Path(llmgw._core.__file__)
    told = subprocess.run(["objdump", "-T", library], capture_output=True, text=True, check=True).stdout  # noqa: S607
    stated = set(re.findall(r"\(?(GLIBC_[\d.]+)\)?", told))
    read = {
        name for names in needed_versions(library).values() for name in names if name.startswith("GLIBC_")
    }
    assert stated
    assert stated <= read


@linux
def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    with pytest.raises(ValueError, match="ELF64"):
        newest_glibc(tmp_path / "script")


@linux
@pytest.mark.skipif(not WHEELS, reason="`make wheel` was not run")
@pytest.mark.parametrize("wheel", WHEELS, ids=lambda wheel: wheel.name)
def test_a_wheel_needs_no_newer_glibc_than_its_name_says(wheel: Path, tmp_path: Path) -> None:
    named = NAMED.search(wheel.name)
    assert named, "the file name ends with the oldest glibc"
    library = Path(zipfile.ZipFile(wheel).extract("llmgw/_core.abi3.so", tmp_path))
    assert newest_glibc(library) <= (int(named[1]), int(named[2])) <= OLDEST
