"""Kimi and DeepSeek for agents: the simulated providers' rules and wire formats, and a script for them.

A turn of the user is answered with shell commands, one after the other, and then with a text. Each command
prints something that it does not contain, so that its result shows that it ran.
"""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self

from llmgw.simulator.answer import Answer, ToolCall
from llmgw.simulator.model import JsonObject, RefusalError
from llmgw.simulator.providers import PROVIDERS
from llmgw.simulator.request import ChatRequest, text_of
from llmgw.simulator.values import value_for
from llmgw.simulator.wire import DONE, frame

SHELLS: Final = ("bash", "shell", "run_shell_command", "run_terminal_command", "run_in_terminal", "exec")
"""What agents call the tool that runs a command, in lower case."""
ROUNDS: Final = (2, 1)
"""How many commands the answer to each turn of the user runs."""

SILENCE_S: Final = 0.25
"""Before the head of a stream and behind a few of its events, so that heartbeats come in both places."""
SILENT_BEHIND: Final = 5


@dataclass
class Log:
    """What one agent asked one provider."""

    requests: list[ChatRequest] = field(default_factory=list)
    """Those that offered tools; agents also ask for titles."""
    refusals: list[str] = field(default_factory=list)


def command(turn: int, done: int) -> str:
    """The shell command with this number (from 0) of this turn (from 0)."""
    return f"echo ran-$((20 + {turn}))-$((30 + {done}))"


def printed(turn: int, done: int) -> str:
    """What it prints."""
    return f"ran-{20 + turn}-{30 + done}"


def final(turn: int, provider: str) -> str:
    """The text that ends the answer to this turn."""
    return f"The commands of turn {turn + 1} have run, says {provider}."


def said(request: ChatRequest, provider: str, answer: Answer) -> Answer:
    """The answer by the script, with the reasoning that the provider has made."""
    shell = next((tool for tool in request.tools if str(tool.get("name", "")).lower() in SHELLS), None)
    if shell is None:
        return Answer(answer.reasoning, "A title", (), "stop")
    turn, done = progress(request)
    if done >= ROUNDS[turn]:
        return Answer(answer.reasoning, final(turn, provider), (), "stop")
    schema = shell.get("parameters")
    arguments = value_for(schema if isinstance(schema, dict) else {}, "run it")
    arguments |= {"command": command(turn, done)}
    return Answer(answer.reasoning, "", (ToolCall(shell["name"], json.dumps(arguments)),), "tool_calls")


def progress(request: ChatRequest) -> tuple[int, int]:
    """The turn, from 0, and how many commands have been run in it: what the history says."""
    turn = sum(final(0, "")[:24] in text_of(message) for message in request.messages)
    done = sum(
        printed(turn, number) in text_of(message)
        for message in request.messages
        if message.get("role") == "tool"
        for number in range(ROUNDS[turn])
    )
    return turn, done


class AgentProviders:
    """The providers on a free port; `logs` by agent and provider, the first parts of the path."""

    def __init__(self) -> None:
        """Serves at once."""
        self.logs: dict[tuple[str, str], Log] = {}
        providers = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                providers._answer(self, body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        agent, name = handler.path.removeprefix("/").split("/")[:2]
        log = self.logs.setdefault((agent, name), Log())
        provider = PROVIDERS[name]
        try:
            request = ChatRequest.parse(body, delay_ms=0)
            if request.tools:
                log.requests.append(request)
            turn = provider.answer(request)
        except RefusalError as refusal:
            log.refusals.append(refusal.message)
            _whole(handler, refusal.status, provider.error(refusal, secrets.token_hex(16)))
            return
        turn = replace(turn, answers=(said(request, name, turn.answers[0]),))
        if request.stream:
            _stream(handler, provider.chunks(turn))
        else:
            _whole(handler, 200, provider.completion(turn))

    def __enter__(self) -> Self:
        """Already serving."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def _whole(handler: BaseHTTPRequestHandler, status: int, value: JsonObject) -> None:
    content = json.dumps(value).encode()
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def _stream(handler: BaseHTTPRequestHandler, chunks: Iterator[JsonObject]) -> None:
    time.sleep(SILENCE_S)
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for number, piece in enumerate((*map(frame, chunks), DONE, b"")):
        if number == SILENT_BEHIND:
            time.sleep(SILENCE_S)
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
