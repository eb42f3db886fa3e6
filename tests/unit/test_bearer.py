"""Headers → key, or the right refusal."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmgw.access.bearer import api_key, bearer_token, find_key
from llmgw.access.key import Key
from llmgw.access.keyring import KeyRing
from llmgw.access.keys import create_key, revoke_key
from llmgw.asgi.request import Fields, read_fields
from llmgw.errors import ApiError
from llmgw.store import Store, open_store


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    """Of SQLite, in `keys.db`."""
    opened = open_store(f"sqlite:///{tmp_path}/keys.db")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "value", [b"Bearer sk-gtw-x", b"bearer sk-gtw-x", b"BEARER   sk-gtw-x ", b" Bearer sk-gtw-x"]
)
def test_bearer_token(value: bytes) -> None:
    assert bearer_token([value]) == "sk-gtw-x"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([], "missing_api_key"),
        ([b"Bearer"], "missing_api_key"),
        ([b"Bearer  "], "missing_api_key"),
        ([b""], "invalid_api_key"),
        ([b"sk-gtw-x"], "invalid_api_key"),
        ([b"Basic c2s6"], "invalid_api_key"),
        ([b"Bearer sk-gtw-\xc3\xa9"], "invalid_api_key"),
        ([b"Bearer sk-gtw-x", b"Bearer sk-gtw-x"], "invalid_api_key"),
    ],
)
def test_no_bearer_token(values: list[bytes], code: str) -> None:
    with pytest.raises(ApiError) as caught:
        bearer_token(values)
    assert (caught.value.code, caught.value.status) == (code, 401)
    assert "sk-gtw-x" not in caught.value.message


@pytest.mark.parametrize(
    "headers",
    [
        [("api-key", "sk-gtw-x")],
        [("x-api-key", "sk-gtw-x")],
        [("x-api-key", " sk-gtw-x ")],
        [("api-key", "sk-gtw-x"), ("x-api-key", "sk-gtw-x")],
        [("authorization", "Bearer sk-gtw-x"), ("x-api-key", "sk-gtw-x")],
        [("authorization", "Bearer sk-gtw-x"), ("api-key", "")],
        [("authorization", "Bearer"), ("api-key", "sk-gtw-x")],
        [("authorization", "Bearer  "), ("x-api-key", "sk-gtw-x")],
        [("authorization", ""), ("x-api-key", "sk-gtw-x")],
        [("x-api-key", "sk-gtw-x"), ("x-api-key", "sk-gtw-x")],
        # Somebody else's key beside it.
        [("authorization", "Bearer sk-gtw-x"), ("x-api-key", "sk-ant-api03-y")],
        [("authorization", "Bearer sk-gtw-x"), ("x-api-key", "sk-gtw-y")],
        [("authorization", "Bearer sk-gtw-x"), ("x-api-key", "sk-gtw-é")],
        [("authorization", "Bearer sk-ant-oat01-y"), ("x-api-key", "sk-gtw-x")],
        [("authorization", "Basic c2s6"), ("x-api-key", "sk-gtw-x")],
        [("authorization", "sk-gtw-x"), ("api-key", "sk-gtw-x")],
        [("api-key", "azure"), ("x-api-key", "sk-gtw-x")],
    ],
)
def test_a_key_in_any_of_the_headers(headers: list[tuple[str, str]]) -> None:
    assert api_key(fields(*headers)) == "sk-gtw-x"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("x-api-key", "")], "missing_api_key"),
        ([("api-key", " "), ("x-api-key", "")], "missing_api_key"),
        ([("api-key", "sk-gtw-x"), ("x-api-key", "sk-gtw-y")], "invalid_api_key"),
        ([("api-key", "sk-gtw-x"), ("api-key", "sk-gtw-y")], "invalid_api_key"),
        (
            [("authorization", "Bearer sk-a"), ("api-key", "sk-gtw-x"), ("x-api-key", "sk-gtw-y")],
            "invalid_api_key",
        ),
        ([("authorization", "Basic c2s6"), ("x-api-key", "sk-a")], "invalid_api_key"),
        ([("authorization", "sk-gtw-x"), ("api-key", "sk-a")], "invalid_api_key"),
        ([("api-key", "sk-a"), ("x-api-key", "sk-b")], "invalid_api_key"),
        ([("x-api-key", "sk-gtw-é")], "invalid_api_key"),
    ],
)
def test_no_key_or_more_than_one(headers: list[tuple[str, str]], code: str) -> None:
    with pytest.raises(ApiError) as caught:
        api_key(fields(*headers))
    assert (caught.value.code, caught.value.status) == (code, 401)
    assert "sk-gtw-x" not in caught.value.message


def test_different_keys_are_called_that() -> None:
    with pytest.raises(ApiError, match="different API keys"):
        api_key(fields(("x-api-key", "sk-gtw-x"), ("api-key", "sk-gtw-y")))


def test_of_two_foreign_keys_the_bearer_token_is_refused() -> None:
    assert api_key(fields(("authorization", "Bearer sk-a"), ("x-api-key", "sk-b"))) == "sk-a"


def fields(*headers: tuple[str, str]) -> Fields:
    return read_fields({"headers": [(name.encode(), value.encode()) for name, value in headers]})


def header(token: str) -> Fields:
    return fields(("authorization", f"Bearer {token}"))


async def found(token: str, keyring: KeyRing) -> Key:
    """The key, after a second look where the first one misses it."""
    key = find_key(header(token), keyring)
    return key if isinstance(key, Key) else await key


def ask(store: Store, token: str) -> int | str:
    """The key's id, or the code of the refusal."""
    try:
        return asyncio.run(found(token, KeyRing(store))).id
    except ApiError as error:
        return error.code


