"""What each agent is asked to do, and the steps by which a scripted provider has it done.

A task has turns of the user. The answer to a turn is a row of steps, each of them calls of the agent's own
tools, and then a text. What a task must leave behind in the agent's folder, and what must come back to the
provider, is told beside it.
"""

import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from llmgw.simulator.model import JsonObject
from llmgw.simulator.request import ChatRequest, text_of

_MARK = re.compile(r"\[task ([\w.-]+) turn (\d+)\]")


@dataclass(frozen=True)
class Read:
    """Show a file of the folder to the model."""

    path: str


@dataclass(frozen=True)
class Edit:
    """Replace one line of a file."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Run:
    """A command of the shell, in the folder."""

    command: str


@dataclass(frozen=True)
class Look:
    """Show a picture of the folder to the model."""

    path: str


Action = Read | Edit | Run | Look
Step = tuple[Action, ...]
"""The calls of one answer: more than one of them are parallel."""


@dataclass(frozen=True)
class Turn:
    """What the user says, what is then done, and the text that ends the answer."""

    says: str
    steps: tuple[Step, ...]
    text: str


@dataclass(frozen=True)
class Task:
    """One session of an agent; each turn after the first is another process, which continues the session."""

    name: str
    turns: tuple[Turn, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What lies in the folder before."""
    leaves: Mapping[str, str] = field(default_factory=dict)
    """Files and their text after the last turn."""
    results: tuple[tuple[str, ...], ...] = ()
    """For each turn: what stands in the tools' results, in order."""
    breaks: frozenset[tuple[int, int]] = frozenset()
    """(turn, step) of answers that break off in the middle, the first time that they are asked for."""
    thinking: bool = True
    """False: the agent is told to switch thinking off."""
    picture: str = ""
    """A picture that the provider must come to see. Agents with an option for that attach it."""


def png(side: int = 16) -> bytes:
    """A red square."""
    row = b"\0" + b"\xff\0\0" * side
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * side)),
        (b"IEND", b""),
    )
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _printing(word: str, number: int) -> tuple[Run, str]:
    """A command, and what it prints, which the command does not contain."""
    return Run(f"echo {word}-$((20 + {number}))"), f"{word}-{20 + number}"


def _three_turns() -> Task:
    runs = [_printing("counted", number) for number in range(3)]
    turns = tuple(
        Turn(f"Please count, number {number}.", ((run,),), f"Counted number {number}, as you wished.")
        for number, (run, _) in enumerate(runs)
    )
    return Task("thinking", turns, results=tuple((printed,) for _, printed in runs))


WORK: Final = Task(
    "work",
    (
        Turn(
            "Read notes.txt, make the colour in it blue, and then run the check.",
            (
                (Read("notes.txt"),),
                (Edit("notes.txt", "colour: red", "colour: blue"),),
                (Run("cat notes.txt > checked.txt && echo checked-$((40 + 2))"),),
            ),
            "The colour is blue, and the check has run.",
        ),
    ),
    files={"notes.txt": b"size: 3\ncolour: red\nshape: round\n"},
    leaves={
        "notes.txt": "size: 3\ncolour: blue\nshape: round\n",
        "checked.txt": "size: 3\ncolour: blue\nshape: round\n",
    },
    results=(("colour: red", "", "checked-42"),),
)
THINKING: Final = _three_turns()
OFF: Final = Task(
    "off",
    (
        Turn(
            "Please count, and do not think about it.",
            ((Run("echo swift-$((70 + 7))"),),),
            "Counted at once.",
        ),
    ),
    results=(("swift-77",),),
    thinking=False,
)
PARALLEL: Final = Task(
    "parallel",
    (
        Turn(
            "Look at one.txt and at two.txt at the same time.",
            ((Read("one.txt"), Read("two.txt")),),
            "Both files have been read.",
        ),
    ),
    files={"one.txt": b"the first is amber\n", "two.txt": b"the second is violet\n"},
    results=(("the first is amber", "the second is violet"),),
)
IMAGE: Final = Task(
    "image",
    (Turn("What is in picture.png?", ((Look("picture.png"),),), "A red square, says the script."),),
    files={"picture.png": png()},
    picture="picture.png",
)
BROKEN: Final = Task(
    "broken",
    (
        Turn(
            "Write one line into once.txt.",
            ((Run("echo written >> once.txt && echo wrote-$((50 + 5))"),),),
            "One line stands in the file, and it stands there only once, although the stream broke.",
        ),
    ),
    leaves={"once.txt": "written\n"},
    results=(("wrote-55",),),
    breaks=frozenset({(0, 0), (0, 1)}),
)
TASKS: Final = (WORK, THINKING, OFF, PARALLEL, IMAGE, BROKEN)
TASK_NAMES: Final = tuple(task.name for task in TASKS)


def prompt(session: str, task: Task, turn: int) -> str:
    """What the user says, with a mark by which a request is known."""
    return f"[task {session} turn {turn}] {task.turns[turn].says}"


@dataclass(frozen=True)
class Progress:
    """Where a conversation is: what its messages say, so that other requests of an agent disturb nothing."""

    session: str
    turn: int
    calls: int
    """Results of tools since the user spoke."""


def progress(request: ChatRequest) -> Progress | None:
    """None: the request belongs to no session of ours."""
    found: tuple[str, int] | None = None
    calls = 0
    for message in request.messages:
        if message.get("role") == "tool":
            calls += 1
        elif message.get("role") == "user" and (mark := mark_of(message)) is not None:
            found, calls = mark, 0
    return None if found is None else Progress(*found, calls)


def mark_of(message: JsonObject) -> tuple[str, int] | None:
    """Session and turn that a message of the user names; the last, if it names several."""
    marks = _MARK.findall(text_of(message))
    return (marks[-1][0], int(marks[-1][1])) if marks else None


def step_at(turn: Turn, calls: int) -> int:
    """The step that is due after this many calls; the number of steps, where the text is."""
    for number, step in enumerate(turn.steps):
        if calls < len(step):
            return number
        calls -= len(step)
    return len(turn.steps)


def words(calls: Sequence[Action]) -> str:
    """The kinds of some calls, for reasoning that can be told from any other."""
    return ", ".join(type(call).__name__.lower() for call in calls) or "answer"
