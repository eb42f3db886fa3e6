"""`python -m tests.clients`: every client, every scenario, one table.

The last line counts the cells. Exit status 1 where a cell failed or docs/clients.md says something else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.clients import table
from tests.clients.agents.run import Outcome, run_agents
from tests.clients.agents.sessions import agents
from tests.clients.clients import ENVIRONMENT, Client, clients
from tests.clients.install import install, lock
from tests.clients.judge import faults
from tests.clients.scenarios import HEARTBEAT_S, SCENARIOS, Case, Promise, agent_cases, cases, promise
from tests.support.gateway import Gateway, config_text
from tests.support.processes import free_port
from tests.support.simulator import SimulatorProcess

CLIENT_TIMEOUT_S = 600.0
"""Of one client with all its cases."""
AT_ONCE = 2


def main() -> int:
    """Install, run, compare, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the outcome into docs/clients.md")
    parser.add_argument("--only", metavar="TEXT", default="", help="only clients whose name contains this")
    parser.add_argument(
        "--lock", action="store_true", help="resolve the clients' lock files anew, run nothing"
    )
    options = parser.parse_args()
    if options.lock:
        lock()
        return 0
    install()
    chosen = _named(clients(), options.only)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmgw-clients-")))
        simulator = stack.enter_context(SimulatorProcess(folder))
        nobody = f"http://127.0.0.1:{free_port()}/v1"
        gateway = stack.enter_context(
            Gateway(folder, config_text(simulator.url, nobody, server=f"heartbeat_s = {HEARTBEAT_S}"))
        )
        for case in cases():
            if case.scenario == "silence":
                _hear(gateway, case)
        messages = {case.name: _message(gateway, case) for case in cases() if case.refusal is not None}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            rows = list(pool.map(lambda client: _row(client, gateway, simulator, messages), chosen))
    outcomes = run_agents(_named(agents(), options.only), heartbeat_s=HEARTBEAT_S)
    for name, problem in (*_problems(rows), *_problems_of_agents(outcomes)):
        print(f"FAILED {name}: {problem}")
    print(table.as_text(rows))
    print(table.agents_as_text(outcomes))
    cells = [cell for row in rows for cell in row.cells.values()]
    cells += [cell for outcome in outcomes for cell in table.agent_cells(outcome).values()]
    failed = sum(cell == table.FAIL for cell in cells)
    stale = not options.only and not table.keep(rows, outcomes, write=options.write)
    if stale:
        print("docs/clients.md does not say this; make client-table writes it")
    skipped = sum(cell == table.NOT_APPLICABLE for cell in cells)
    print(f"{len(cells) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or stale else 0


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Some = TypeVar("Some", bound=_Named)


def _named(all_of_them: Sequence[Some], part: str) -> list[Some]:
    return [one for one in all_of_them if part.lower() in one.name.lower()]


def _problems(rows: Sequence[table.Row]) -> Iterator[tuple[str, str]]:
    for row in rows:
        for problem in row.problems:
            yield row.client.name, problem


def _problems_of_agents(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    for outcome in outcomes:
        for provider, problems in outcome.problems.items():
            for problem in problems:
                yield f"{outcome.agent.name}, {provider}", problem


def _hear(gateway: Gateway, case: Case) -> None:
    """There are heartbeats before the first event of such an answer, and between events."""
    before, _, after = gateway.post(case.body()).body.partition(b"data: ")
    assert b": keep-alive" in before, case.name
    assert b": keep-alive" in after, case.name


def _message(gateway: Gateway, case: Case) -> str:
    """What the gateway says to a plain HTTP request of the same kind; its status and code are checked."""
    assert case.refusal is not None
    key = gateway.key if case.right_key else case.task(gateway.key)["api_key"]
    answer = gateway.post(case.body(), key=key)
    if case.refusal.status is None:
        *_, last = answer.body.rstrip(b"\n").rpartition(b"data: ")
        error = json.loads(last)["error"]
    else:
        error = answer.error
    assert answer.status == (case.refusal.status or 200), (case.name, answer.body)
    assert error["code"] == case.refusal.code, (case.name, error)
    return str(error["message"])


def _row(
    client: Client, gateway: Gateway, simulator: SimulatorProcess, messages: dict[str, str]
) -> table.Row:
    """Run one client through all cases, and judge what it saw."""
    asked = list(agent_cases() if client.agent else cases())
    row = table.Row(client)
    seen = _run(client, gateway, asked, row)
    for scenario in SCENARIOS:
        its = [case for case in asked if case.scenario == scenario]
        found = []
        for case in its:
            promised = _promised(client, case, simulator)
            found += [
                f"{case.name}: {fault}"
                for fault in faults(
                    promised,
                    case.refusal,
                    seen.get(case.name),
                    cannot=client.cannot,
                    message=messages.get(case.name),
                )
            ]
        row.problems += found
        if scenario in client.cannot:
            row.cells[scenario] = table.FAIL if found else table.NOT_APPLICABLE
        else:
            row.cells[scenario] = table.PASS if its and not found else table.FAIL
    return row


def _promised(client: Client, case: Case, simulator: SimulatorProcess) -> Promise | None:
    """What the client is to see; None where it is to see a refusal before any answer."""
    if case.refusal is not None and case.refusal.status is not None:
        return None
    if not client.agent:
        return case.promised(asks_for_thinking=client.asks_for_thinking)
    received = [json.loads(request.body) for request in simulator.requests(f'"x_mark":"{case.name}"')]
    if not received:
        return None  # it has not asked, and so has seen nothing
    after = None
    if "tools" in case.more:
        after = promise(received[1], stream=True).text if len(received) > 1 else "(no second request)"
    return promise(received[0], stream=True, text_after_tools=after)


def _run(client: Client, gateway: Gateway, asked: list[Case], row: table.Row) -> dict[str, dict[str, Any]]:
    """What the client saw, by the name of the case."""
    lines = "".join(json.dumps(case.task(gateway.key)) + "\n" for case in asked)
    with tempfile.TemporaryDirectory(prefix="llmgw-client-home-") as home:
        try:
            done = subprocess.run(
                client.command,
                input=lines,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=CLIENT_TIMEOUT_S,
                check=False,
                cwd=home,
                env={**os.environ, **ENVIRONMENT, "HOME": home, "LLMGW_BASE_URL": f"{gateway.url}/v1"},
            )
        except subprocess.TimeoutExpired:
            row.problems.append(f"it took longer than {CLIENT_TIMEOUT_S} s")
            return {}
    if done.returncode:
        row.problems.append(f"ended with {done.returncode}: {done.stderr[-2000:]}")
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    return {seen["name"]: seen for seen in said}


sys.exit(main())
