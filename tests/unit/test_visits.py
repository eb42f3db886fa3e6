"""Which connections are closed, by what was seen of them."""

from collections.abc import Iterable

import pytest

from llmgw.asgi.client import Address
from llmgw.asgi.connections import Connection
from llmgw.config import ServerConfig
from llmgw.serving.door import MIN_QUIET_S, Visits

ONE: Address = ("192.0.2.1", "1")
PLACES = 100


class Watched:
    """Connections that are looked at once a second; head 5 s, answer 10 s."""

    def __init__(self, *, http2: bool = False) -> None:
        """Has seen nothing yet."""
        server = ServerConfig(head_timeout_s=5.0, client_write_timeout_s=10.0, http2=http2)
        self._visits = Visits(server, places=PLACES)
        self._now_s = 1000.0

    def look(
        self,
        connections: Iterable[Connection],
        *,
        running: Iterable[Address] = (),
        served: Iterable[Address] = (),
    ) -> set[Address]:
        """What is closed now."""
        self._now_s += 1.0
        return self._visits.overstayed(list(connections), self._now_s, running=running, served=served)

    def closed_after(self, *connections: Connection, looks: int = 60) -> int | None:
        """How many looks later these are closed; None: not within `looks`."""
        for number in range(1, looks):
            if self.look(connections):
                return number
        return None


def idle(taken_bytes: int | None = 0, address: Address = ONE) -> Connection:
    return Connection(address, taken_bytes)


@pytest.mark.parametrize("http2", [False, True])
def test_one_that_never_speaks(http2: bool) -> None:  # noqa: FBT001
    assert Watched(http2=http2).closed_after(idle()) == 7


def test_its_acknowledgements_are_no_words() -> None:
    watched = Watched()
    closed = [bool(watched.look([idle(number)])) for number in range(8)]
    assert closed.index(True) == 6


@pytest.mark.parametrize("http2", [False, True])
def test_one_that_takes_nothing_of_its_answer(http2: bool) -> None:  # noqa: FBT001
    watched = Watched(http2=http2)
    watched.look([idle(0)], running=[ONE])
    watched.look([idle(7)], served=[ONE])
    assert watched.closed_after(idle(7)) == 11


def test_one_that_takes_it_slowly() -> None:
    watched = Watched()
    watched.look([idle(0)], served=[ONE])
    assert not any(watched.look([idle(number // 9)]) for number in range(100))


def test_over_http_2_bytes_may_be_answers_to_pings() -> None:
    watched = Watched(http2=True)
    watched.look([idle(0)], served=[ONE])
    closed = [bool(watched.look([idle(number)])) for number in range(20)]
    assert closed.index(True) == 10


def test_where_the_system_tells_no_bytes() -> None:
    watched = Watched()
    watched.look([idle(None)], served=[ONE])
    assert watched.closed_after(idle(None)) == 11


def test_a_request_takes_as_long_as_it_takes() -> None:
    watched = Watched()
    assert not any(watched.look([idle(0)], running=[ONE]) for _ in range(100))


def test_an_address_that_comes_again_is_another_connection() -> None:
    watched = Watched()
    for _ in range(3):
        for _ in range(5):
            assert not watched.look([idle()])
        watched.look([])


def crowd(number: int, host: str) -> list[Connection]:
    return [Connection((host, str(port)), 0) for port in range(number)]


def test_room_is_made_while_places_are_scarce() -> None:
    """Down to half of the places, from the host that has most of the idle ones."""
    watched = Watched()
    visitors = crowd(70, "192.0.2.9") + crowd(10, "192.0.2.8")
    busy: list[Address] = [("192.0.2.9", str(port)) for port in range(20)]
    for _ in range(int(MIN_QUIET_S)):
        assert not watched.look(visitors, running=busy), "each has its time for a first request"
    closed = watched.look(visitors, running=busy)
    assert len(closed) == 80 - PLACES // 2
    assert {host for host, _ in closed} == {"192.0.2.9"}
    assert not closed & set(busy)


def test_no_room_is_made_while_there_is_some() -> None:
    watched = Watched()
    visitors = crowd(75, "192.0.2.9")
    assert not any(watched.look(visitors) for _ in range(4))


def test_requests_are_never_closed_for_room() -> None:
    watched = Watched()
    visitors = crowd(PLACES, "192.0.2.9")
    running = [visitor.address for visitor in visitors]
    assert not any(watched.look(visitors, running=running) for _ in range(4))
