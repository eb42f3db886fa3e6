"""`python -m tests.agents`: real agents against a live gateway and scripted providers, and a table of it.

Exit status 1 where a cell failed, or where recordings or docs say something else.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.agents import page, recordings, session
from tests.agents.agents import agents
from tests.agents.judge import judge
from tests.agents.provider import AgentProviders
from tests.agents.session import PROVIDERS, Job, Run, jobs
from tests.clients.install import install_agents
from tests.support.gateway import Gateway

AT_ONCE: Final = 2
HEARTBEAT_S: Final = 0.2
"""Less than the providers are silent, so that each agent meets heartbeats."""


def main() -> int:
    """Install, run, compare, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.agents", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each task before one or two providers only")
    parser.add_argument("--only", metavar="TEXT", default="", help="only sessions whose name contains this")
    parser.add_argument(
        "--write", action="store_true", help="write recordings and docs; what was not run stays"
    )
    options = parser.parse_args()
    begun_s = time.monotonic()
    install_agents()
    installed_s = time.monotonic()
    runs = run_all([job for job in jobs(agents(), quick=options.quick) if options.only in job.name])
    failed = sum(map(_report, runs))
    stale = _keep(runs, write=options.write)
    took_s = time.monotonic() - installed_s
    print(
        f"{len(runs)} sessions, {failed} failed; {installed_s - begun_s:.0f} s of installing, {took_s:.0f} s"
    )
    return 1 if failed or stale else 0


def _report(run: Run) -> bool:
    """Print what came of a session. True if anything is wrong."""
    cells = judge(run)
    faults = list(dict.fromkeys(fault for found in cells.values() for fault in found))
    states = ", ".join(f"{cell}: {'FAIL' if found else 'pass'}" for cell, found in cells.items())
    print(f"{run.job.name} ({run.took_s:.1f} s): {states}")
    for fault in faults:
        print(f"    {fault}")
    return bool(faults)


def _keep(runs: Sequence[Run], *, write: bool) -> bool:
    """Write recordings and pages, or compare; True if they differ."""
    stale = False
    for agent in agents():
        its = [run for run in runs if run.job.agent.name == agent.name]
        if not its:
            continue
        told = recordings.recording(agent, its)
        if write:
            recordings.write(agent, recordings.with_the_rest(told, recordings.read(agent)))
            continue
        for difference in recordings.differences(recordings.read(agent), told):
            stale = True
            print(f"{agent.name}: {difference}")
    if write:
        page.write()
    for name in page.stale():
        stale = True
        print(f"docs/{name} says something else")
    if stale:
        print("make agent-table writes recordings and docs anew")
    return stale


def run_all(chosen: Sequence[Job]) -> list[Run]:
    """Run the sessions, two at a time, before one gateway."""
    with (
        tempfile.TemporaryDirectory(prefix="llmgw-agents-") as folder,
        AgentProviders() as providers,
        Gateway(Path(folder), config(providers.url)) as gateway,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        homes = Path(folder) / "homes"
        return list(pool.map(lambda job: session.run(job, gateway, providers, homes), chosen))


def config(url: str) -> str:
    """Of the gateway: a model of each provider, under its own name."""
    parts = [f'[server]\nheartbeat_s = {HEARTBEAT_S}\n[store]\nurl = "sqlite:///gateway.db"']
    for name, model in PROVIDERS.items():
        sees = ', "image"' if name in session.SEEING else ""
        native = session.NATIVE.get(name)
        family = native.family if native else name
        parts.append(f'[upstreams.{name}]\nbase_url = "{url}/{family}/v1"\napi_key = "none"')
        if native:
            parts[-1] += f'\n{native.api}_url = "{url}/{family}/{native.path}"'
        parts.append(f'[[models]]\nid = "{model}"\nupstream = "{name}"\ninput_modalities = ["text"{sees}]')
        if native:
            parts[-1] += f'\nupstream_model = "{native.model}"'
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
