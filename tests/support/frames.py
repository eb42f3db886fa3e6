"""Every rule that the contract sets for a stream, checked on the bytes that a client received."""

import json
from dataclasses import dataclass, field
from typing import Any

HEARTBEAT = b": keep-alive"
DONE = b"data: [DONE]"
FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}


@dataclass
class ToolCall:
    """A tool call, put together from its deltas."""

    id: str
    name: str
    arguments: str = ""


@dataclass
class Choice:
    """One choice, put together from its deltas."""

    role: str | None = None
    content: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str | None = None


@dataclass
class Stream:
    """What a stream amounts to."""

    chunks: list[dict[str, Any]] = field(default_factory=list)
    choices: dict[int, Choice] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    heartbeats: int = 0

    @property
    def only(self) -> Choice:
        """The choice of a stream that has one."""
        [choice] = self.choices.values()
        return choice


def split_frames(data: bytes) -> list[bytes]:
    """The frames of an event stream. AssertionError unless each is one line and a blank line."""
    assert data.endswith(b"\n\n"), f"the last frame has no blank line: {data[-80:]!r}"
    assert b"\r" not in data
    frames = data[:-2].split(b"\n\n")
    for frame in frames:
        assert frame, "an empty frame"
        assert b"\n" not in frame, f"more than one line: {frame!r}"
    return frames


def without_heartbeats(data: bytes) -> bytes:
    """The stream without comments, whose number depends on the clock."""
    return b"".join(frame + b"\n\n" for frame in split_frames(data) if frame != HEARTBEAT)


def check_stream(data: bytes, *, include_usage: bool) -> Stream:
    """Check every frame, and put the stream together. AssertionError names the rule and the frame.

    A stream that ends in an error frame is as good as any; whether it may is for the caller to say (`error`).
    """
    stream = Stream()
    frames = split_frames(data)
    done = frames[-1] == DONE
    for frame in frames[:-1] if done else frames:
        assert stream.error is None, f"something follows the error frame: {frame!r}"
        if frame.startswith(b":"):
            assert frame == HEARTBEAT, f"a comment that is not a heartbeat: {frame!r}"
            stream.heartbeats += 1
            continue
        assert frame.startswith(b"data: "), f"neither data nor heartbeat: {frame!r}"
        chunk = json.loads(frame.removeprefix(b"data: ").decode("utf-8"))
        assert isinstance(chunk, dict), f"no object: {frame!r}"
        if "error" in chunk:
            _check_error(chunk, frame)
            stream.error = chunk["error"]
        else:
            _check_chunk(stream, chunk, frame)
            stream.chunks.append(chunk)
    assert done is (stream.error is None), "either [DONE] or an error frame ends a stream, and not both"
    if stream.error is None:
        assert stream.choices, "a stream without any choice"
        assert all(choice.finish_reason for choice in stream.choices.values()), (
            "a choice without finish_reason"
        )
    assert include_usage or stream.usage is None, "a usage chunk that nobody asked for"
    return stream


def _check_error(chunk: dict[str, Any], frame: bytes) -> None:
    assert set(chunk) == {"error"}, f"an error beside something else: {frame!r}"
    assert set(chunk["error"]) == {"message", "type", "param", "code"}, frame
    assert isinstance(chunk["error"]["message"], str), frame


def _check_chunk(stream: Stream, chunk: dict[str, Any], frame: bytes) -> None:
    assert stream.usage is None, f"something follows the usage chunk: {frame!r}"
    assert chunk.get("object") == "chat.completion.chunk", frame
    for member in ("id", "model"):
        assert isinstance(chunk.get(member), str), f"no {member}: {frame!r}"  # some upstreams' are empty
    assert isinstance(chunk.get("created"), int), frame
    assert isinstance(chunk.get("choices"), list), f"choices is no list: {frame!r}"
    usage = chunk.get("usage")
    if usage is not None:
        assert chunk["choices"] == [], f"a usage that rides on a choice: {frame!r}"
        stream.usage = usage
    for choice in chunk["choices"]:
        _check_choice(stream, choice, frame)


def _check_choice(stream: Stream, choice: dict[str, Any], frame: bytes) -> None:
    assert isinstance(choice.get("index"), int), frame
    assert choice.get("usage") is None, f"a usage at the choice: {frame!r}"
    assert isinstance(choice.get("delta"), dict), f"delta is no object: {frame!r}"
    first = choice["index"] not in stream.choices
    said = stream.choices.setdefault(choice["index"], Choice())
    assert said.finish_reason is None, f"something follows the finish reason: {frame!r}"
    delta = choice["delta"]
    if first:
        assert delta.get("role") == "assistant", f"no role in the first delta: {frame!r}"
        said.role = delta["role"]
    else:
        assert "role" not in delta, f"the role once more: {frame!r}"
    assert "reasoning" not in delta, f"reasoning under a wrong name: {frame!r}"
    for member, sort in (("content", str), ("reasoning_content", str)):
        assert isinstance(delta.get(member), sort | None), f"{member} is no text: {frame!r}"
    said.content += delta.get("content") or ""
    said.reasoning += delta.get("reasoning_content") or ""
    if "tool_calls" in delta:
        assert isinstance(delta["tool_calls"], list), f"tool_calls is no list: {frame!r}"
        for call in delta["tool_calls"]:
            _check_tool_call(said, call, frame)
    assert "finish_reason" in choice, f"no finish_reason member: {frame!r}"
    if choice["finish_reason"] is not None:
        assert choice["finish_reason"] in FINISH_REASONS, frame
        said.finish_reason = choice["finish_reason"]


def _check_tool_call(said: Choice, call: dict[str, Any], frame: bytes) -> None:
    index = call.get("index")
    assert isinstance(index, int), f"a tool call without index: {frame!r}"
    assert 0 <= index <= len(said.tool_calls), f"a gap in the indices: {frame!r}"
    assert ("function" in call) != ("custom" in call), f"neither or both: {frame!r}"
    function, text = (call["function"], "arguments") if "function" in call else (call["custom"], "input")
    assert isinstance(function.get(text), str), f"{text} is no string: {frame!r}"
    if index == len(said.tool_calls):
        assert call.get("id"), f"a tool call without id: {frame!r}"
        assert function.get("name"), f"a tool call without name: {frame!r}"
        assert call.get("type"), frame
        assert (call["type"] == "custom") == ("custom" in call), frame
        said.tool_calls.append(ToolCall(call["id"], function["name"]))
    else:
        assert "id" not in call, f"the id once more: {frame!r}"
        assert "name" not in function, f"the name once more: {frame!r}"
    said.tool_calls[index].arguments += function[text]
