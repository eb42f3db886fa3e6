"""Which paths ask for one request, and how many may ask at once."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmgw.access.keys import create_key
from llmgw.admin.relay import is_relayed
from llmgw.asgi.request_id import RequestIds
from llmgw.endpoints import own_request
from llmgw.endpoints.own_request import MAX_LOOK_UPS, OwnRequests, request_id_in
from llmgw.errors import ApiError
from llmgw.store import open_store

ME = "/v1/usage/me"


def test_an_id_of_ours_is_one() -> None:
    request_id = RequestIds().next()
    assert request_id_in(f"{ME}/{request_id}") == request_id
    assert is_relayed({"method": "GET", "path": f"{ME}/{request_id}"})


@pytest.mark.parametrize(
    "rest", ["", "/", "/a/b", "/..", "/a b", "/a?b", "/a\n", "/\0", "/\u0661", "/" + "a" * 65, "x"]
)
def test_what_is_no_id_is_asked_of_nobody(rest: str) -> None:
    assert request_id_in(ME + rest) is None
    assert is_relayed({"method": "GET", "path": ME + rest}) == (rest == "")


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE"])
def test_the_relay_passes_on_only_looks(method: str) -> None:
    assert not is_relayed({"method": method, "path": f"{ME}/req_1"})


def test_more_than_wait_at_once_are_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_request, "WAIT_S", 0.0)
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    key: Any = create_key(store, actor="test").key
    gateway: Any = SimpleNamespace(store=store)

    async def crowd() -> list[object]:
        requests = OwnRequests(gateway, asyncio.Lock())
        looks = (requests.of(key, f"req_{number}") for number in range(MAX_LOOK_UPS + 3))
        found: list[object] = list(await asyncio.gather(*looks, return_exceptions=True))
        with pytest.raises(ApiError) as again:  # there is room anew
            await requests.of(key, "req_last")
        assert again.value.code == "not_found"
        return found

    codes = [each.code for each in asyncio.run(crowd()) if isinstance(each, ApiError)]
    assert codes == ["not_found"] * MAX_LOOK_UPS + ["overloaded"] * 3
