"""Request bodies in gzip and zstd, on every path that takes a body: Codex sends zstd."""

import gzip
import json
from collections.abc import Callable

import pytest

from llmgw.app import ENDPOINTS
from llmgw.asgi.encoding import MAX_RATIO, RATIO_FREE_BYTES
from llmgw.asgi.request import Fields
from llmgw.endpoints.shapes import error_shape
from llmgw.errors import ApiError
from tests.conftest import MAX_BODY_BYTES
from tests.support.chat import for_any_api
from tests.support.gateway import CHAT_COMPLETIONS, Gateway
from tests.support.zstd import zstd

Pack = Callable[[bytes], bytes]
CODINGS = [("gzip", gzip.compress), ("zstd", zstd.compress)]
NO_FIELDS: Fields = {}


def ask(path: str, filler: str = "") -> bytes:
    """A request for a model that is not there, of any size."""
    return json.dumps(for_any_api(path, "glm-6") | {"user": filler}).encode()


def post(gateway: Gateway, path: str, content: bytes, encoding: str) -> tuple[int, str]:
    """Status and message of an error, in the path's own shape."""
    headers = {**gateway.headers(), "content-encoding": encoding}
    answer = gateway.client.post(path, headers=headers, content=content)
    return answer.status_code, answer.json()["error"]["message"]


def status_of(code: str, path: str) -> int:
    return error_shape(path, NO_FIELDS).status(ApiError(code, ""))


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(("encoding", "pack"), CODINGS)
def test_a_packed_body_is_read(gateway: Gateway, path: str, encoding: str, pack: Pack) -> None:
    """It gets as far as the model, which is the one that it names."""
    told = post(gateway, path, pack(ask(path)), encoding)
    assert told[0] == status_of("model_not_found", path)
    assert "glm-5" in told[1], "similar names"
    assert told == post(gateway, path, ask(path), "identity")


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(("encoding", "pack"), CODINGS)
def test_a_packed_body_is_bounded(
    gateway: Gateway, strict_gateway: Gateway, path: str, encoding: str, pack: Pack
) -> None:
    """After decoding, and by its ratio."""
    large = pack(ask(path, "x" * MAX_BODY_BYTES))
    assert len(large) < MAX_BODY_BYTES
    told = post(strict_gateway, path, large, encoding)
    assert (told[0], "decodes to more than the limit" in told[1]) == (status_of("body_too_large", path), True)
    bomb = pack(ask(path, "x" * (4 * RATIO_FREE_BYTES)))
    assert len(bomb) * MAX_RATIO < 4 * RATIO_FREE_BYTES
    told = post(gateway, path, bomb, encoding)
    assert (told[0], f"{MAX_RATIO} times" in told[1]) == (status_of("body_too_large", path), True)


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    ("encoding", "content", "code"),
    [
        ("gzip", gzip.compress(ask(CHAT_COMPLETIONS), mtime=0)[:-9], "invalid_encoding"),
        ("zstd", zstd.compress(ask(CHAT_COMPLETIONS))[:-9], "invalid_encoding"),
        ("zstd", gzip.compress(ask(CHAT_COMPLETIONS), mtime=0), "invalid_encoding"),
        ("br", ask(CHAT_COMPLETIONS), "unsupported_encoding"),
        ("gzip, zstd", ask(CHAT_COMPLETIONS), "unsupported_encoding"),
    ],
)
def test_a_body_that_can_t_be_unpacked(
    gateway: Gateway, path: str, encoding: str, content: bytes, code: str
) -> None:
    assert post(gateway, path, content, encoding)[0] == status_of(code, path)
