"""The simulated providers' rules and wire formats, with a script for what they say to agents.

What is due is read from the conversation, not counted, so an agent's other requests (for titles, say) change
nothing; those get a short text.
"""

import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Final

from llmgw.simulator.answer import Answer, ToolCall
from llmgw.simulator.model import JsonObject, RefusalError
from llmgw.simulator.native.api import NativeRequest
from llmgw.simulator.providers import PROVIDERS
from llmgw.simulator.request import ChatRequest
from llmgw.simulator.wire import DONE, frame
from tests.agents import rules
from tests.agents.loopback import Handler, Loopback
from tests.agents.script import Progress, Task, progress, step_at, words
from tests.agents.tools import Wording, as_offered, fault

SILENCE_S: Final = 0.3
"""Before the head of an answer and behind a few of its events, so that heartbeats come in both places."""
SILENT_BEHIND: Final = 5
LEFT_OUT: Final = 4
"""An answer that breaks off lacks this many of its last events: the finish reason and what is before it."""
ASIDE: Final = "A title"


@dataclass(frozen=True)
class Asked:
    """One request that the script has answered."""

    request: ChatRequest
    turn: int
    step: int
    thinking: bool
    broken: bool


@dataclass
class Session:
    """One agent at one task before one provider: what it works with, and what it has asked."""

    task: Task
    folder: Path
    wording: Wording
    asked: list[Asked] = field(default_factory=list)
    reasoning: dict[tuple[int, int], str] = field(default_factory=dict)
    """What was thought, by turn and step; the last step is the text."""
    faults: list[str] = field(default_factory=list)
    """Refusals, and what the script could not do."""


class _Broken(Exception):  # noqa: N818 - nothing is wrong
    """The connection is to break off here."""


class AgentProviders(Loopback):
    """All providers on a free port, by their names and paths; the sessions by the names in prompts."""

    def __init__(self) -> None:
        """Serves at once."""
        self.sessions: dict[str, Session] = {}
        self.strangers: list[str] = []
        """Refusals of requests that belong to no session."""
        self._attempts: Counter[tuple[str, int, int]] = Counter()
        self._lock = Lock()
        providers = self

        class Answering(Handler):
            def respond(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    providers._answer(self, body)
                except _Broken:
                    self.close_connection = True

        super().__init__(Answering)

    def _answer(self, handler: Handler, body: bytes) -> None:
        name, _, path = handler.path.removeprefix("/").partition("/")
        provider = PROVIDERS[name]
        native = next((api for api in provider.native if path in api.paths), None)
        at = None
        try:
            if native is not None:
                parsed = native.parse(body, delay_ms=0)
                request: ChatRequest = replace(parsed, messages=rules.joined(parsed.messages))
            else:
                request = ChatRequest.parse(body, delay_ms=0)
            at = progress(request)
            rules.check(request.messages)
            if native is not None and isinstance(request, NativeRequest):
                turn = provider.answer_natively(native, request)
            else:
                turn = provider.answer(request)
        except RefusalError as refusal:
            session = self.sessions.get(at.session) if at is not None else None
            (self.strangers if session is None else session.faults).append(f"refused: {refusal.message}")
            error = (native or provider).error(refusal, secrets.token_hex(16))
            _whole(handler, refusal.status, error)
            return
        answer, broken = self._said(request, at, turn.answers[0], thinking=turn.thinking)
        turn = replace(turn, answers=(answer,))
        if not request.stream:
            _whole(handler, 200, native.whole(turn) if native is not None else provider.completion(turn))
            return
        events = [*(native.events(turn) if native is not None else map(frame, provider.chunks(turn)))]
        events += [] if native is not None else [DONE]
        _stream(handler, events[:-LEFT_OUT] if broken else events, broken=broken)

    def _said(
        self, request: ChatRequest, at: Progress | None, answer: Answer, *, thinking: bool
    ) -> tuple[Answer, bool]:
        """The answer by the script, and whether it breaks off."""
        session = self.sessions.get(at.session) if at is not None else None
        if at is None or session is None or not request.tools:
            return Answer(answer.reasoning, ASIDE, (), "stop"), False
        turn = session.task.turns[at.turn]
        step = step_at(turn, at.calls)
        actions = turn.steps[step] if step < len(turn.steps) else ()
        thought = f"Thought {at.turn}.{step} of {at.session}: {words(actions)} is due." if thinking else ""
        with self._lock:
            self._attempts[at.session, at.turn, step] += 1
            first = self._attempts[at.session, at.turn, step] == 1
            broken = first and (at.turn, step) in session.task.breaks
            session.asked.append(Asked(request, at.turn, step, thinking, broken))
            session.reasoning[at.turn, step] = thought
        if not actions:
            return Answer(thought, turn.text, (), "stop"), broken
        offered = {str(tool.get("name")): tool for tool in request.tools}
        worded = [as_offered(session.wording(action, session.folder), offered) for action in actions]
        session.faults += filter(None, (fault(each, offered) for each in worded))
        calls = tuple(ToolCall(name, json.dumps(arguments)) for name, arguments in worded)
        return Answer(thought, "", calls, "tool_calls"), broken


def _whole(handler: Handler, status: int, value: JsonObject) -> None:
    content = json.dumps(value).encode()
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def _stream(handler: Handler, events: list[bytes], *, broken: bool) -> None:
    time.sleep(SILENCE_S)
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for number, event in enumerate(_with_end(events, broken=broken)):
        if number == SILENT_BEHIND:
            time.sleep(SILENCE_S)
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
    if broken:
        raise _Broken


def _with_end(events: list[bytes], *, broken: bool) -> Iterator[bytes]:
    yield from events
    if not broken:
        yield b""
