"""Keys: how they are made and kept, and how soon a running gateway knows of a change."""

import asyncio
import hashlib
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from llmgw.access import snapshot
from llmgw.access.keyring import MISS_INTERVAL_S, KeyRing
from llmgw.access.keys import create_key, list_keys, revoke_key
from llmgw.access.refusals import AmbiguousError, NotFoundError
from llmgw.store import Store, open_store, store_at
from tests.support.processes import NOISE, wait_until

HOUR = timedelta(hours=1)


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    """Of SQLite, in `keys.db`."""
    opened = open_store(f"sqlite:///{tmp_path}/keys.db")
    yield opened
    opened.close()


@pytest.fixture
def keyring(store: Store) -> Iterator[KeyRing]:
    ring = KeyRing(store)
    yield ring
    ring.close()


def test_a_key_has_at_least_128_random_bits(store: Store) -> None:
    tokens = {create_key(store, actor="test", name="").token for _ in range(20)}
    assert len(tokens) == 20
    for token in tokens:
        # 6 bits a character.
        assert re.fullmatch(r"sk-gtw-[A-Za-z0-9_-]{22,}", token)


def test_only_its_digest_is_stored(file_store: Store, tmp_path: Path) -> None:
    new = create_key(file_store, actor="test", name="ci")
    with closing(sqlite3.connect(tmp_path / "keys.db")) as connection:
        dump = "\n".join(connection.iterdump())
    assert new.token[len(new.key.prefix) :] not in dump
    assert hashlib.sha256(new.token.encode()).hexdigest().upper() in dump
    assert new.token.startswith(new.key.prefix)
    assert len(new.key.prefix) == len("sk-gtw-") + 4
    assert new.token not in repr(new.key)


def test_list_shows_what_was_made(store: Store) -> None:
    expires_at = datetime.now(UTC) + HOUR
    made = create_key(store, actor="test", name="a", models=["m2", "m1", "m1"], expires_at=expires_at).key
    create_key(store, actor="test", name="b")
    first, second = list_keys(store)
    assert first == made
    assert (first.name, first.models, first.expires_at) == ("a", frozenset({"m1", "m2"}), expires_at)
    assert (second.name, second.models, second.expires_at, second.revoked_at) == ("b", None, None, None)


@pytest.mark.parametrize(
    ("models", "model", "expected"),
    [(None, "m", True), (["m"], "m", True), (["m"], "n", False), ([], "m", False)],
)
def test_may_use(store: Store, models: list[str] | None, model: str, *, expected: bool) -> None:
    assert create_key(store, actor="test", name="", models=models).key.may_use(model) is expected


@pytest.mark.parametrize(
    ("expires_in", "expected"), [(None, False), (HOUR, False), (-HOUR, True), (timedelta(0), True)]
)
def test_expired(store: Store, expires_in: timedelta | None, *, expected: bool) -> None:
    now = datetime.now(UTC)
    key = create_key(
        store, actor="test", name="", expires_at=None if expires_in is None else now + expires_in
    ).key
    assert key.expired(now) is expected


@pytest.mark.parametrize("reference", ["{id}", "{prefix}", "{prefix}…", "{token}"])
def test_revoke_by(store: Store, reference: str) -> None:
    other, new = create_key(store, actor="test", name="other"), create_key(store, actor="test", name="it")
    named = reference.format(id=new.key.id, prefix=new.key.prefix, token=new.token)
    revoked = revoke_key(store, named, actor="test")
    assert revoked.id == new.key.id
    assert revoked.revoked_at is not None
    assert [key.revoked_at for key in list_keys(store)] == [None, revoked.revoked_at]
    # Again: it keeps the time of the first.
    assert revoke_key(store, named, actor="test") == revoked
    assert other.key.revoked_at is None


@pytest.mark.parametrize("reference", ["", "99", "-1", "sk-gtw-", "sk-gtw-none", "²", "i", "\udc80"])
def test_revoke_nothing(store: Store, reference: str) -> None:
    create_key(store, actor="test", name="it")
    with pytest.raises(NotFoundError):
        revoke_key(store, reference, actor="test")
    assert list_keys(store)[0].revoked_at is None


def test_an_ambiguous_prefix_revokes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.access.keys._SHOWN_LENGTH", 0)
    create_key(store, actor="test", name="a")
    create_key(store, actor="test", name="b")
    with pytest.raises(AmbiguousError) as caught:
        revoke_key(store, "sk-gtw-", actor="test")
    assert caught.value.ids == (1, 2)
    assert [key.revoked_at for key in list_keys(store)] == [None, None]


def test_lookup_knows_what_was_there(store: Store) -> None:
    new = create_key(store, actor="test", name="a")
    ring = KeyRing(store)
    assert ring.lookup(new.token) == new.key


def test_lookup_wants_the_whole_key(store: Store) -> None:
    token = create_key(store, actor="test", name="a").token
    ring = KeyRing(store)
    for other in (token[:-1], token + "x", token.upper(), token.removeprefix("sk-gtw-")):
        assert ring.lookup(other) is None


@pytest.mark.parametrize("token", ["", "sk-other-key", "sk-gtw-" + "x" * 10_000, "sk-gtw-\ud800"])
def test_lookup_of_nonsense(keyring: KeyRing, token: str) -> None:
    assert keyring.lookup(token) is None


