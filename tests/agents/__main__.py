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

from tests.agents import session
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
    options = parser.parse_args()
    install_agents()
    chosen = [job for job in jobs(agents(), quick=options.quick) if options.only in job.name]
    begun_s = time.monotonic()
    runs = run_all(chosen)
    failed = 0
    for run in runs:
        for cell, faults in judge(run).items():
            failed += bool(faults)
            print(f"{'FAIL' if faults else 'pass'} {run.job.name} {cell} ({run.took_s:.1f} s)")
            for fault in faults:
                print(f"     {fault}")
    print(f"{len(runs)} sessions, {failed} cells failed, {time.monotonic() - begun_s:.0f} s")
    return 1 if failed else 0


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
        parts += [
            f'[upstreams.{name}]\nbase_url = "{url}/{name}/v1"\napi_key = "none"',
            f'[[models]]\nid = "{model}"\nupstream = "{name}"\ninput_modalities = ["text"{sees}]',
        ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
