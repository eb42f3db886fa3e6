"""Gateways for the console's tests: simulated providers, some prices, some traffic."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.console.support import STATIC
from tests.support.admin import SOON_S, Admin, admin_gateway
from tests.support.chat import WEATHER, body, pictures, streamed
from tests.support.gateway import config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

SLOW: Final = "slow-qwen"
"""A model that thinks and streams at a pace that a test can follow."""
SLOW_MS: Final = 120.0
"""Its pause before each chunk."""
PRICES: Final = {
    "qwen3.6-plus": "{input = 2, cached_input = 0.4, output = 12}",
    "qwen3-max": "{input = 6, output = 24}",
    "glm-5": "{input = 4, output = 18}",
    "deepseek-v4-pro": '{input = 0.56, output = 1.68, currency = "USD"}',
}
"""Of a million tokens; the other models have none."""


def console_config(simulator: SimulatorProcess, slow: SimulatorProcess, scripted: ScriptedUpstream) -> str:
    """The config of `tests.support.gateway`, with prices and the slow model."""
    config = config_text(simulator.url, scripted.base_url)
    for model, price in PRICES.items():
        config = re.sub(
            rf'^id = "{re.escape(model)}"$', rf"\g<0>\nprice = {price}", config, flags=re.MULTILINE
        )
    upstream = f'[upstreams.slow]\nbase_url = "{slow.url}/qwen/v1"\napi_key = "sim-qwen"'
    model = f'id = "{SLOW}"\nupstream = "slow"\nupstream_model = "qwen3.6-plus"'
    prices = "[prices.exchange]\nUSD = 7.1"
    return f'{config}\n{prices}\n\n{upstream}\n\n[[models]]\n{model}\ninput_modalities = ["text", "image"]\n'


@contextmanager
def console_gateway(
    folder: Path, config: str, *, own_process: bool = False, more: str = ""
) -> Iterator[Admin]:
    """A gateway with the console. RuntimeError where that was not built. `more`: lines of `[admin]`."""
    if not (STATIC / "index.html").is_file():
        raise RuntimeError(
            f"there is no {STATIC}/index.html: `make test-console` builds it (or: make console)"
        )
    with admin_gateway(folder, config, own_process=own_process, more=more) as admin:
        yield admin


def await_key(admin: Admin, key: str) -> None:
    """Until a new key is taken: a busy machine may have no time to read it with its first request."""
    taken = httpx.codes.OK
    wait_until(lambda: admin.gateway.get("/v1/models", key=key).status == taken, "the key", timeout_s=SOON_S)


def traffic() -> Iterator[dict[str, Any]]:
    """Some requests of many kinds, one of which fails."""
    for question in ("Why is the sky blue?", "什么是 RESTful API?"):
        for model in ("qwen3.6-plus", "qwen3-max", "deepseek-v4-pro", "glm-5", "kimi-k2.6", "minimax-m3"):
            asked = {"messages": [{"role": "user", "content": question}], "user": "li.na"}
            yield {**streamed(model, include_usage=True), **asked}
    for thinking in (True, False):
        yield streamed("qwen3.6-plus", include_usage=True, enable_thinking=thinking, user="王伟")
    yield body("glm-5", tools=[WEATHER])
    yield {**body("qwen3.6-plus"), "messages": pictures("https://example.com/a.png")}
    yield body("nobody")


def serve(admin: Admin, key: str) -> list[str]:
    """Ask all of `traffic` with a key, and wait for the ledger; the ids of the requests."""
    answers = [admin.gateway.post(wanted, key=key) for wanted in traffic()]
    ids = [answer.headers["x-request-id"] for answer in answers]
    for request_id in ids:
        admin.gateway.ledger(request_id)
    return ids
