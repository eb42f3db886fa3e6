"""What a session must have done, seen from its folder, from its output, and from the provider."""

from collections.abc import Iterator
from typing import Final

from llmgw.simulator.request import text_of
from tests.agents.provider import Asked
from tests.agents.script import mark_of
from tests.agents.session import NATIVE, Run

CELLS: Final = ("read", "edit", "command", "thinking", "resumed", "off", "parallel", "image", "broken")
"""The columns of the table."""
CELLS_OF: Final = {
    "work": ("read", "edit", "command"),
    "thinking": ("thinking", "resumed"),
    "off": ("off",),
    "parallel": ("parallel",),
    "image": ("image",),
    "broken": ("broken",),
}
WANTS_REASONING: Final = ("deepseek", "kimi", "deepseek-messages")
"""Providers that refuse a conversation whose reasoning does not come back. So does DeepSeek's Responses, but
there it is no part of a message."""
SHOWN_CHARS: Final = 700


def judge(run: Run) -> dict[str, list[str]]:
    """What is wrong, by column."""
    common = [*run.session.faults, *_ended(run), *_refused(run), *_results(run)]
    return {cell: [*common, *_CHECKS[cell](run)] for cell in CELLS_OF[run.job.task.name]}


def _ended(run: Run) -> Iterator[str]:
    for turn, ended in zip(run.job.task.turns, run.ended, strict=True):
        if ended.status is None:
            yield f"it did not end in time; it said {ended.out[-SHOWN_CHARS:]!r} {ended.err[-SHOWN_CHARS:]!r}"
        elif ended.status:
            yield f"ended with {ended.status}: {ended.out[-SHOWN_CHARS:]!r} {ended.err[-SHOWN_CHARS:]!r}"
        elif turn.text not in ended.out:
            yield f"its output lacks {turn.text!r}: {ended.out[-SHOWN_CHARS:]!r} {ended.err[-SHOWN_CHARS:]!r}"
        if "not loopback" in ended.err:
            yield f"it wanted to leave this machine: {ended.err[-SHOWN_CHARS:]!r}"


def _refused(run: Run) -> Iterator[str]:
    for exchange in run.exchanges:
        if exchange.method == "POST" and exchange.status != 200:
            answer = bytes(exchange.answer[:SHOWN_CHARS])
            yield f"the gateway answered {exchange.status} to {exchange.path}: {answer!r}"


def _results(run: Run) -> Iterator[str]:
    """Each result of a tool came back to the provider, in the order of the calls.

    Others may be between them: opencode also gives a result to a call that broke off. In the agent's own API
    the order is the agent's: Claude Code tells first what was done first.
    """
    for number, wanted in enumerate(run.job.task.results):
        last = _last(run, number)
        results = [] if last is None else _results_since_mark(last)
        left = iter(results)
        for text in wanted:
            if run.job.provider in NATIVE:
                left = iter(results)
            if not any(text in result for result in left):
                yield f"turn {number}: no result has {text!r} in its place: {results}"


def _last(run: Run, turn: int) -> Asked | None:
    """The request for the text that ends a turn."""
    last = len(run.job.task.turns[turn].steps)
    return next((a for a in reversed(run.session.asked) if (a.turn, a.step) == (turn, last)), None)


def _results_since_mark(asked: Asked) -> list[str]:
    results: list[str] = []
    for message in asked.request.messages:
        if message.get("role") == "user" and mark_of(message) is not None:
            results = []
        elif message.get("role") == "tool":
            results.append(text_of(message))
    return results


def _files(run: Run) -> Iterator[str]:
    for name, text in run.job.task.leaves.items():
        if run.left[name] != text:
            yield f"{name} holds {run.left[name]!r} and not {text!r}"


def _thinking(run: Run) -> Iterator[str]:
    """The model thought in each answer, and where the provider wants it, the very thoughts came back."""
    for asked in run.session.asked:
        if not asked.thinking:
            yield f"turn {asked.turn}, step {asked.step}: it was not to think"
    if run.job.provider not in WANTS_REASONING:
        return
    for asked in run.session.asked:
        turn, step = -1, 0
        for message in asked.request.messages:
            if message.get("role") == "user" and (mark := mark_of(message)) is not None:
                turn, step = mark[1], 0
            elif message.get("role") == "assistant":
                given = run.session.reasoning.get((turn, step))
                if message.get("reasoning_content") != given:
                    came = message.get("reasoning_content")
                    yield f"turn {turn}, step {step}: thought {given!r}, and {came!r} came back"
                step += 1


def _off(run: Run) -> Iterator[str]:
    for asked in run.session.asked:
        if asked.thinking:
            yield f"turn {asked.turn}, step {asked.step}: it was to think"


def _resumed(run: Run) -> Iterator[str]:
    """The last request has everything that was said in earlier processes."""
    asked = run.session.asked[-1].request if run.session.asked else None
    said = "\n".join(text_of(message) for message in asked.messages) if asked is not None else ""
    for turn in run.job.task.turns[:-1]:
        for text in (turn.says, turn.text):
            if text not in said:
                yield f"the last request lacks {text!r}"


def _parallel(run: Run) -> Iterator[str]:
    """Both calls came back in one message of the assistant."""
    last = _last(run, 0)
    calls = [len(m.get("tool_calls") or ()) for m in last.request.messages] if last is not None else []
    if sum(calls) != max(calls, default=0) or max(calls, default=0) < 2:
        yield f"calls in the messages of the last request: {calls}"


def _image(run: Run) -> Iterator[str]:
    last = _last(run, 0)
    images = last.request.images if last is not None else []
    if not any(image.startswith("data:image/") for image in images):
        yield f"the provider saw no picture: {[image[:60] for image in images]}"


def _broken(run: Run) -> Iterator[str]:
    """Each answer that broke off was asked for again."""
    yield from _files(run)
    for at in sorted(run.job.task.breaks):
        attempts = [asked.broken for asked in run.session.asked if (asked.turn, asked.step) == at]
        if attempts[:1] != [True] or len(attempts) < 2:
            yield f"step {at}: {attempts}"


def _nothing(run: Run) -> Iterator[str]:
    del run
    yield from ()


_CHECKS: Final = {
    "read": _nothing,
    "edit": _files,
    "command": _files,
    "thinking": _thinking,
    "resumed": _resumed,
    "off": _off,
    "parallel": _parallel,
    "image": _image,
    "broken": _broken,
}
