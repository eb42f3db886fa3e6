"""Nothing of a cluster stays when its test is killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import guard
from tests.support.processes import wait_until

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_works_in_the_folder_ends_with_the_test(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    (ours / "deep").mkdir(parents=True)
    theirs.mkdir()
    watch = subprocess.Popen([sys.executable, guard.__file__, str(ours)], stdin=subprocess.PIPE)
    inside = subprocess.Popen(_SLEEP, cwd=ours / "deep")
    named = subprocess.Popen([*_SLEEP, f"{ours}/llmgw.toml"], cwd=theirs)
    other = subprocess.Popen(_SLEEP, cwd=theirs)
    try:
        wait_until(
            lambda: set(guard.processes_of(ours)) == {inside.pid, named.pid}, "both are known", timeout_s=20
        )
        assert watch.stdin is not None
        watch.stdin.close()
        assert (inside.wait(20), named.wait(20), watch.wait(20)) == (-9, -9, 0)
        assert other.poll() is None
    finally:
        for each in (watch, inside, named, other):
            each.kill()
            each.wait()
