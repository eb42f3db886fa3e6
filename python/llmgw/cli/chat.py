"""`llmgw chat`: asks one question and streams the answer to the terminal."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, Final

import httpx

from llmgw.errors import CommandError

EPILOG: Final = """\
examples:
  export LLMGW_API_KEY=sk-gtw-...
  llmgw chat "Why is the sky blue?"                       the first model that the key may use
  llmgw chat --model glm-5 --thinking off "Say hello"
  git diff | llmgw chat --model qwen3.6-plus              without TEXT, standard input is read
"""
API_KEY_ENV: Final = "LLMGW_API_KEY"
DEFAULT_BASE_URL: Final = "http://127.0.0.1:8000"
_TIMEOUT: Final = httpx.Timeout(10.0, read=300.0)
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"
# An answer must not be able to steer the terminal.
_CONTROLS: Final = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("text", nargs="*", metavar="TEXT", help="the question (default: standard input)")
    parser.add_argument("--model", help="model id (default: the first that the key may use)")
    parser.add_argument(
        "--thinking", choices=("on", "off"), help="the gateway's switch (default: the model's own)"
    )
    parser.add_argument("--base-url", default=DEFAULT_BASE_URL, help="the gateway (default: %(default)s)")
    parser.add_argument("--api-key", default=os.environ.get(API_KEY_ENV), help=f"(default: ${API_KEY_ENV})")


def run(options: argparse.Namespace) -> int:
    if not options.api_key:
        raise CommandError(f"no API key: set ${API_KEY_ENV} or give --api-key (llmgw keys create makes one)")
    question = " ".join(options.text) or sys.stdin.read()
    if not question.strip():
        raise CommandError("there is no question: give it as TEXT or on standard input")
    url = options.base_url.rstrip("/").removesuffix("/v1")
    headers = {"authorization": f"Bearer {options.api_key}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=False) as client:
            model = options.model or _first_model(client)
            _show(_chunks(client, _request(model, question, options.thinking)))
    except UnicodeEncodeError as error:
        raise CommandError("the API key holds characters that no key has") from error
    except httpx.TransportError as error:
        problem = f"{url}: {type(error).__name__}: {error}"
        raise CommandError(f"the gateway can't be reached at {problem}; is llmgw serve running?") from error
    return 0


def _request(model: str, question: str, thinking: str | None) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if thinking is not None:
        request["llmgw_thinking"] = thinking == "on"
    return request


def _first_model(client: httpx.Client) -> str:
    response = client.get("/v1/models")
    _check(response)
    models = response.json()["data"]
    if not models:
        raise CommandError("this key may use no model")
    return str(models[0]["id"])


def _chunks(client: httpx.Client, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The chunks of a streamed answer. Raises CommandError if it fails or breaks off."""
    with client.stream("POST", "/v1/chat/completions", json=request) as response:
        if response.is_error:
            response.read()
            _check(response)
        for data in _data_lines(response.iter_bytes()):
            if data == b"[DONE]":
                return
            chunk = json.loads(data)
            if "error" in chunk:
                raise CommandError(_describe(chunk, response))
            yield chunk
    raise CommandError("the answer broke off")


def _data_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The payloads of the gateway's frames, one `data:` line each."""
    # Not `iter_lines`: httpx also ends a line at U+2028, which a JSON string may contain.
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def _check(response: httpx.Response) -> None:
    if response.is_error:
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        raise CommandError(_describe(answer, response))


def _describe(answer: object, response: httpx.Response) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return f"the server answered with status {response.status_code}; is this an llmgw gateway?"
    request_id = response.headers.get("x-request-id", "-")
    return (
        f"{error.get('code')}: {error.get('message')} (status {response.status_code}, request {request_id})"
    )


class _Screen:
    """Standard output. Reasoning is dimmed on a terminal, and separated by an empty line everywhere."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._dim = False
        self._last = "\n"

    def write(self, text: str, *, dim: bool) -> None:
        text = text.translate(_CONTROLS)
        if not text:
            return
        if self._dim and not dim:
            self.end_line()
            text = "\n" + text.lstrip("\n")
        if dim and not self._dim and self._colours:
            text = _DIM + text
        self._dim = dim
        self._last = text[-1]
        sys.stdout.write(text)
        sys.stdout.flush()

    def end_line(self) -> None:
        if self._dim and self._colours:
            sys.stdout.write(_PLAIN)
        self._dim = False
        if self._last != "\n":
            sys.stdout.write("\n")
        self._last = "\n"
        sys.stdout.flush()


def _show(chunks: Iterator[dict[str, Any]]) -> None:
    """Print reasoning and content, then the usage."""
    screen = _Screen()
    usage: dict[str, Any] | None = None
    try:
        for chunk in chunks:
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                delta = choice["delta"]
                screen.write(delta.get("reasoning_content") or "", dim=True)
                screen.write(delta.get("content") or "", dim=False)
    finally:
        screen.end_line()
    if usage is not None:
        screen.write(_usage_line(usage), dim=True)
        screen.end_line()


def _usage_line(usage: dict[str, Any]) -> str:
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    part = f" ({reasoning} reasoning)" if reasoning else ""
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return f"usage: {prompt} prompt + {completion} completion{part} = {usage.get('total_tokens')} tokens"
