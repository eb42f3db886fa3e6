"""The judge of the agents' sessions finds what it is there to find; docs/agents.md says what came out."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmgw.simulator.model import RefusalError
from llmgw.simulator.request import ChatRequest
from tests.agents import page, recordings, rules, shape
from tests.agents.agents import Agent, agents
from tests.agents.judge import CELLS, CELLS_OF, judge
from tests.agents.page import CHINESE, ENGLISH, Words
from tests.agents.provider import Asked, Session
from tests.agents.script import (
    BROKEN,
    IMAGE,
    OFF,
    PARALLEL,
    TASK_NAMES,
    TASKS,
    THINKING,
    WORK,
    Progress,
    Task,
    progress,
    prompt,
    step_at,
)
from tests.agents.session import PROVIDERS, QUICK, Ended, Job, Run, jobs
from tests.agents.tap import Exchange
from tests.agents.tools import fault

AGENT = agents()[-1]
CALL = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}


def chat(*messages: dict[str, Any]) -> ChatRequest:
    return ChatRequest.parse(json.dumps({"model": "m", "messages": messages}).encode(), delay_ms=0)


def asked_at(job: Job, turn: int, step: int) -> ChatRequest:
    """The request for a step of a turn, as an agent sends it that keeps everything."""
    messages: list[dict[str, Any]] = []
    for earlier, said in enumerate(job.task.turns[: turn + 1]):
        messages.append({"role": "user", "content": prompt(job.name, job.task, earlier)})
        results = iter((*(job.task.results[earlier] if job.task.results else ()), "", ""))
        for number, actions in enumerate(said.steps[: step if earlier == turn else None]):
            calls = [{**CALL, "id": f"{earlier}.{number}.{index}"} for index in range(len(actions))]
            thought = f"{earlier}.{number}"
            messages.append({"role": "assistant", "reasoning_content": thought, "tool_calls": calls})
            messages += [
                {"role": "tool", "tool_call_id": call["id"], "content": next(results)} for call in calls
            ]
        if earlier < turn:
            thought = f"{earlier}.{len(said.steps)}"
            messages.append({"role": "assistant", "reasoning_content": thought, "content": said.text})
    if job.task.picture and step:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        messages.append({"role": "user", "content": [image]})
    return chat(*messages)


def perfect(task: Task, provider: str = "kimi") -> Run:
    """A session in which all went well."""
    job = Job(AGENT, task, provider)
    session = Session(task, Path("/work"), AGENT.wording)
    for turn, said in enumerate(task.turns):
        for step in range(len(said.steps) + 1):
            request = asked_at(job, turn, step)
            broken = (turn, step) in task.breaks
            session.asked += [Asked(request, turn, step, task.thinking, broken=True)] * broken
            session.asked.append(Asked(request, turn, step, task.thinking, broken=False))
            session.reasoning[turn, step] = f"{turn}.{step}"
    ended = [Ended(0, f"* {turn.text}\n", "") for turn in task.turns]
    return Run(job, session, dict(task.leaves), ended, [passed()])


def passed(status: int = 200, *, answer: bytes = b"", body: bytes = b"{}") -> Exchange:
    events = [("content-type", "text/event-stream")]
    return Exchange("POST", "/v1/messages", [], body, status, events, bytearray(answer))


def wrong(run: Run) -> set[str]:
    return {cell for cell, faults in judge(run).items() if faults}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_what_went_well_passes(task: Task, provider: str) -> None:
    assert wrong(perfect(task, provider)) == set()


def test_another_exit_status_or_output_does_not() -> None:
    for ended in (Ended(1, WORK.turns[0].text, ""), Ended(None, WORK.turns[0].text, ""), Ended(0, "No.", "")):
        run = perfect(WORK)
        run.ended = [ended]
        assert wrong(run) == set(CELLS_OF["work"])


def test_a_refusal_does_not() -> None:
    run = perfect(WORK)
    run.exchanges = [passed(), passed(400)]
    assert wrong(run) == set(CELLS_OF["work"])
    run = perfect(WORK)
    run.session.faults.append("refused: no reasoning")
    assert wrong(run) == set(CELLS_OF["work"])


def test_results_that_did_not_come_back_do_not() -> None:
    for task in (WORK, PARALLEL):
        run = perfect(task)
        run.session.asked[-1] = run.session.asked[0]
        assert wrong(run) == set(CELLS_OF[task.name])


def test_a_file_that_is_not_as_it_should_be_does_not() -> None:
    run = perfect(WORK)
    run.left["notes.txt"] = "size: 3\ncolour: red\n"
    assert wrong(run) == {"edit", "command"}
    run = perfect(BROKEN)
    run.left["once.txt"] *= 2
    assert wrong(run) == {"broken"}


def test_reasoning_that_did_not_come_back_does_not() -> None:
    run = perfect(THINKING)
    run.session.reasoning[0, 1] = "something else"
    assert wrong(run) == {"thinking"}
    run = perfect(THINKING, "glm")
    run.session.reasoning[0, 1] = "something else"
    assert wrong(run) == set()


def test_a_switch_that_was_not_obeyed_does_not() -> None:
    for task, cell in ((THINKING, "thinking"), (OFF, "off")):
        run = perfect(task)
        first = run.session.asked[0]
        run.session.asked[0] = Asked(first.request, first.turn, first.step, not first.thinking, broken=False)
        assert wrong(run) == {cell}


def test_a_history_that_was_lost_does_not() -> None:
    run = perfect(THINKING)
    last = run.session.asked[-1]
    forgetful = chat(*last.request.messages[-3:])
    run.session.asked[-1] = Asked(forgetful, last.turn, last.step, thinking=True, broken=False)
    assert "resumed" in wrong(run)


def test_parallel_calls_that_were_pulled_apart_do_not() -> None:
    run = perfect(PARALLEL)
    user, calls, *results = run.session.asked[-1].request.messages
    apart = [part for call, result in zip(calls["tool_calls"], results, strict=True)
             for part in ({**calls, "tool_calls": [call]}, result)]  # fmt: skip
    run.session.asked[-1] = Asked(chat(user, *apart), 0, 1, thinking=True, broken=False)
    assert wrong(run) == {"parallel"}


def test_a_picture_that_nobody_saw_does_not() -> None:
    run = perfect(IMAGE)
    without = chat(*run.session.asked[-1].request.messages[:-1])
    run.session.asked[-1] = Asked(without, 0, 1, thinking=True, broken=False)
    assert wrong(run) == {"image"}


def test_an_answer_that_broke_off_and_was_not_asked_for_again_does_not() -> None:
    run = perfect(BROKEN)
    run.session.asked = [asked for asked in run.session.asked if asked.step != 1 or asked.broken]
    assert wrong(run) == {"broken"}


def test_every_column_has_a_task_and_every_task_a_quick_provider() -> None:
    assert sorted(cell for cells in CELLS_OF.values() for cell in cells) == sorted(CELLS)
    assert set(QUICK) == {task.name for task in TASKS} == set(CELLS_OF)
    for quick in (True, False):
        covered = {(job.agent.name, job.task.name) for job in jobs(agents(), quick=quick)}
        able = {
            (agent.name, task)
            for agent in agents()
            for task in (agent.quick if quick else TASK_NAMES)
            if task not in agent.cannot
        }
        assert covered == able


USER = {"role": "user", "content": f"<reminder/>{prompt('a.work.kimi', WORK, 0)}"}
CALLED = {"role": "assistant", "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "done"}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((USER,), Progress("a.work.kimi", 0, 0)),
        ((USER, CALLED, RESULT), Progress("a.work.kimi", 0, 1)),
        ((USER, CALLED, RESULT, {"role": "user", "content": "(a picture)"}), Progress("a.work.kimi", 0, 1)),
        ((USER, CALLED, RESULT, USER), Progress("a.work.kimi", 0, 0)),
        (({"role": "user", "content": "A title, please."},), None),
    ],
)
def test_progress_is_what_the_conversation_says(messages: Any, expected: Progress | None) -> None:  # noqa: ANN401
    assert progress(chat(*messages)) == expected


def test_the_step_that_is_due() -> None:
    assert [step_at(WORK.turns[0], calls) for calls in range(5)] == [0, 1, 2, 3, 3]
    assert [step_at(PARALLEL.turns[0], calls) for calls in range(4)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ((USER, RESULT), "must be a response"),
        ((USER, CALLED, USER), "must be followed by tool messages"),
        ((USER, CALLED), "have no results"),
        ((USER, CALLED, RESULT, RESULT), "must be a response"),
        ((USER, CALLED, {**RESULT, "tool_call_id": "c2"}), "must be a response"),
        ((USER, {"role": "assistant", "content": ""}), "content or tool_calls"),
    ],
)
def test_the_rules_of_real_providers(messages: Any, said: str) -> None:  # noqa: ANN401
    rules.check([USER, CALLED, RESULT, {"role": "assistant", "content": "Hi"}])
    with pytest.raises(RefusalError, match=said):
        rules.check(list(messages))


def test_calls_of_one_answer_are_joined() -> None:
    other = {**CALLED, "tool_calls": [{**CALL, "id": "c2"}]}
    assert rules.joined([USER, CALLED, other, RESULT, CALLED]) == [
        USER,
        {**CALLED, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
        RESULT,
        CALLED,
    ]


def test_a_call_that_an_agent_does_not_offer_is_the_scripts_fault() -> None:
    offered = {"bash": {"parameters": {"properties": {"command": {}, "cwd": {}}, "required": ["command"]}}}
    assert fault(("bash", {"command": "ls"}), offered) is None
    assert "no tool" in (fault(("shell", {"command": "ls"}), offered) or "")
    assert "also wants" in (fault(("bash", {"cwd": "/"}), offered) or "")
    assert "does not know" in (fault(("bash", {"command": "ls", "mode": "x"}), offered) or "")


SECRET = "a sentence of somebody else, word for word"


def test_a_recording_has_names_and_sizes_and_no_sentence() -> None:
    body = {
        "model": "m",
        "system": [{"type": "text", "text": SECRET}],
        "messages": [{"role": "user", "content": SECRET}],
        "tools": [{"name": "Bash", "description": SECRET, "input_schema": {"title": SECRET}}],
    }
    answer = b'event: ping\ndata: {"type":"ping"}\n\n' * 2 + (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta"}}\n\n'
    )
    exchange = passed(body=json.dumps(body).encode(), answer=answer)
    exchange.headers = [("Authorization", "Bearer sk-gtw-1"), ("X-Thing", SECRET), ("Host", "here")]
    told = shape.exchange(exchange, None)
    assert SECRET not in json.dumps(told)
    assert "sk-gtw-1" not in json.dumps(told)
    assert told["headers"] == {"authorization": "Bearer …", "x-thing": f"text ({len(SECRET)})"}
    assert told["messages"] == [{"role": "user", "content": f"text ({len(SECRET)})"}]
    assert told["tools"] == ["tool Bash"]
    assert told["answer"] == ["ping × 2", "content_block_delta (text_delta)"]
    again = shape.exchange(exchange, exchange)
    assert again["messages"] == ["the first 1 as before"]
    assert shape.summary([told])["answer"] == ["content_block_delta (text_delta)"]


def test_a_run_that_is_not_as_recorded_is_found() -> None:
    told = recordings.recording(AGENT, [perfect(WORK, QUICK["work"][0])])
    assert list(recordings.differences(told, told)) == []
    kept = json.loads(json.dumps(told))
    kept["version"] = "0"
    kept["results"]["edit"]["deepseek"] = recordings.FAIL
    kept["tasks"]["work"]["exchanges"][0]["headers"]["x-new"] = "text (1)"
    assert len(list(recordings.differences(kept, told))) == 3
    assert list(recordings.differences({}, told)) != []


@pytest.mark.parametrize("agent", agents(), ids=lambda agent: agent.name)
def test_the_recordings_are_of_the_locked_versions_and_passed(agent: Agent) -> None:
    kept = recordings.read(agent)
    assert (kept["package"], kept["version"], kept["api"]) == (agent.package, agent.version, agent.api)
    wanted = {(cell, job.provider) for job in jobs([agent], quick=False) for cell in CELLS_OF[job.task.name]}
    results = {
        (cell, name): result for cell, each in kept["results"].items() for name, result in each.items()
    }
    assert results == dict.fromkeys(wanted, recordings.PASS)
    assert set(kept["tasks"]) == set(TASK_NAMES) - set(agent.cannot)


@pytest.mark.parametrize("words", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_pages_say_what_the_test_uses_and_what_came_out(words: Words) -> None:
    assert words.page.read_text("utf-8") == page.made(words)
