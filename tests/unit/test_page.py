"""Which part of a list a query asks for."""

import pytest

from llmgw.endpoints.page import page_of
from llmgw.errors import ApiError

IDS = ("a", "b/c", "d", "e")


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        (b"", "a b/c d e", False),
        (b"beta=true", "a b/c d e", False),
        (b"limit=2", "a b/c", True),
        (b"limit=4", "a b/c d e", False),
        (b"limit=1000", "a b/c d e", False),
        (b"after_id=a", "b/c d e", False),
        (b"after_id=b%2Fc&limit=1", "d", True),
        (b"limit=2&after_id=b/c", "d e", False),
        (b"after_id=e", "", False),
        (b"before_id=d", "a b/c", False),
        (b"before_id=e&limit=2", "b/c d", True),
        (b"before_id=a", "", False),
    ],
)
def test_a_page(query: bytes, ids: str, has_more: bool) -> None:  # noqa: FBT001
    page = page_of(IDS, query)
    assert (list(page.ids), page.has_more) == (ids.split(), has_more)


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        (b"limit=0", "invalid_type", "limit"),
        (b"limit=1001", "invalid_type", "limit"),
        (b"limit=", "invalid_type", "limit"),
        (b"limit=-1", "invalid_type", "limit"),
        (b"limit=%c2%b2", "invalid_type", "limit"),
        (b"limit=" + b"9" * 10_000, "invalid_type", "limit"),
        (b"after_id=a&before_id=e", "invalid_type", "before_id"),
        (b"after_id=of-tomorrow", "model_not_found", "after_id"),
        (b"before_id=%ff", "model_not_found", "before_id"),
        (b"a&" * 10_000, "invalid_type", None),
    ],
)
def test_no_page(query: bytes, code: str, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        page_of(IDS, query)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_of_nothing() -> None:
    assert page_of((), b"") == ((), False)
