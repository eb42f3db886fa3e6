"""The one corpus of the Rust and the Python benches: request bodies and streams, the same bytes on every run.

`python -m benches.corpus` writes it to `target/bench-corpus`, where `rust/core/benches/throughput.rs` reads
it; `benches/test_core_bench.py` calls `bodies` and `streams`. The text is made here, from a seeded generator;
the shapes are those that providers send (chunks of DashScope and OpenAI, quirks of OpenRouter and Z.AI).
"""

import base64
import json
import random
from pathlib import Path
from typing import Any, Final

CORPUS_DIR: Final = Path(__file__).parent.parent / "target" / "bench-corpus"
CHUNKS: Final = 2_000
READ_BYTES: Final = 4_096
"""How much of a stream one read from a socket yields, in every bench."""

# fmt: off
WORDS: Final = (
    "the", "gateway", "reads", "a", "body", "once", "and", "rewrites", "what", "it", "must;", "RESTful",
    "API", "设计", "是", "一种", "软件", "架构", "风格", "，", "café", '"quoted"', "\\", "a/b", "\n", "🙂",
)
# fmt: on

Json = dict[str, Any]


def _text(rng: random.Random, size: int) -> str:
    """About `size` bytes of mixed text, with escapes, CJK and an emoji in it."""
    words: list[str] = []
    length = 0
    while length < size:
        word = rng.choice(WORDS)
        words.append(word)
        length += len(word.encode()) + 1
    return " ".join(words)


