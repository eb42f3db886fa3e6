"""Recorded provider streams, served over real TCP in random cuts, through a live gateway."""

import json
import random

import pytest

from llmgw import _core
from tests.support import recordings
from tests.support.chat import body, streamed
from tests.support.frames import check_stream, without_heartbeats
from tests.support.gateway import Gateway
from tests.support.scripted import EVENT_STREAM_HEAD, ScriptedUpstream, chunked, cuts

SEEDS = (1, 2)


def serve(scripted: ScriptedUpstream, recording: bytes, seed: int) -> str:
    """A script that sends the recording in random HTTP chunks and, apart from those, in random TCP writes."""
    rng = random.Random(seed)
    return scripted.script(EVENT_STREAM_HEAD, *cuts(chunked(recording, rng), rng))


@recordings.each_recording
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("include_usage", [True, False])
def test_streamed(
    gateway: Gateway,
    scripted: ScriptedUpstream,
    recording: str,
    seed: int,
    include_usage: bool,  # noqa: FBT001
) -> None:
    data = recordings.read(recording)
    script = serve(scripted, data, seed)
    answer = gateway.post(streamed("scripted", include_usage=include_usage, script=script))
    request_id = answer.headers["x-request-id"]
    expected = _core.transform([data], include_usage=include_usage, request_id=request_id, model="scripted")
    if expected.startswith(b'data: {"error"'):  # nothing good came first: an error status
        assert answer.status >= 400
        assert answer.error["message"]
        return
    assert answer.status == 200
    got = without_heartbeats(answer.body)
    stream = check_stream(got, include_usage=include_usage)
    # What a recording lacks is filled in with the time of the request.
    created = {chunk["created"] for chunk in stream.chunks}
    assert got in {
        _core.transform(
            [data], include_usage=include_usage, request_id=request_id, model="scripted", created_s=created_s
        )
        for created_s in created
    }


@recordings.each_recording
def test_merged(gateway: Gateway, scripted: ScriptedUpstream, recording: str) -> None:
    data = recordings.read(recording)
    answer = gateway.post(body("scripted-merged", script=serve(scripted, data, 3)))
    request_id = answer.headers["x-request-id"]
    try:
        expected = json.loads(_core.merge([data], request_id=request_id, model="scripted"))
    except _core.UpstreamError:
        assert answer.status >= 400
        assert answer.error["message"]
        return
    assert answer.status == 200
    got = answer.json()
    for completion in (expected, got):
        del completion["created"]
    assert got == expected
