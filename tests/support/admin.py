"""The admin API of a gateway under test, in its workers or in a process of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx

from llmgw.access.key import KeyKind
from llmgw.access.keys import create_key
from tests.support.gateway import TIMEOUT_S, Gateway
from tests.support.processes import free_port, wait_until

ADMIN = "[admin]\nenabled = true\n"
SOON_S = 30.0


class Admin:
    """A client with an admin key."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        """`port`: where the API is."""
        self.gateway = gateway
        self.url = f"http://127.0.0.1:{port}"
        self.key = self.new_key("admin")
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=TIMEOUT_S)
        wait_until(self.answers, "the admin API", timeout_s=SOON_S)

    def answers(self) -> bool:
        """True if it takes the key."""
        try:
            return self.get("/admin/v1/models").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def new_key(self, kind: KeyKind, *, expires_at: datetime | None = None) -> str:
        """A key of this kind."""
        store = self.gateway.store
        return create_key(store, actor="test", name=kind, kind=kind, expires_at=expires_at).token

    def headers(self, key: str | None = None) -> dict[str, str]:
        """Of a request with the first admin key, or with another one."""
        return {"authorization": f"Bearer {self.key if key is None else key}"}

    def get(
        self, path: str, query: Mapping[str, str | int] | None = None, *, key: str | None = None
    ) -> httpx.Response:
        """GET."""
        return self.client.get(path, params=query, headers=self.headers(key))

    def send(self, method: str, path: str, body: object = None, *, key: str | None = None) -> httpx.Response:
        """Another method, with a JSON body."""
        return self.client.request(method, path, json=body, headers=self.headers(key))

    def upstreams(self, workers: int = 1) -> dict[str, Any]:
        """Their page, once so many workers have told theirs: all together have a second for it."""
        pages: list[dict[str, Any]] = []

        def all_told() -> bool:
            pages.append(self.get("/admin/v1/upstreams").json())
            return len(pages[-1]["workers"]) == workers

        wait_until(all_told, "what the workers tell", timeout_s=SOON_S)
        return pages[-1]

    def all_of(self, path: str, query: Mapping[str, str | int] | None = None) -> Iterator[dict[str, Any]]:
        """All entries of a list, page by page."""
        query = dict(query or {})
        while True:
            page = self.get(path, query).json()
            yield from page["data"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def __enter__(self) -> Self:
        """Already there."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.client.close()


@contextmanager
def admin_gateway(
    folder: Path,
    config: str,
    *,
    own_process: bool,
    more: str = "",
    program: str = "llmgw",
    env: Mapping[str, str] | None = None,
) -> Iterator[Admin]:
    """A gateway with its admin API on. `more`: further lines of `[admin]`; `program`, `env`: see Gateway."""
    port = free_port()
    table = ADMIN + (f"port = {port}\n" if own_process else "") + more
    with (
        Gateway(folder, f"{config}\n{table}", program=program, env=env) as gateway,
        Admin(gateway, port if own_process else gateway.port) as admin,
    ):
        yield admin
