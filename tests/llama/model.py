"""A Qwen3 model of random numbers that nevertheless knows what to say.

Its architecture is Qwen3's, two layers of it, and every number is random, with two exceptions. The
projections that lead back into the residual stream are zero, so that the last token alone decides about the
next. And the output matrix has, in the row of each token of a script, the embedding of the token before it.
Random vectors of 256 numbers are nearly orthogonal, so the scripted token's logit is far above every other:
the script comes out at any usual temperature, and llama.cpp does all the work that it does for a real model.

The prompt's end decides where the script begins, as it does with Qwen3: after `<|im_start|>assistant` and one
line break the model thinks; after the empty `<think>` block that the template adds for "off", which ends in
two line breaks (one token, as in Qwen's vocabulary), it answers.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.llama.gguf import Tensor, write_gguf

TEMPLATE: Final = Path(__file__).with_name("template.jinja")
CONTEXT: Final = 131_072
_HIDDEN, _LAYERS, _HEADS, _KV_HEADS, _HEAD, _FEED_FORWARD = 256, 2, 4, 2, 16, 128
_START, _END, _THINK, _THINK_END, _TOOL, _TOOL_END = (
    b"<|im_start|>",
    b"<|im_end|>",
    b"<think>",
    b"</think>",
    b"<tool_call>",
    b"</tool_call>",
)
_CONTROL, _USER_DEFINED, _NORMAL = 3, 4, 1
_LINE, _BLANK_LINE = b"\n", b"\n\n"
_AGAIN: Final = 0.6
"""Where the client forbids the end (`ignore_eos`), the answer begins again: that is the second choice."""


@dataclass(frozen=True)
class Script:
    """What the model says, token by token. A token stands once in a script, and is no single byte."""

    reasoning: Sequence[bytes]
    answer: Sequence[bytes]

    @property
    def reasoning_text(self) -> str:
        """The reasoning as a reader of the stream should have it."""
        return b"".join(self.reasoning).decode("utf-8").strip()

    @property
    def answer_text(self) -> str:
        """The content as a reader of the stream should have it."""
        return b"".join(self.answer).decode("utf-8")

    @property
    def reasoning_tokens(self) -> int:
        """With the tags and what stands between the second one and the answer."""
        return len(self.reasoning) + len((_THINK, _THINK_END, _BLANK_LINE))

    @property
    def answer_tokens(self) -> int:
        """With the token that ends it."""
        return len(self.answer) + len((_END,))

    def successions(self) -> Iterator[tuple[bytes, bytes, float]]:
        """Token, the token that follows it, and how strongly."""
        thinking = [_LINE, _THINK, *self.reasoning, _THINK_END, _BLANK_LINE]
        whole = [*thinking, *self.answer, _END]
        yield from ((token, following, 1.0) for token, following in pairwise(whole))
        yield self.answer[-1], self.answer[0], _AGAIN


HELLO: Final = Script(
    reasoning=(b"\nThe", b" user", b" greets", b" me", b", so", b" I", b" greet", b" back", b".\n"),
    # The face comes in halves, as a byte-level vocabulary cuts what it has no token for.
    answer=(
        b"Hello",
        b" from",
        b" llama",
        b".cpp",
        b" \xf0\x9f",
        b"\x99\x82 ",
        "，你".encode(),
        "好".encode(),
    ),
)
WEATHER: Final = Script(
    reasoning=(b"\nI", b" must", b" look", b" outside", b".\n\n"),
    answer=(
        _TOOL,
        b'\n{"name": ',
        b'"get_weather", ',
        b'"arguments": ',
        b'{"city": ',
        b'"Os',
        b'lo"',
        b"}}",
        b"\n ",
        _TOOL_END,
    ),
)


def write_model(path: Path, script: Script, *, seed: int = 0) -> None:
    """Write the model as a GGUF file."""
    singles = [bytes([value]) for value in range(256)]
    special = [_START, _END, _THINK, _THINK_END, _TOOL, _TOOL_END]
    spoken = [token for token in (*script.reasoning, *script.answer) if token not in special]
    vocabulary = [*singles, _BLANK_LINE, *special, *spoken]
    ids = {token: number for number, token in enumerate(vocabulary)}
    if len(ids) != len(vocabulary):
        raise ValueError("a token stands twice in the script, or is a single byte")
    kinds = [
        _CONTROL if t in {_START, _END} else _USER_DEFINED if t in special else _NORMAL for t in vocabulary
    ]
    write_gguf(
        path,
        {
            "general.architecture": "qwen3",
            "general.name": "scripted",
            "qwen3.block_count": _LAYERS,
            "qwen3.context_length": CONTEXT,
            "qwen3.embedding_length": _HIDDEN,
            "qwen3.feed_forward_length": _FEED_FORWARD,
            "qwen3.attention.head_count": _HEADS,
            "qwen3.attention.head_count_kv": _KV_HEADS,
            "qwen3.attention.key_length": _HEAD,
            "qwen3.attention.value_length": _HEAD,
            "qwen3.attention.layer_norm_rms_epsilon": 1e-6,
            "qwen3.rope.freq_base": 1e6,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "qwen2",
            "tokenizer.ggml.tokens": [t.decode() if t in special else _printable(t) for t in vocabulary],
            "tokenizer.ggml.token_type": kinds,
            "tokenizer.ggml.merges": [" ".join((_printable(_LINE), _printable(_LINE)))],
            "tokenizer.ggml.eos_token_id": ids[_END],
            "tokenizer.chat_template": TEMPLATE.read_text("utf-8"),
        },
        dict(_tensors(len(vocabulary), [(ids[a], ids[b], c) for a, b, c in script.successions()], seed)),
    )


def _tensors(
    tokens: int, successions: list[tuple[int, int, float]], seed: int
) -> Iterator[tuple[str, Tensor]]:
    rng = random.Random(seed)

    def noise(rows: int, columns: int) -> Tensor:
        return Tensor([rng.gauss(0, 1) for _ in range(rows * columns)], columns, rows)

    def zeros(rows: int, columns: int) -> Tensor:
        return Tensor([0.0] * (rows * columns), columns, rows)

    def ones(columns: int) -> Tensor:
        return Tensor([1.0] * columns, columns)

    embedding = noise(tokens, _HIDDEN)
    output = noise(tokens, _HIDDEN)
    scripted = {following for _, following, _ in successions}
    for token in scripted:
        output.numbers[token * _HIDDEN : (token + 1) * _HIDDEN] = [0.0] * _HIDDEN
    for token, following, strength in successions:
        for place in range(_HIDDEN):
            output.numbers[following * _HIDDEN + place] += (
                strength * embedding.numbers[token * _HIDDEN + place]
            )
    yield "token_embd.weight", embedding
    yield "output_norm.weight", ones(_HIDDEN)
    yield "output.weight", output
    for layer in range(_LAYERS):
        name = f"blk.{layer}."
        yield name + "attn_norm.weight", ones(_HIDDEN)
        yield name + "attn_q.weight", noise(_HEADS * _HEAD, _HIDDEN)
        yield name + "attn_k.weight", noise(_KV_HEADS * _HEAD, _HIDDEN)
        yield name + "attn_v.weight", noise(_KV_HEADS * _HEAD, _HIDDEN)
        yield name + "attn_q_norm.weight", ones(_HEAD)
        yield name + "attn_k_norm.weight", ones(_HEAD)
        yield name + "attn_output.weight", zeros(_HIDDEN, _HEADS * _HEAD)
        yield name + "ffn_norm.weight", ones(_HIDDEN)
        yield name + "ffn_gate.weight", noise(_FEED_FORWARD, _HIDDEN)
        yield name + "ffn_up.weight", noise(_FEED_FORWARD, _HIDDEN)
        yield name + "ffn_down.weight", zeros(_HIDDEN, _FEED_FORWARD)


def _printable(token: bytes) -> str:
    """A token as GPT-2's byte-level vocabularies write it: visible Latin-1 bytes stand for themselves."""
    return "".join(_BYTES[value] for value in token)


def _byte_names() -> list[str]:
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (chr(0x100 + number) for number in range(256))
    return [chr(value) if value in visible else next(others) for value in range(256)]


_BYTES: Final = _byte_names()