def chat_body(size: int) -> bytes:
    """A streamed request with tools and a conversation of about `size` bytes."""
    rng = random.Random(size)
    messages: list[Json] = [{"role": "system", "content": "You are a helpful assistant."}]
    turn = max(200, size // 40)
    messages += [
        {"role": "assistant" if number % 2 else "user", "content": _text(rng, turn)}
        for number in range(size // (turn + 60))
    ]
    messages.append({"role": "user", "content": "What is the weather in 北京?"})
    weather = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
        "required": ["city"],
    }
    body = {
        "model": "qwen3.6-plus",
        "messages": messages,
        "max_tokens": 2048,
        "temperature": 0.7,
        "stream": True,
        "stream_options": {"include_usage": True},
        "enable_thinking": True,
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": weather}}],
    }
    return json.dumps(body, ensure_ascii=False).encode()


def messages_body(size: int) -> bytes:
    """What a coding agent sends through Messages: tools, turns with thinking, calls and results."""
    rng = random.Random(size)
    piece = max(200, size // 160)
    messages: list[Json] = []
    for number in range(size // (4 * piece + 600)):
        call = {"file_path": f"/repo/src/{number}.py", "old_string": _text(rng, piece), "replace_all": False}
        messages += [
            {"role": "user", "content": [{"type": "text", "text": _text(rng, piece)}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": _text(rng, piece), "signature": "EqQBCkYIBxgCKkBb"},
                    {"type": "tool_use", "id": f"toolu_{number}", "name": "Edit", "input": call},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": _text(rng, piece)}
                ],
            },
        ]
    schema = {"type": "object", "properties": {"file_path": {"type": "string"}}, "required": ["file_path"]}
    messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    body = {
        "model": "qwen3.6-plus",
        "max_tokens": 32_000,
        "messages": messages,
        "system": [{"type": "text", "text": _text(rng, 2_000), "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "Edit", "description": _text(rng, 400), "input_schema": schema}],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "stream": True,
    }
    return json.dumps(body, ensure_ascii=False).encode()


def messages_image_body(size: int) -> bytes:
    """A result of a tool with one image of about `size` bytes."""
    data = base64.b64encode(random.Random(size).randbytes(size * 3 // 4)).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/repo/a.png"}}
    messages = [
        {"role": "user", "content": "What does it show?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [image]}]},
    ]
    return json.dumps({"model": "qwen3.6-plus", "max_tokens": 100, "messages": messages}).encode()


def image_body(size: int) -> bytes:
    """A streamed request with one image as a data URI of about `size` bytes."""
    uri = "data:image/png;base64," + base64.b64encode(random.Random(size).randbytes(size * 3 // 4)).decode()
    parts: list[Json] = [
        {"type": "text", "text": "这张图里有什么?"},
        {"type": "image_url", "image_url": {"url": uri}},
    ]
    body = {
        "model": "qwen3.6-plus",
        "messages": [{"role": "user", "content": parts}],
        "stream": True,
        "llmgw_thinking": False,
    }
    return json.dumps(body, ensure_ascii=False).encode()


def responses_body(size: int) -> bytes:
    """A request of Codex for `POST /v1/responses`, after turns with tools of about `size` bytes."""
    rng = random.Random(size)
    turn_bytes = max(400, size // 40)
    items: list[Json] = [_message("developer", "input_text", "You are a coding agent.")]
    for number in range(max(1, size // (2 * turn_bytes + 700))):
        call = f"call_{number}"
        thought = {"type": "summary_text", "text": _text(rng, turn_bytes // 4)}
        items += [
            _message("user", "input_text", _text(rng, turn_bytes // 4)),
            {"type": "reasoning", "id": f"rs_{number}", "summary": [thought], "encrypted_content": None},
            _call("function_call", call, "exec_command", arguments=json.dumps({"cmd": _text(rng, 80)})),
            _call("custom_tool_call", f"{call}b", "apply_patch", input=_text(rng, turn_bytes // 4)),
            {"type": "function_call_output", "call_id": call, "output": _text(rng, turn_bytes)},
            {"type": "custom_tool_call_output", "call_id": f"{call}b", "output": "Success."},
            _message("assistant", "output_text", _text(rng, turn_bytes // 4)),
        ]
    command = {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}
    body = {
        "model": "qwen3.6-plus",
        "stream": True,
        "input": items,
        "tools": [
            {"type": "function", "name": "exec_command", "strict": False, "parameters": command},
            {"type": "custom", "name": "apply_patch", "description": _text(rng, 400)},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "high", "summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    return json.dumps(body, ensure_ascii=False).encode()


def _message(role: str, kind: str, text: str) -> Json:
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _call(kind: str, call_id: str, name: str, **payload: str) -> Json:
    return {"type": kind, "call_id": call_id, "name": name, "status": "completed", **payload}


def _frame(chunk: Json) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


USAGE: Final[Json] = {
    "prompt_tokens": 24,
    "completion_tokens": CHUNKS,
    "total_tokens": 24 + CHUNKS,
    "completion_tokens_details": {"reasoning_tokens": CHUNKS // 2},
    "prompt_tokens_details": {"cached_tokens": 0},
}


def clean_stream() -> bytes:
    """DashScope's shape: nothing needs a change, and most chunks differ from the last in their text only."""
    rng = random.Random(1)
    head = {
        "object": "chat.completion.chunk",
        "usage": None,
        "created": 1_770_764_942,
        "system_fingerprint": None,
    }
    tail = {"model": "qwen3.6-plus", "id": "chatcmpl-3792851e-8f1b-9182-a1dc-b84603c81344"}
    frames: list[bytes] = []
    for number in range(CHUNKS):
        text = _text(rng, 12)
        delta: Json = (
            {"content": None, "reasoning_content": text}
            if number < CHUNKS // 2
            else {"content": text, "reasoning_content": None}
        )
        if number == 0:
            delta["role"] = "assistant"
        choice = {"delta": delta, "finish_reason": None, "index": 0, "logprobs": None}
        frames.append(_frame({"choices": [choice], **head, **tail}))
    last = {"finish_reason": "stop", "delta": {"content": ""}, "index": 0, "logprobs": None}
    frames.append(_frame({"choices": [last], **head, **tail}))
    frames.append(_frame({"choices": [], **head, "usage": USAGE, **tail}))
    frames.append(b"data: [DONE]\n\n")
    return b"".join(frames)


def unlike_stream() -> bytes:
    """OpenAI's shape: nothing needs a change; `obfuscation` makes chunks differ in more than their text."""
    rng = random.Random(3)
    head = {"id": "chatcmpl-DmW8hqnTtEoGz", "object": "chat.completion.chunk", "created": 1_770_764_942}
    model = {"model": "gpt-5.2", "system_fingerprint": "fp_deacdd5f6f", "service_tier": "default"}
    frames: list[bytes] = []
    for number in range(CHUNKS):
        delta = {"role": "assistant", "content": ""} if number == 0 else {"content": _text(rng, 12)}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        frames.append(_frame({**head, **model, "choices": [choice], "obfuscation": rng.randbytes(4).hex()}))
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    frames.append(_frame({**head, **model, "choices": [last], "obfuscation": "cb"}))
    frames.append(_frame({**head, **model, "choices": [], "usage": USAGE}))
    frames.append(b"data: [DONE]\n\n")
    return b"".join(frames)


def quirky_stream() -> bytes:
    """A change in every frame: `reasoning` renamed, the role in each delta, usage riding on each chunk."""
    rng = random.Random(2)
    head = {
        "id": "gen-1770764942",
        "object": "chat.completion.chunk",
        "created": 1_770_764_942,
        "model": "glm-5",
    }
    frames: list[bytes] = []
    for number in range(CHUNKS):
        field = "reasoning" if number < CHUNKS // 2 else "content"
        delta = {"role": "assistant", field: _text(rng, 12)}
        usage = {"prompt_tokens": 24, "completion_tokens": number, "total_tokens": 24 + number}
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        frames.append(_frame({**head, "choices": [choice], "usage": usage}))
    last = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    frames.append(_frame({**head, "choices": [last], "usage": USAGE}))
    frames.append(b"data: [DONE]\n\n")
    return b"".join(frames)


def bodies() -> dict[str, bytes]:
    """Request bodies by the name of their file."""
    return {
        "chat-1k.json": chat_body(1 << 10),
        "chat-100k.json": chat_body(100 << 10),
        "chat-1m.json": chat_body(1 << 20),
        "image-4m.json": image_body(4 << 20),
    }


def agents_bodies() -> dict[str, bytes]:
    """Bodies of other APIs, which are converted."""
    return {
        "messages-100k.json": messages_body(100 << 10),
        "messages-1m.json": messages_body(1 << 20),
        "messages-4m.json": messages_image_body(4 << 20),
        "responses-100k.json": responses_body(100 << 10),
        "responses-1m.json": responses_body(1 << 20),
    }


def streams() -> dict[str, bytes]:
    """Streams by the name of their file."""
    return {"clean.sse": clean_stream(), "unlike.sse": unlike_stream(), "quirky.sse": quirky_stream()}


def reads(stream: bytes) -> list[bytes]:
    """A stream as the reads of a socket give it."""
    return [stream[start : start + READ_BYTES] for start in range(0, len(stream), READ_BYTES)]


def main() -> None:
    """Write the corpus."""
    CORPUS_DIR.mkdir(parents=True, exist_ok=True)
    for name, data in {**bodies(), **agents_bodies(), **streams()}.items():
        (CORPUS_DIR / name).write_bytes(data)


if __name__ == "__main__":
    main()
