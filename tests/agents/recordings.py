"""What each agent asked and got, and what came out, as files: `recordings/AGENT.json`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from llmgw.simulator.model import JsonObject
from tests.agents import compact, shape
from tests.agents.agents import Agent
from tests.agents.judge import CELLS, judge
from tests.agents.session import QUICK, Run

FOLDER: Final = Path(__file__).with_name("recordings")
PASS, FAIL = "pass", "FAIL"


def results(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """For each column: pass or FAIL, by provider."""
    told: dict[str, dict[str, str]] = {}
    for run in runs:
        for cell, faults in judge(run).items():
            told.setdefault(cell, {})[run.job.provider] = FAIL if faults else PASS
    return told


def recording(agent: Agent, runs: Sequence[Run]) -> JsonObject:
    """Of all sessions of an agent; what passed, of one provider for each task."""
    tasks: JsonObject = {}
    for run in runs:
        if run.job.provider == QUICK[run.job.task.name][0]:
            pairs = zip(run.exchanges, (None, *run.exchanges), strict=False)
            told = [shape.exchange(passed, earlier) for passed, earlier in pairs]
            tasks[run.job.task.name] = {"provider": run.job.provider, "exchanges": shape.shortened(told)}
    return {
        "agent": agent.name,
        "package": agent.package,
        "version": agent.version,
        "api": agent.api,
        "results": results(runs),
        "tasks": tasks,
    }


def read(agent: Agent) -> JsonObject:
    """The recording that is kept; empty if there is none."""
    file = _file(agent)
    told: JsonObject = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return told


def write(agent: Agent, told: JsonObject) -> None:
    """Keep it."""
    FOLDER.mkdir(exist_ok=True)
    _file(agent).write_text(compact.dumps(told) + "\n", "utf-8")


def with_the_rest(told: JsonObject, kept: JsonObject) -> JsonObject:
    """Also what an earlier run of the same version has, and this one has not run."""
    if kept.get("version") != told["version"]:
        return told
    results = {
        cell: {**kept["results"].get(cell, {}), **told["results"].get(cell, {})}
        for cell in CELLS
        if cell in {*kept["results"], *told["results"]}
    }
    return {**told, "results": results, "tasks": {**kept["tasks"], **told["tasks"]}}


def differences(kept: JsonObject, told: JsonObject) -> Iterator[str]:
    """Where a run is not what is kept of an earlier one; `told` may have fewer sessions."""
    for name in ("package", "version", "api"):
        if kept.get(name) != told[name]:
            yield f"{name} is {told[name]}, and the recording has {kept.get(name)}"
    for cell, by_provider in told["results"].items():
        for provider, result in by_provider.items():
            if (was := kept.get("results", {}).get(cell, {}).get(provider)) != result:
                yield f"{cell} before {provider}: {result}, and the recording has {was}"
    for task, session in told["tasks"].items():
        now = shape.summary(session["exchanges"])
        was = shape.summary(kept.get("tasks", {}).get(task, {}).get("exchanges", []))
        for name, words in now.items():
            if words != was[name]:
                more, less = sorted(set(words) - set(was[name])), sorted(set(was[name]) - set(words))
                yield f"{task}, {name}: new is {more}, gone is {less}"


def _file(agent: Agent) -> Path:
    return FOLDER / f"{agent.slug}.json"
