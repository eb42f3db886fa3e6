"""What a browser lets a page see: the CORS rules of https://fetch.spec.whatwg.org, without a browser.

Section 4.8, CORS-preflight fetch; 4.9, CORS check; 2.2.6, the filtered response. Credentials are omitted: the
key is in a header that the page sets itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

SAFE_METHODS = {"GET", "HEAD", "POST"}
SAFE_REQUEST_HEADERS = {"accept", "accept-language", "content-language"}
SAFE_CONTENT_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
SAFE_RESPONSE_HEADERS = {
    "cache-control", "content-language", "content-length", "content-type", "expires", "last-modified",
    "pragma",
}  # fmt: skip


class BlockedError(Exception):
    """The page sees a network error, and no more."""


@dataclass(frozen=True)
class Seen:
    """What the page's script may look at."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Page:
    """A page of an origin."""

    origin: str
    client: httpx.Client

    def fetch(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Seen:
        """`fetch(path, {method, headers, body})`. Raises BlockedError."""
        given = {name.lower(): value for name, value in (headers or {}).items()}
        unsafe = sorted(name for name, value in given.items() if not _is_safe(name, value))
        if unsafe or method not in SAFE_METHODS:
            self._preflight(path, method, unsafe)
        sent = {**given, "origin": self.origin}
        answer = self.client.request(method, path, headers=sent, content=content)
        self._check(answer)
        exposed = _names(answer, "access-control-expose-headers")
        readable = SAFE_RESPONSE_HEADERS | (set(answer.headers) if "*" in exposed else exposed)
        seen = {name: value for name, value in answer.headers.items() if name in readable}
        return Seen(answer.status_code, seen, answer.content)

    def _preflight(self, path: str, method: str, unsafe: list[str]) -> None:
        headers = {"origin": self.origin, "access-control-request-method": method, "accept": "*/*"}
        if unsafe:
            headers["access-control-request-headers"] = ",".join(unsafe)
        answer = self.client.options(path, headers=headers)
        self._check(answer)
        if not answer.is_success:
            raise BlockedError(f"the preflight got {answer.status_code}")
        methods = {name.upper() for name in _names(answer, "access-control-allow-methods")}
        if method not in methods | SAFE_METHODS and "*" not in methods:
            raise BlockedError(f"{method} is not allowed")
        names = _names(answer, "access-control-allow-headers")
        for name in unsafe:
            if name not in names and ("*" not in names or name == "authorization"):
                raise BlockedError(f"the header {name} is not allowed")

    def _check(self, answer: httpx.Response) -> None:
        allowed = answer.headers.get_list("access-control-allow-origin")
        if allowed not in ([self.origin], ["*"]):
            raise BlockedError(f"allowed is {allowed}")


def _is_safe(name: str, value: str) -> bool:
    if name == "content-type":
        return value.split(";", maxsplit=1)[0].strip().lower() in SAFE_CONTENT_TYPES
    return name in SAFE_REQUEST_HEADERS


def _names(answer: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in answer.headers.get(header, "").split(",")} - {""}
