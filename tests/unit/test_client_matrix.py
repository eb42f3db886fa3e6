"""The judge of the client matrix finds what it is there to find, and its table says what came out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmgw.simulator.request import ChatRequest
from tests.clients import table
from tests.clients.agents.provider import ROUNDS, Log, final, printed
from tests.clients.agents.run import PROVIDERS, SAYS, Outcome
from tests.clients.agents.run import faults as faults_of_session
from tests.clients.agents.sessions import agents
from tests.clients.clients import clients
from tests.clients.judge import PARTS, faults
from tests.clients.scenarios import EACH_FAMILY, SCENARIOS, Case, Refusal, agent_cases, cases

STREAMED = next(case for case in cases() if case.name == "usage/glm-5/streamed")
TOOLS = next(case for case in cases() if case.name == "parallel tools/glm-5/plain")
BROKEN = Refusal("upstream_error", None)
REFUSED = Refusal("model_not_found", 404)


def perfect(case: Case) -> dict[str, Any]:
    """What a client saw that saw everything."""
    promised = case.promised()
    calls = [
        {"id": f"call-{number}", "name": name, "arguments": arguments}
        for number, (name, arguments) in enumerate(promised.tool_calls)
    ]
    return {
        "name": case.name,
        "text": promised.text,
        "reasoning": promised.reasoning,
        "tool_calls": calls,
        "finish_reason": promised.finish_reason,
        "usage": promised.usage,
        "error": None,
        "text_after_tools": f"It said: {promised.text_after_tools}",
    }


def judged(
    case: Case, seen: Mapping[str, Any] | None, *, cannot: Mapping[str, str] | None = None
) -> list[str]:
    return faults(case.promised(), None, seen, cannot=cannot or {})


@pytest.mark.parametrize("case", [STREAMED, TOOLS], ids=lambda case: case.name)
def test_what_was_promised_passes(case: Case) -> None:
    assert judged(case, perfect(case)) == []


@pytest.mark.parametrize(
    ("case", "changed"),
    [
        (STREAMED, {"text": ""}),
        (STREAMED, {"text": "This is another text."}),
        (STREAMED, {"reasoning": ""}),
        (STREAMED, {"finish_reason": None}),
        (STREAMED, {"finish_reason": "length"}),
        (STREAMED, {"usage": None}),
        (STREAMED, {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}),
        (STREAMED, {"error": {"message": "No."}}),
        (STREAMED, {"tool_calls": [{"id": "a", "name": "f", "arguments": "{}"}]}),
        (TOOLS, {"tool_calls": perfect(TOOLS)["tool_calls"][:1]}),
        (TOOLS, {"tool_calls": perfect(TOOLS)["tool_calls"][::-1]}),
        (TOOLS, {"tool_calls": [{**call, "id": ""} for call in perfect(TOOLS)["tool_calls"]]}),
        (TOOLS, {"tool_calls": [{**call, "id": "same"} for call in perfect(TOOLS)["tool_calls"]]}),
        (TOOLS, {"tool_calls": [{**call, "arguments": "{}"} for call in perfect(TOOLS)["tool_calls"]]}),
        (TOOLS, {"text_after_tools": "Something else."}),
        (TOOLS, {"reasoning": "Answers that are not streamed have none."}),
    ],
)
def test_anything_else_does_not(case: Case, changed: dict[str, Any]) -> None:
    assert judged(case, perfect(case) | changed) != []


@pytest.mark.parametrize("part", PARTS)
def test_not_looking_does_not_pass(part: str) -> None:
    seen = perfect(STREAMED)
    del seen[part]
    assert judged(STREAMED, seen) == [f"{part} was not looked at"]
    assert judged(STREAMED, seen, cannot={part: "why"}) == []


def test_a_case_left_out_does_not_pass() -> None:
    assert judged(STREAMED, None) != []


def test_a_reason_that_no_longer_holds_does_not_pass() -> None:
    [fault] = judged(STREAMED, perfect(STREAMED), cannot={"reasoning": "it drops it"})
    assert "it drops it" in fault


ERROR = {"status": 404, "code": "model_not_found", "message": "Error code: 404 - No such model."}
CUT = {"error": {"status": None, "code": "upstream_error", "message": "It broke."}, "finish_reason": None}


@pytest.mark.parametrize(
    ("refusal", "seen", "message", "good"),
    [
        (REFUSED, {"error": ERROR}, "No such model.", True),
        (REFUSED, {"error": None, "text": "Hi"}, "No such model.", False),
        (REFUSED, {"error": {**ERROR, "status": 400}}, "No such model.", False),
        (REFUSED, {"error": {**ERROR, "status": None}}, "No such model.", False),
        (REFUSED, {"error": {**ERROR, "code": None}}, "No such model.", False),
        (REFUSED, {"error": {**ERROR, "message": "Error code: 404"}}, "No such model.", False),
        (REFUSED, {"error": ERROR}, "", False),
        (BROKEN, {**CUT, "text": STREAMED.promised().text[:9]}, "It broke.", True),
        (BROKEN, {**CUT, "text": ""}, "It broke.", False),
        (BROKEN, {**CUT, "text": STREAMED.promised().text}, "It broke.", False),
        (BROKEN, {**CUT, "text": "Another text"}, "It broke.", False),
        (BROKEN, {**CUT, "text": STREAMED.promised().text[:9], "finish_reason": "stop"}, "It broke.", False),
        (BROKEN, {**CUT, "text": STREAMED.promised().text[:9]}, "Something else.", False),
    ],
)
def test_refusals(refusal: Refusal, seen: dict[str, Any], message: str, good: bool) -> None:  # noqa: FBT001
    assert (faults(STREAMED.promised(), refusal, seen, cannot={}, message=message) == []) is good


def test_every_scenario_has_cases_and_every_case_its_name() -> None:
    made = list(cases())
    assert {case.scenario for case in made} == set(SCENARIOS)
    assert len({case.name for case in made}) == len(made)
    for scenario in ("plain", "streamed", "tools", "parallel tools", "reasoning", "usage"):
        assert {case.model for case in made if case.scenario == scenario} == set(EACH_FAMILY)
    assert {case.scenario for case in agent_cases()} == set(SCENARIOS) - {"plain"}


def test_a_promise_is_not_empty() -> None:
    for case in cases():
        if case.refusal is None:
            promised = case.promised()
            assert promised.text or promised.tool_calls, case.name
            assert (promised.reasoning != "") is case.stream, case.name


def rows(cell: str) -> list[table.Row]:
    return [table.Row(client, dict.fromkeys(SCENARIOS, cell)) for client in clients()]


def outcomes(*problems: str) -> list[Outcome]:
    return [Outcome(agent, {name: list(problems) for name in PROVIDERS}) for agent in agents()]


def test_a_stale_page_is_found_and_written_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "clients.md"
    blocks = f"{table.BEGIN}{table.END}\nAgents:\n{table.AGENTS_BEGIN}{table.AGENTS_END}"
    page.write_text(f"# Clients\n\n{blocks}\nThe end.\n", "utf-8")
    monkeypatch.setattr(table, "PAGE", page)
    assert not table.keep(rows(table.PASS), outcomes(), write=False)
    assert table.keep(rows(table.PASS), outcomes(), write=True)
    assert table.keep(rows(table.PASS), outcomes(), write=False)
    assert not table.keep(rows(table.FAIL), outcomes(), write=False)
    assert not table.keep(rows(table.PASS), outcomes("it failed"), write=False)
    assert page.read_text("utf-8").startswith("# Clients\n")
    assert page.read_text("utf-8").endswith("\nThe end.\n")


def test_the_page_has_the_versions_of_the_lock_files() -> None:
    page = table.PAGE.read_text("utf-8")
    for agent in agents():
        assert f"| {agent.name} | `{agent.package}` {agent.version} |" in page
    for client in clients():
        assert f"| {client.name} | `{client.package}` {client.version} |" in page
        for why in client.cannot.values():
            assert why in page


def history(turns: int = 2) -> list[dict[str, Any]]:
    """The messages of a session as the last request has them."""
    messages: list[dict[str, Any]] = []
    for turn, says in enumerate(SAYS[:turns]):
        messages.append({"role": "user", "content": f"<reminder/>{says}"})
        for number in range(ROUNDS[turn]):
            messages.append({"role": "assistant", "tool_calls": [{}]})
            messages.append({"role": "tool", "content": f"it printed {printed(turn, number)}"})
        messages.append({"role": "assistant", "content": final(turn, "kimi")})
    return messages[:-1]


def session(messages: list[dict[str, Any]], *said: str, refusals: Sequence[str] = ()) -> list[str]:
    asked = [ChatRequest.parse(json.dumps({"model": "m", "messages": messages}).encode(), delay_ms=0)]
    return list(faults_of_session(Log(asked, list(refusals)), said, "kimi"))


SAID = (f"* {final(0, 'kimi')}", final(1, "kimi"))


def test_a_whole_session_passes() -> None:
    assert session(history(), *SAID) == []


@pytest.mark.parametrize(
    "problems",
    [
        session(history(), *SAID, refusals=["no reasoning"]),
        session(history(), SAID[0], "(no end within 60 s)"),
        session(history(), SAID[0], SAID[0]),
        session(history(), SAID[0], f"{SAID[1]} (ended with 1)"),
        session(history(1), *SAID),
        session(history()[:-1], *SAID),
        session(history()[1:], *SAID),
        list(faults_of_session(Log(), SAID, "kimi")),
    ],
)
def test_anything_else_in_a_session_does_not(problems: list[str]) -> None:
    assert problems
