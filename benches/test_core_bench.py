"""The core as Python sees it, against the same work done in Python with orjson and with json.

`make bench` runs these on a release build. The engines first show that they do the same work
(`test_*_agrees`): a comparison of different results would say nothing.
"""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches import corpus, reference
from llmgw import _core

UPSTREAM_MODEL: Final = "qwen3-plus-2026-11-01"
ROUTE: Final = _core.Route(UPSTREAM_MODEL)
BODIES: Final = corpus.bodies()
STREAMS: Final = {name: (stream, corpus.reads(stream)) for name, stream in corpus.streams().items()}
ENGINES: Final = ("_core", *reference.LIBRARIES)


def rewriter(engine: str) -> Callable[[bytes], object]:
    """Scan, check and rewrite one body."""
    if engine == "_core":
        return lambda body: _core.ChatRequest(body).rewrite(ROUTE)
    library = reference.LIBRARIES[engine]
    return lambda body: reference.rewrite(library, body, UPSTREAM_MODEL)


def transformer(engine: str) -> Callable[[list[bytes]], bytes]:
    """Normalise one stream, given as reads."""
    if engine == "_core":
        return lambda reads: _core.transform(reads, include_usage=True)
    library = reference.LIBRARIES[engine]

    def transform(reads: list[bytes]) -> bytes:
        each = reference.Transformer(library, include_usage=True)
        return b"".join([each.feed(read) for read in reads])

    return transform


def merger(engine: str) -> Callable[[list[bytes]], bytes]:
    """Merge one stream, given as reads, into one completion."""
    if engine == "_core":
        return _core.merge
    library = reference.LIBRARIES[engine]

    def merge(reads: list[bytes]) -> bytes:
        each = reference.Merger(library)
        for read in reads:
            each.feed(read)
        return each.completion()

    return merge


def payloads(stream: bytes) -> list[Any]:
    """The events of a normalised stream, parsed."""
    lines = (line.removeprefix(b"data: ") for line in stream.split(b"\n") if line)
    return [line if line == b"[DONE]" else json.loads(line) for line in lines]


def pick(completion: bytes) -> dict[str, Any]:
    """What the mergers must agree on."""
    answer = json.loads(completion)
    choices = [
        (choice["index"], choice["message"]["content"], choice["finish_reason"])
        for choice in answer["choices"]
    ]
    return {"id": answer["id"], "model": answer["model"], "choices": choices, "usage": answer["usage"]}


@pytest.mark.parametrize("engine", reference.LIBRARIES)
@pytest.mark.parametrize("case", BODIES)
def test_rewrite_agrees(case: str, engine: str) -> None:
    ours = _core.ChatRequest(BODIES[case]).rewrite(ROUTE).body
    theirs = reference.rewrite(reference.LIBRARIES[engine], BODIES[case], UPSTREAM_MODEL)
    assert json.loads(ours) == json.loads(theirs)


@pytest.mark.parametrize("engine", reference.LIBRARIES)
@pytest.mark.parametrize("case", STREAMS)
def test_transform_agrees(case: str, engine: str) -> None:
    reads = STREAMS[case][1]
    assert payloads(transformer("_core")(reads)) == payloads(transformer(engine)(reads))


@pytest.mark.parametrize("engine", reference.LIBRARIES)
@pytest.mark.parametrize("case", STREAMS)
def test_merge_agrees(case: str, engine: str) -> None:
    reads = STREAMS[case][1]
    assert pick(merger("_core")(reads)) == pick(merger(engine)(reads))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", BODIES)
def test_rewrite(benchmark: BenchmarkFixture, case: str, engine: str) -> None:
    benchmark.extra_info.update(operation="rewrite", case=case, engine=engine, bytes=len(BODIES[case]))
    benchmark(rewriter(engine), BODIES[case])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", STREAMS)
def test_transform(benchmark: BenchmarkFixture, case: str, engine: str) -> None:
    stream, reads = STREAMS[case]
    benchmark.extra_info.update(operation="transform", case=case, engine=engine, bytes=len(stream))
    benchmark(transformer(engine), reads)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", STREAMS)
def test_merge(benchmark: BenchmarkFixture, case: str, engine: str) -> None:
    stream, reads = STREAMS[case]
    benchmark.extra_info.update(operation="merge", case=case, engine=engine, bytes=len(stream))
    benchmark(merger(engine), reads)