def test_a_known_key_is_found_without_a_coroutine(store: Store) -> None:
    new = create_key(store, actor="test", name="a")
    assert find_key(header(new.token), KeyRing(store)) == new.key
    expired = create_key(store, actor="test", name="expired", expires_at=datetime.now(UTC))
    with pytest.raises(ApiError) as caught:
        find_key(header(expired.token), KeyRing(store))
    assert caught.value.code == "expired_api_key"


def test_a_key_in_force(store: Store) -> None:
    new = create_key(store, actor="test", name="a", expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert ask(store, new.token) == new.key.id


def test_a_key_made_after_the_gateway_began(store: Store) -> None:
    keyring = KeyRing(store)
    new = create_key(store, actor="test", name="a")
    assert asyncio.run(found(new.token, keyring)) == new.key


def test_refusals(store: Store) -> None:
    revoked = create_key(store, actor="test", name="revoked")
    revoke_key(store, str(revoked.key.id), actor="test")
    expired = create_key(store, actor="test", name="expired", expires_at=datetime.now(UTC))
    both = create_key(store, actor="test", name="both", expires_at=datetime.now(UTC))
    revoke_key(store, str(both.key.id), actor="test")
    assert ask(store, "sk-gtw-unknown") == "invalid_api_key"
    assert ask(store, revoked.token) == "invalid_api_key"
    assert ask(store, expired.token) == "expired_api_key"
    assert ask(store, both.token) == "invalid_api_key"


def test_while_the_keys_can_t_be_checked_nobody_is_admitted(file_store: Store, tmp_path: Path) -> None:
    new = create_key(file_store, actor="test", name="a")
    assert ask(file_store, new.token) == new.key.id
    next(tmp_path.glob("*.db")).rename(tmp_path / "away")
    for token in (new.token, "sk-gtw-unknown"):
        assert ask(file_store, token) == "overloaded"


def test_a_defect_lets_nobody_in(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    new = create_key(store, actor="test", name="a")

    def fail(_ring: KeyRing, _token: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(KeyRing, "lookup", fail)
    with pytest.raises(ZeroDivisionError):
        ask(store, new.token)
