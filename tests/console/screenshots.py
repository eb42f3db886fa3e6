"""Pictures of the console over `llmgw demo`: `python -m tests.console.screenshots`.

Writes the two of the README. `--all FOLDER` writes each page instead, at three widths, in both themes and
languages, for people to look at.
"""

import argparse
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlencode

import httpx
from playwright.sync_api import Page, expect

from tests.console.browser import chromium
from tests.console.support import LANGUAGES, PAGES, THEMES, WIDTHS, Console, set_width
from tests.support.processes import ROOT, Process, free_port, wait_until

IMAGES: Final = ROOT / "docs" / "images"
MAX_BYTES: Final = 300_000
"""Of one picture in the repository."""
KINDS: Final = ("admin key", "key")
"""As the demo's welcome calls them."""
MODELS: Final = {"model": "qwen3.6-plus", "model2": "deepseek-v4-pro"}
QUESTION: Final = "Why is the sky blue, and the evening sky red?"
ANSWER_TIMEOUT_MS: Final = 30_000.0
BEATS: Final = 25
"""Looks at the gateway, each two seconds after the other."""
BEATS_S: Final = 180.0
READY_TIMEOUT_S: Final = 30.0
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_CHUNK: Final = struct.Struct(">I4s")


class Demo(NamedTuple):
    """Where it runs, and its keys."""

    url: str
    key: str
    """The admin's."""
    model_key: str


@contextmanager
def demo() -> Iterator[Demo]:
    """`llmgw demo --traffic` on a free port, for the length of a block. RuntimeError if it does not start."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    with tempfile.TemporaryDirectory() as folder:
        process = Process("llmgw", "demo", "--traffic", "--port", str(port), folder=Path(folder))
        try:
            process.wait_ready(f"{url}/readyz")
            wait_until(lambda: "Ctrl-C" in process.output, "the welcome", timeout_s=READY_TIMEOUT_S)
            keys = {kind: re.search(rf"^ *{kind} +(sk-\S+)$", process.output, re.MULTILINE) for kind in KINDS}
            found = [match[1] for match in keys.values() if match is not None]
            if len(found) != len(KINDS):
                raise RuntimeError(f"the demo says no keys:\n{process.output}")
            yield Demo(url, *found)
        finally:
            process.stop()


def repack(picture: bytes) -> bytes:
    """The same PNG, packed as small as zlib can; what is no pixel goes."""
    at, kept, pixels = len(_SIGNATURE), [], b""
    while at < len(picture):
        length, kind = _CHUNK.unpack_from(picture, at)
        data = picture[at + _CHUNK.size : at + _CHUNK.size + length]
        if kind == b"IDAT":
            pixels += data
        elif kind[0:1].isupper():
            kept.append((kind, data))
        at += _CHUNK.size + length + 4
    packed = zlib.compress(zlib.decompress(pixels), 9)
    chunks = [*kept[:-1], (b"IDAT", packed), kept[-1]]
    return _SIGNATURE + b"".join(
        _CHUNK.pack(len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def save(page: Page, file: Path, *, whole: bool = False) -> None:
    """A picture of what is in sight, or of the whole page."""
    picture = repack(page.screenshot(full_page=whole, animations="disabled", caret="hide"))
    file.write_bytes(picture)
    print(f"{file} ({len(picture) // 1000} kB)", flush=True)


def readme(console: Console, site: Demo) -> None:
    """Its two pictures. RuntimeError if one is too large."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    overview = console("?range=week")
    playground = console(f"playground?{urlencode(MODELS)}", theme="dark", model_key=site.model_key)
    playground.get_by_label("Message", exact=True).fill(QUESTION)
    playground.get_by_role("button", name="Send", exact=True).click()
    for model in MODELS.values():
        answer = playground.get_by_role("article", name=f"Answer of {model}", exact=True)
        answer.get_by_text("Finish", exact=True).wait_for(timeout=ANSWER_TIMEOUT_MS)
        expect(answer.get_by_text("…", exact=True)).to_have_count(0)  # the cost, which the ledger tells
        answer.get_by_role("button", name="Reasoning").click()
    console.settle()
    save(playground, IMAGES / "console-playground.png")
    # Opened first, taken last: by then there is something of the last minutes.
    beats = overview.locator(".now polyline")
    wait_until(
        lambda: len(str(beats.get_attribute("points")).split()) > BEATS, "its beats", timeout_s=BEATS_S
    )
    console.settle()
    save(overview, IMAGES / "console-overview.png")
    large = [file.name for file in IMAGES.glob("console-*.png") if file.stat().st_size > MAX_BYTES]
    if large:
        raise RuntimeError(f"over {MAX_BYTES:,} bytes: {', '.join(large)}")


def everything(console: Console, site: Demo, folder: Path) -> None:
    """Each page in each way."""
    folder.mkdir(parents=True, exist_ok=True)
    answer = httpx.get(
        f"{site.url}/admin/v1/requests?limit=1",
        headers={"authorization": f"Bearer {site.key}"},
        trust_env=False,
    )
    [latest] = answer.raise_for_status().json()["data"]
    details = ("keys/1", "projects/2", "models/qwen3.6-plus", f"requests/{latest['request_id']}")
    visits = [(path, site.key) for path in (*PAGES, *details)] + [("", ""), ("", site.model_key)]
    for path, key in visits:
        who = {"": "sign-in", site.model_key: "mine"}.get(key, "overview")
        name = re.sub("/req_.*", "/one", path).replace("/", "-") or who
        for language in LANGUAGES:
            page = console(path, key=key, language=language, theme="system", model_key=site.model_key)
            page.get_by_role("heading", level=1).wait_for()
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)
                for width in WIDTHS:
                    set_width(page, width)
                    console.settle()
                    # What lies over a page lies over what is in sight of it.
                    whole = page.get_by_role("dialog").count() == 0
                    save(page, folder / f"{name}-{width}-{theme}-{language}.png", whole=whole)
            page.context.close()


def main() -> int:
    """Run the demo and look at it; 1 if a page did what none should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="each page, into this folder")
    options = parser.parse_args()
    with (
        demo() as site,
        chromium() as browser,
        tempfile.TemporaryDirectory() as folder,
        Console(browser, site, Path(folder)) as console,
    ):
        if options.all:
            everything(console, site, options.all)
        else:
            readme(console, site)
        faults = console.faults()
    print("".join(f"{fault}\n" for fault in faults), end="", file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