def test_a_revocation_is_seen_within_a_second(store: Store, keyring: KeyRing) -> None:
    new = create_key(store, actor="test", name="a")
    keyring.refresh()
    keyring.start()
    assert keyring.lookup(new.token) is not None
    revoke_key(store, str(new.key.id), actor="test")
    wait_until(lambda: keyring.lookup(new.token) is None, "revoked", timeout_s=1.0 * NOISE)


def test_a_new_key_works_at_once(store: Store, keyring: KeyRing) -> None:
    new = create_key(store, actor="test", name="a")
    assert keyring.lookup(new.token) is None
    asyncio.run(keyring.refresh_after_miss())
    assert keyring.lookup(new.token) == new.key


class CountingRing(KeyRing):
    """Counts its looks into the database, and can be made to hang in one."""

    looks = -1
    """The one at the start is not counted."""
    hang: threading.Event | None = None
    looking: threading.Event | None = None

    def refresh(self) -> None:
        """Count, hang if told to, and look."""
        self.looks += 1
        if self.looking is not None:
            self.looking.set()
        if self.hang is not None:
            self.hang.wait()
        super().refresh()


def test_misses_share_their_looks(store: Store) -> None:
    ring = CountingRing(store)

    async def attack() -> float:
        begun = time.monotonic()
        for _ in range(5):
            await asyncio.gather(*(ring.refresh_after_miss() for _ in range(200)))
        return time.monotonic() - begun

    elapsed_s = asyncio.run(attack())
    assert 5 <= ring.looks <= 1 + elapsed_s / MISS_INTERVAL_S


def test_a_key_made_during_a_look_is_found_by_the_next(store: Store) -> None:
    ring = CountingRing(store)
    ring.hang = threading.Event()
    looking = ring.looking = threading.Event()

    async def ask() -> None:
        first = asyncio.ensure_future(ring.refresh_after_miss())
        await asyncio.to_thread(looking.wait)
        second = asyncio.ensure_future(ring.refresh_after_miss())
        await asyncio.sleep(0)
        assert ring.hang is not None
        ring.hang.set()
        await asyncio.gather(first, second)

    asyncio.run(ask())
    assert ring.looks == 2


def test_a_hanging_database_does_not_hold_up_a_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.access.keyring.MISS_TIMEOUT_S", 0.05)
    ring = CountingRing(store)
    ring.hang = threading.Event()

    async def ask() -> float:
        begun = time.monotonic()
        await ring.refresh_after_miss()
        elapsed_s = time.monotonic() - begun
        assert ring.hang is not None
        ring.hang.set()
        return elapsed_s

    assert asyncio.run(ask()) < 10.0


def test_a_failing_database_leaves_the_keys_in_force(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    new = create_key(store, actor="test", name="a")
    ring = KeyRing(store)

    def fail() -> None:
        raise OperationalError("SELECT", {}, sqlite3.OperationalError("disk I/O error"))

    with monkeypatch.context() as broken:
        broken.setattr(store, "read", fail)
        ring.refresh()
        ring.refresh()
        assert not ring.healthy
        assert ring.lookup(new.token) is not None
    (record,) = caplog.records  # once, not at every poll
    assert record.getMessage().endswith("stay in force for a time: disk I/O error")
    assert not record.exc_info  # the reason is a line, not a page
    ring.refresh()
    assert ring.healthy


def test_keys_that_were_not_read_for_too_long_are_out_of_force(file_store: Store, tmp_path: Path) -> None:
    new = create_key(file_store, actor="test", name="a")
    seen: list[bool] = []
    ring = KeyRing(file_store, stale_keys_s=2, poll_interval_s=0.02, observe=seen.append)
    (tmp_path / "keys.db").rename(tmp_path / "away.db")
    ring.refresh()
    assert (ring.healthy, ring.stale, ring.lookup(new.token)) == (False, False, new.key)
    ring.start()
    wait_until(lambda: ring.stale, "stale", timeout_s=20)
    ring.close()
    assert ring.lookup(new.token) is None
    (tmp_path / "away.db").rename(tmp_path / "keys.db")
    ring.refresh()
    assert (ring.healthy, ring.stale, ring.lookup(new.token)) == (True, False, new.key)
    assert (seen[0], seen[1], seen[-1]) == (True, False, True)


def test_a_file_in_place_of_the_old_one_is_read(file_store: Store, tmp_path: Path) -> None:
    old = create_key(file_store, actor="test", name="old")
    ring = KeyRing(file_store)
    other = open_store(f"sqlite:///{tmp_path}/other.db")
    new = create_key(other, actor="test", name="new")
    other.close()
    for name in ("keys.db-wal", "keys.db-shm"):
        (tmp_path / name).unlink()
    (tmp_path / "other.db").replace(tmp_path / "keys.db")
    ring.refresh()  # both files are at the same epoch
    assert (ring.lookup(old.token), ring.lookup(new.token)) == (None, new.key)


def test_without_a_database_no_key_is_in_force(tmp_path: Path) -> None:
    ring = KeyRing(store_at(f"sqlite:///{tmp_path}/keys.db"))
    assert (ring.healthy, ring.stale) == (False, True)
    opened = open_store(f"sqlite:///{tmp_path}/keys.db")
    new = create_key(opened, actor="test", name="a")
    ring.refresh()
    assert (ring.healthy, ring.stale, ring.lookup(new.token)) == (True, False, new.key)
    opened.close()


def test_an_unchanged_epoch_costs_no_reload(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    create_key(store, actor="test", name="a")
    ring = KeyRing(store)
    calls: list[object] = []
    monkeypatch.setattr(snapshot, "load", calls.append)
    ring.refresh()
    assert (calls, ring.generation) == ([], 1)
