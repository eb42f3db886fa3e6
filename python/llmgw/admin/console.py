"""The console: a page for people on top of the admin API, served at `/console/` wherever that API is.

Its files are the same for everybody and hold no data, so they need no key. All that the page shows comes from
the admin API, with the key that its user enters. Only names that were there at the start are served: a path
is looked up in a table and never reaches the file system.
"""

import gzip
import hashlib
import re
from pathlib import Path
from typing import Final, NamedTuple

from llmgw.asgi.responder import Responder
from llmgw.asgi.types import Headers, Scope
from llmgw.errors import ApiError

ROOT: Final = "/console"
STATIC: Final = Path(__file__).parent / "static"
"""Where `make console` puts the page; part of every wheel."""
INDEX: Final = "index.html"
_POLICY: Final = (
    b"default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none';"
    b" frame-ancestors 'none'; object-src 'none'"
)
SECURITY: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
"""On every file: nothing comes from another host, and no other page frames this one."""
_ASSETS: Final = "assets/"
"""Their names change with their content, so browsers may keep them for good."""
_PAGE: Final = re.compile(r"(?!assets(?:/|$))[a-z-]+(?:/(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\x7f]+)*/?")
"""What follows `ROOT/` in the address of one of the console's pages. The id of a model may have dots."""
_TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".md": b"text/plain; charset=utf-8",
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
    ".woff2": b"font/woff2",
}
_ALLOW: Final = (b"allow", b"GET, HEAD")
_ACCEPTED: Final = re.compile(rb"\s*(gzip|x-gzip|\*)\s*(?:;\s*q\s*=\s*([0-9.]{1,5})\s*)?")
"""An entry of `accept-encoding` that is about gzip. RFC 9110, section 12.5.3."""


class _File:
    """One file, as few times in memory as possible."""

    def __init__(self, name: str, content: bytes, *, is_packed: bool) -> None:
        """`is_packed`: `content` is the file in gzip."""
        self._packed = content if is_packed else None
        self._plain = None if is_packed else content
        kept = b"public, max-age=31536000, immutable" if name.startswith(_ASSETS) else b"no-cache"
        self.etag = b'W/"%s"' % hashlib.sha256(content).hexdigest()[:32].encode("ascii")
        """Weak, because it is the same for both encodings."""
        self.caching: Headers = [(b"cache-control", kept), (b"etag", self.etag)]
        if is_packed:
            self.caching.append((b"vary", b"accept-encoding"))
        self.media_type = _TYPES.get(Path(name).suffix, b"application/octet-stream")

    @property
    def packed(self) -> bytes | None:
        """In gzip; None if that is no smaller."""
        return self._packed

    @property
    def plain(self) -> bytes:
        """As it is. Nearly all clients take gzip, so a packed file is unpacked when one first does not."""
        if self._plain is None:
            self._plain = gzip.decompress(self._packed or b"")
        return self._plain


class _Wish(NamedTuple):
    """What a request's headers want of a file."""

    packed: bool
    """True: gzip is accepted."""
    known: bytes
    """The values of `if-none-match`."""


class Console:
    """The files of the console, in memory."""

    def __init__(self, folder: Path | None = None) -> None:
        """Reads them all, half a megabyte. A folder that is not there is a checkout without a build."""
        folder = STATIC if folder is None else folder
        self._files: dict[str, _File] = {}
        for path in sorted(folder.rglob("*")):
            packed = path.with_name(f"{path.name}.gz")
            if path.suffix != ".gz" and path.is_file():
                name = path.relative_to(folder).as_posix()
                is_packed = packed.is_file()
                content = (packed if is_packed else path).read_bytes()
                self._files[name] = _File(name, content, is_packed=is_packed)

    async def serve(self, scope: Scope, responder: Responder) -> None:
        """Answer a request for `ROOT` or a path below it. Raises ApiError."""
        if scope["method"] not in {"GET", "HEAD"}:
            message = f"This path takes GET or HEAD, not {scope['method'][:16]}."
            raise ApiError("method_not_allowed", message, headers=[_ALLOW])
        if INDEX not in self._files:
            raise ApiError("not_found", "The console of this gateway is not built. Run: make console")
        path: str = scope["path"]
        if path == ROOT:
            query: bytes = scope["query_string"]
            location = ROOT.encode("ascii") + b"/" + (b"?" + query if query else b"")
            await responder.whole(308, [(b"location", location), *SECURITY], b"")
            return
        file = self._find(path.removeprefix(ROOT)[1:])
        wish = _wish(scope)
        if _matches(wish.known, file.etag):
            await responder.unchanged([*file.caching, *SECURITY])
            return
        headers = [(b"content-type", file.media_type), *file.caching, *SECURITY]
        if wish.packed and file.packed is not None:
            await responder.whole(200, [*headers, (b"content-encoding", b"gzip")], file.packed)
        else:
            await responder.whole(200, headers, file.plain)

    def _find(self, name: str) -> _File:
        """The page reads the rest of its address itself. Raises ApiError: `not_found`."""
        file = self._files.get(name or INDEX)
        if file is None and _PAGE.fullmatch(name):
            file = self._files[INDEX]
        if file is None:
            raise no_such_path()
        return file


def is_built() -> bool:
    """True if the package has the console's files."""
    return (STATIC / INDEX).is_file()


def is_for_console(path: str) -> bool:
    """True for `ROOT` and all below it, whether or not there is a console."""
    return path.startswith(ROOT) and path[len(ROOT) : len(ROOT) + 1] in {"", "/"}


def no_such_path() -> ApiError:
    """What everybody gets below `ROOT` where nothing is, with a key or without."""
    return ApiError("not_found", "There is no such path.")


def _wish(scope: Scope) -> _Wish:
    accepted: list[bytes] = []
    known: list[bytes] = []
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accepted.append(value)
        elif name == b"if-none-match":
            known.append(value)
    return _Wish(_accepts_gzip(b",".join(accepted).lower()), b",".join(known))


def _accepts_gzip(accepted: bytes) -> bool:
    weights: dict[bytes, bool] = {}
    for entry in accepted.split(b","):
        found = _ACCEPTED.fullmatch(entry)
        if found is not None:
            name = b"gzip" if found[1] == b"x-gzip" else found[1]
            weights[name] = found[2] is None or found[2].strip(b"0.") != b""
    return weights.get(b"gzip", weights.get(b"*", False))


def _matches(known: bytes, etag: bytes) -> bool:
    """RFC 9110, section 13.1.2, with its weak comparison."""
    tags = [tag.strip().removeprefix(b"W/") for tag in known.split(b",")]
    return b"*" in tags or etag.removeprefix(b"W/") in tags
