"""Runs each agent against each provider that wants reasoning back, and judges what came of it."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from llmgw.simulator.request import ChatRequest, text_of
from tests.clients import clients
from tests.clients.agents.provider import ROUNDS, AgentProviders, Log, final, printed
from tests.clients.agents.sessions import ENVIRONMENT, Agent, Site
from tests.support.gateway import Gateway
from tests.support.node import NODE_BIN

PROVIDERS = {"kimi": "kimi-k2.6", "deepseek": "deepseek-v4-pro"}
"""And the model that is asked there."""
SAYS = ("Please run the two commands.", "And now the other one, please.")
TURN_TIMEOUT_S = 60.0
ALL_TIMEOUT_S = 300.0
"""Of all sessions: a turn that has not begun by then fails."""
AT_ONCE = 2
SHOWN_CHARS = 600


@dataclass
class Outcome:
    """What came of one agent: what was wrong, by provider; nothing, where all was as promised."""

    agent: Agent
    problems: dict[str, list[str]] = field(default_factory=dict)


def run_agents(chosen: Sequence[Agent], *, heartbeat_s: float) -> list[Outcome]:
    """Run them, two at a time, before a gateway of their own."""
    if not chosen:
        return []
    outcomes = {agent.name: Outcome(agent) for agent in chosen}
    deadline_s = time.monotonic() + ALL_TIMEOUT_S
    with (
        tempfile.TemporaryDirectory(prefix="llmgw-agents-") as folder,
        AgentProviders() as providers,
        Gateway(Path(folder), _config(chosen, providers.url, heartbeat_s)) as gateway,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):

        def run(agent: Agent, provider: str) -> None:
            said = _session(agent, f"{agent.mount}-{provider}", gateway, deadline_s)
            log = providers.logs.get((agent.mount, provider), Log())
            outcomes[agent.name].problems[provider] = list(faults(log, said, provider))

        running = [pool.submit(run, agent, provider) for agent in chosen for provider in PROVIDERS]
        for session in running:
            session.result()
    return list(outcomes.values())


def _config(chosen: Sequence[Agent], url: str, heartbeat_s: float) -> str:
    parts = [f'[server]\nheartbeat_s = {heartbeat_s}\n[store]\nurl = "sqlite:///gateway.db"']
    for agent in chosen:
        for provider, model in PROVIDERS.items():
            name = f"{agent.mount}-{provider}"
            parts += [
                f'[upstreams.{name}]\nbase_url = "{url}/{agent.mount}/{provider}/v1"\napi_key = "none"',
                f'[[models]]\nid = "{name}"\nupstream = "{name}"\nupstream_model = "{model}"',
            ]
    return "\n".join(parts) + "\n"


def _session(agent: Agent, model: str, gateway: Gateway, deadline_s: float) -> list[str]:
    """What the agent printed in each turn; what went wrong with its process stands there too."""
    said = []
    with tempfile.TemporaryDirectory(prefix="llmgw-agent-home-") as home:
        work = Path(home) / "work"
        work.mkdir()
        start = agent.prepare(Site(Path(home), f"{gateway.url}/v1", gateway.key, model))
        env = {**os.environ, **clients.ENVIRONMENT, **ENVIRONMENT, "HOME": home, **start.env}
        env["PATH"] = os.pathsep.join((str(NODE_BIN), env["PATH"]))
        for command, says in zip((start.first, start.again), SAYS, strict=True):
            timeout_s = min(TURN_TIMEOUT_S, max(deadline_s - time.monotonic(), 0.0))
            said.append(_turn((*command, says), work, env, timeout_s))
    return said


def _turn(command: tuple[str, ...], folder: Path, env: dict[str, str], timeout_s: float) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"(no end within {timeout_s:.0f} s)"
    if done.returncode:
        return f"{done.stdout[-SHOWN_CHARS:]}\n(ended with {done.returncode}) {done.stderr[-SHOWN_CHARS:]}"
    return done.stdout


def faults(log: Log, said: Sequence[str], provider: str) -> Iterator[str]:
    """Everything that is wrong with a session, in words."""
    for refusal in log.refusals:
        yield f"the provider refused: {refusal}"
    for turn, printed_by_agent in enumerate(said):
        if final(turn, provider) not in printed_by_agent or "(ended with" in printed_by_agent:
            yield f"turn {turn + 1}: {printed_by_agent[-SHOWN_CHARS:]!r}"
    history = log.requests[-1] if log.requests else None
    for turn, rounds in enumerate(ROUNDS):
        for number in range(rounds):
            if not _in_history(history, "tool", printed(turn, number)):
                yield f"turn {turn + 1}: the result of command {number + 1} did not come back"
    for says in SAYS:
        if not _in_history(history, "user", says):
            yield f"the last request lacks {says!r}"


def _in_history(request: ChatRequest | None, role: str, text: str) -> bool:
    messages = request.messages if request is not None else []
    return any(message.get("role") == role and text in text_of(message) for message in messages)
