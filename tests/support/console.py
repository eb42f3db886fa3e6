"""`python -m tests.support.console …`: llmgw whose console is the small one of `write_console`.

So tests of how it is served need no build of the real one.
"""

import gzip
import os
import sys
from pathlib import Path
from typing import Final

from llmgw.admin import console
from llmgw.cli.main import main
from tests.support.processes import ROOT

PROGRAM: Final = "tests.support.console"
FOLDER_ENV: Final = "LLMGW_TEST_CONSOLE"
INDEX: Final = b"<!doctype html>\n<title>llmgw</title>\n" + b"<p>The page.</p>\n" * 100
SCRIPT: Final = b"export const words = '\xe4\xb8\xad\xe6\x96\x87';\n" * 20_000
"""More than the server sends in one piece."""
STYLE: Final = b"p{color:red}"
FILES: Final = {
    "index.html": INDEX,
    "licenses.md": b"# Licences\n",
    "icon.svg": b"<svg/>",
    "assets/index-Ab1_-x9.js": SCRIPT,
    "assets/index-Cd2.css": STYLE,
}
PACKED: Final = frozenset({"index.html", "assets/index-Ab1_-x9.js"})
"""Of these there is a smaller copy, as the build makes it."""


def write_console(folder: Path) -> None:
    """Write the files as the build does."""
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if name in PACKED:
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content))


def console_env(folder: Path) -> dict[str, str]:
    """The environment of `PROGRAM`, for the console in this folder."""
    return {FOLDER_ENV: str(folder), "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "python")))}


if __name__ == "__main__":
    console.STATIC = Path(os.environ[FOLDER_ENV])  # type: ignore[misc]
    sys.exit(main())
