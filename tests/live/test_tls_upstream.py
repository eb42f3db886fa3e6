"""An upstream behind TLS: the one way in which real providers are reached."""

import random
import ssl
from collections.abc import Iterator

import pytest

from tests.support.chat import body, streamed
from tests.support.gateway import Gateway
from tests.support.processes import ROOT
from tests.support.scripted import EVENT_STREAM_HEAD, ScriptedUpstream, chunked, cuts, json_answer

CERTIFICATES = ROOT / "tests" / "corpus" / "tls"
CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[%b]}\n\n'
WORDS = [b"word%d " % number for number in range(200)]
STREAM = (
    CHUNK % b'{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}'
    + b"".join(
        CHUNK % (b'{"index":0,"delta":{"content":"%b"},"finish_reason":null}' % word) for word in WORDS
    )
    + CHUNK % b'{"index":0,"delta":{},"finish_reason":"stop"}'
    + b"data: [DONE]\n\n"
)
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    """It shows the certificate of tests/corpus/tls."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    with ScriptedUpstream(context) as scripted:
        yield scripted


def gateway_for(folder: pytest.TempPathFactory, base_url: str, *, trusts: str) -> Gateway:
    """A gateway whose system trusts just these authorities."""
    config = f'[upstreams.tls]\nbase_url = "{base_url}"\napi_key = "sk-upstream"\n'
    config += '[store]\nurl = "sqlite:///gateway.db"\n[[models]]\nid = "scripted"\nupstream = "tls"\n'
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", trusts)
        environment.delenv("SSL_CERT_DIR", raising=False)
        return Gateway(folder.mktemp("tls-gateway"), config)


@pytest.fixture(scope="module")
def tls_gateway(tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream) -> Iterator[Gateway]:
    """It trusts the authority of tests/corpus/tls."""
    with gateway_for(tmp_path_factory, upstream.base_url, trusts=str(CERTIFICATES / "ca.pem")) as gateway:
        yield gateway


def test_a_stream_in_random_cuts(tls_gateway: Gateway, upstream: ScriptedUpstream) -> None:
    rng = random.Random(5)
    script = upstream.script(EVENT_STREAM_HEAD, *cuts(chunked(STREAM, rng), rng))
    answer = tls_gateway.post(streamed("scripted", script=script))
    assert (answer.status, answer.body) == (200, STREAM)
    assert upstream.received(script).head.startswith(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost:"
    )


def test_a_plain_answer(tls_gateway: Gateway, upstream: ScriptedUpstream) -> None:
    script = upstream.script(json_answer(COMPLETION))
    answer = tls_gateway.post(body("scripted", script=script, padding="x" * 500_000))
    assert (answer.status, answer.json()) == (200, COMPLETION)


def test_a_connection_that_ends_without_a_word_is_no_success(
    tls_gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    script = upstream.script(EVENT_STREAM_HEAD, b"%x\r\n%b" % (len(STREAM), STREAM[:1000]))
    answer = tls_gateway.post(streamed("scripted", script=script))
    assert answer.status == 200
    assert b'data: {"error":' in answer.body
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_that_nobody_vouches_for(
    tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream, host: str
) -> None:
    """The wrong name, or an authority that is not trusted: nothing is sent, the key least of all."""
    trusted = "ca.pem" if host == "127.0.0.1" else "other-ca.pem"
    url = upstream.base_url.replace("localhost", host)
    before = len(upstream.requests)
    with gateway_for(tmp_path_factory, url, trusts=str(CERTIFICATES / trusted)) as gateway:
        answer = gateway.post(streamed("scripted", script=upstream.script()))
        row = gateway.ledger(answer.headers["x-request-id"])
    assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
    why = "the certificate is for another name" if host == "127.0.0.1" else "unknown issuer"
    assert str(row["attempt_errors"]).startswith(f"tls: unreachable: TLS: {why}")
    assert len(upstream.requests) == before
