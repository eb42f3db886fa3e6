"""The benchmark's cases: the request of each and the mock's way of answering it."""

import base64
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

PLAIN: Final = "bench-plain"
"""The model of most cases: no thinking switch, so that llmgw, too, sends a plain request on as one."""
THINKING: Final = "bench-thinking"
"""The model of the cases with a switch; it takes images as well."""
UPSTREAM_MODELS: Final[Mapping[str, str]] = {PLAIN: "qwen-plus", THINKING: "qwen3-max"}

INTERVAL_S: Final = 0.02
NONCE: Final = "nonce-0000000000"
"""Where the load client writes the number of each request; the mock repeats it in the answer."""

Unit = Literal["request", "chunk", "stream"]
Door = Literal["chat", "messages", "responses"]
"""The API that is asked for the answer. The mock behind the gateway speaks chat in any case."""
PATHS: Final[Mapping[Door, str]] = {"messages": "/v1/messages", "responses": "/v1/responses"}
"""Where a gateway has the doors other than chat's, whose path the gateway says itself."""


@dataclass(frozen=True)
class Timing:
    """How long a case takes, in seconds."""

    warmup_s: float
    window_s: float


@dataclass(frozen=True)
class Workload:
    """One case."""

    name: str
    title: str
    unit: Unit
    """What the case is about: its rate and its processor time are per one of these."""
    connections: int
    chunks: int = 0
    """Per stream; 0 where the answer is no stream, or its length follows from the window (`paced`)."""
    paced: bool = False
    lasting: bool = False
    """Chunks come as slowly as with `paced`, but streams end and others follow, as in real traffic."""
    saturating: bool = False
    """Asked as fast as can be, so that times say how long the queue is and not what a gateway adds."""
    ramp_s: float = 0.0
    drain_s: float = 15.0
    """What answers that are under way at the end of the window get to finish."""
    model: str = PLAIN
    prompt_bytes: int = 0
    image_bytes: int = 0
    door: Door = "chat"

    @property
    def streams(self) -> bool:
        """True if the answer is a stream."""
        return self.unit != "request"

    @property
    def counts_memory(self) -> bool:
        """True if memory is of interest."""
        return self.paced or self.lasting or self.unit == "stream"

    def body(self, model: str) -> bytes:
        """The request, with the gateway's own name of the model."""
        text = f"{NONCE} What is a gateway? "
        if self.prompt_bytes:
            text += prose(self.prompt_bytes)
        content: str | list[dict[str, Any]] = text
        if self.image_bytes:
            data = base64.b64encode(random.Random(1).randbytes(self.image_bytes * 3 // 4)).decode()
            image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
            content = [{"type": "text", "text": text}, image]
        limit = "max_output_tokens" if self.door == "responses" else "max_tokens"
        turns = "input" if self.door == "responses" else "messages"
        request: dict[str, Any] = {"model": model, turns: [{"role": "user", "content": content}]}
        request |= {limit: 2048, "temperature": 0.7}
        if self.streams:
            request["stream"] = True
            if self.door == "chat":
                request["stream_options"] = {"include_usage": True}
        if self.model == THINKING:
            # Off, not on: with it on, llmgw would stream from a Qwen upstream and merge what comes.
            request["enable_thinking"] = False
        return json.dumps(request, ensure_ascii=False).encode()

    def script(self, timing: Timing) -> dict[str, Any]:
        """The mock's part."""
        if self.unit == "request":
            return {"answer": "plain"}
        if self.unit == "stream":
            return {"answer": "idle"}
        interval_us = round(INTERVAL_S * 1e6) if self.paced or self.lasting else 0
        return {"answer": "stream", "chunks": self._chunks(timing), "interval_us": interval_us}

    def load(self, timing: Timing, body: Path) -> dict[str, Any]:
        """The load client's part, but for whom to ask and how."""
        kinds: dict[Unit, dict[str, Any]] = {
            "request": {"kind": "plain"},
            "chunk": {"kind": "stream", "chunks": self._chunks(timing), "once": self.paced},
            "stream": {"kind": "idle"},
        }
        return {
            "api": self.door,
            "body": str(body),
            # The mock counts the bytes that reach it: a gateway may write JSON tighter, not lose text.
            "prompt_bytes": max(self.prompt_bytes, self.image_bytes),
            "answer": kinds[self.unit],
            "connections": self.connections,
            "ramp_s": self.ramp_s,
            "warmup_s": timing.warmup_s,
            "window_s": timing.window_s,
            "drain_s": self.drain_s,
        }

    def limit_s(self, timing: Timing) -> float:
        """When the harness gives the case up."""
        return self.ramp_s + timing.warmup_s + timing.window_s + 2 * self.drain_s + 10

    def _chunks(self, timing: Timing) -> int:
        if not self.paced:
            return self.chunks
        # Every stream is open during the whole window: the first has begun a ramp earlier than the last.
        return math.ceil((self.ramp_s + timing.warmup_s + timing.window_s + 0.2) / INTERVAL_S)


def prose(size: int) -> str:
    """`size` bytes or a little more of text as people write it, the same on every run."""
    words = ("the", "gateway", "reads", "a", "body", "once;", "软件", "架构", "café", '"quoted"', "\n", "API")
    rng = random.Random(size)
    parts: list[str] = []
    length = 0
    while length < size:
        parts.append(rng.choice(words))
        length += len(parts[-1].encode()) + 1
    return " ".join(parts)


# The idle streams come first: later cases leave memory behind that streams would then find for free.
_CHAT: Final = (
    Workload("idle1000", "1,000 idle streams", "stream", 1000, ramp_s=1.0, drain_s=30.0),
    Workload("plain1", "plain answers, 1 connection", "request", 1),
    Workload("plain32", "plain answers, 32 connections", "request", 32, saturating=True),
    Workload(
        "flood",
        "streams of 100 chunks as fast as they come, 32 connections",
        "chunk",
        32,
        chunks=100,
        saturating=True,
    ),
    Workload("paced300", "300 open streams, a chunk every 20 ms", "chunk", 300, paced=True, ramp_s=1.0),
    Workload(
        "lasting300",
        "streams of 10 chunks, one every 20 ms, 300 connections",
        "chunk",
        300,
        chunks=10,
        lasting=True,
        ramp_s=0.2,
    ),
    Workload("paced1000", "1,000 open streams, a chunk every 20 ms", "chunk", 1000, paced=True, ramp_s=2.0),
    Workload(
        "body100k", "100 KiB prompt, thinking switch", "request", 1, model=THINKING, prompt_bytes=100 << 10
    ),
    Workload("body1m", "1 MiB prompt, thinking switch", "request", 1, model=THINKING, prompt_bytes=1 << 20),
    Workload("image4m", "4 MiB image as a data URI", "request", 1, model=THINKING, image_bytes=4 << 20),
)

BESIDE_CHAT: Final = ("plain32", "flood", "paced300")
"""The cases that also come through the other doors."""
DOORS: Final[tuple[Door, ...]] = ("messages", "responses")


def beside(workload: str, door: Door) -> str:
    """The name of a case through another door."""
    return f"{workload}_{door}"


def _through_every_door() -> Iterator[Workload]:
    for workload in _CHAT:
        yield workload
        if workload.name in BESIDE_CHAT:
            for door in DOORS:
                title = f"{workload.title}, through `{PATHS[door]}`"
                yield replace(workload, name=beside(workload.name, door), title=title, door=door)


WORKLOADS: Final = tuple(_through_every_door())
"""A case and the same through other doors stand side by side: what is compared is measured seconds apart."""
