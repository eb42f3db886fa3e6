"""What a worker takes on at once."""

import resource

import pytest

from llmgw.config import ServerConfig
from llmgw.errors import ApiError
from llmgw.limits.admission import Admission
from llmgw.limits.estimates import Need
from llmgw.limits.files import possible_connections, possible_requests
from llmgw.limits.places import Place, Places


def admission(shed: list[str], *, max_requests: int = 2, max_bytes: int = 80) -> Admission:
    return Admission(max_requests=max_requests, max_bytes=max_bytes, on_shed=shed.append)


def test_requests() -> None:
    shed: list[str] = []
    limits = admission(shed)
    with limits.ticket(), limits.ticket():
        with pytest.raises(ApiError) as refused, limits.ticket():
            pass
        assert (refused.value.code, refused.value.status) == ("overloaded", 503)
        assert limits.requests == 2
    assert limits.requests == 0
    with limits.ticket():
        pass
    assert shed == ["requests"]


def test_bytes() -> None:
    shed: list[str] = []
    limits = admission(shed)
    with limits.ticket() as first, limits.ticket() as second:
        first.hold(60)
        second.hold(20)
        with pytest.raises(ApiError, match="as many bytes"):
            second.hold(1)
        assert limits.bytes == 80
    assert limits.bytes == 0
    assert shed == ["bytes"]


def test_the_last_eighth_of_the_bytes_is_for_those_who_hold_little() -> None:
    limits = admission([], max_requests=9)
    with (
        limits.ticket("a", "host") as first,
        limits.ticket("a", "host") as second,
        limits.ticket("b") as other,
    ):
        first.hold(60)
        second.hold(10)
        with pytest.raises(ApiError, match="other keys"):
            second.hold(1)
        other.hold(10)
        assert limits.bytes == 80
    with limits.ticket("a", "host") as first, limits.ticket("b", "host") as second:
        first.hold(60)
        second.hold(10)
        with pytest.raises(ApiError, match="other keys"):
            second.hold(1)  # another key of the same address
    assert limits.bytes == 0


def test_one_body_alone_may_have_all_bytes() -> None:
    limits = admission([])
    with limits.ticket("a") as only:
        for _ in range(80):
            only.hold(1)


def test_bodies_that_do_not_come_leave_half_of_the_places() -> None:
    shed: list[str] = []
    limits = admission(shed, max_requests=4)
    with limits.ticket("a") as first, limits.ticket("a") as second, limits.ticket("a") as third:
        first.arriving()
        second.arriving()
        with pytest.raises(ApiError) as refused:
            third.arriving()
        assert (refused.value.code, refused.value.status) == ("overloaded", 503)
        with limits.ticket("b") as other:
            other.arriving()
        first.arrived()
        third.arriving()
    with limits.ticket("a") as first, limits.ticket("a") as second:
        first.arriving()
        second.arriving()
    assert shed == ["requests"]


def placed(places: Places) -> Place:
    place = places.take(Need(0, 0))
    assert isinstance(place, Place)
    return place


def test_everything_is_given_back_whatever_happens() -> None:
    limits = admission([])
    places = Places(1)

    def fail() -> None:
        with limits.ticket() as ticket:
            ticket.hold(10)
            ticket.occupy(placed(places))
            raise RuntimeError

    for _ in range(3):
        with pytest.raises(RuntimeError):
            fail()
    assert (limits.requests, limits.bytes, places.used) == (0, 0, 0)


def test_a_request_goes_on_elsewhere_and_its_old_place_is_free() -> None:
    limits = admission([])
    few, many = Places(1), Places()
    with limits.ticket() as ticket:
        ticket.occupy(placed(few))
        ticket.vacate()
        ticket.occupy(placed(many))
        assert (few.used, many.used) == (0, 1)
    assert (few.used, many.used) == (0, 0)


def test_those_who_were_turned_away_together_do_not_come_back_together() -> None:
    limits = admission([], max_requests=1)
    waits: set[float | None] = set()
    with limits.ticket():
        for _ in range(6):
            with pytest.raises(ApiError) as refused, limits.ticket():
                pass
            waits.add(refused.value.retry_after_s)
    assert waits == {1, 2, 3}


@pytest.mark.parametrize(
    ("files", "configured", "requests", "connections"),
    [
        (resource.RLIM_INFINITY, 4096, 4096, 65_536),
        (1_000_000, 4096, 4096, 65_536),
        (20_000, 4096, 4096, 20_000 - 64 - 4096),
        (1024, 4096, 320, 640),
        (1024, 10, 10, 950),
        (70, 4096, 2, 4),
        (10, 4096, 1, 2),
    ],
)
def test_file_descriptors_bound_requests_and_connections(
    monkeypatch: pytest.MonkeyPatch, files: int, configured: int, requests: int, connections: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    server = ServerConfig(max_in_flight_requests=configured)
    assert (possible_requests(server), possible_connections(server)) == (requests, connections)
