"""A gateway whose upstreams have URLs for the clients' own APIs, and real SDKs before it."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.live.native.support import config
from tests.support.gateway import Gateway
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess


@pytest.fixture(scope="session")
def native(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    """One for all tests that change nothing."""
    text = config(simulator.url, scripted.base_url)
    with Gateway(tmp_path_factory.mktemp("native"), text) as gateway:
        yield gateway


@pytest.fixture
def own(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """One of the test's own, with a strict ledger."""
    text = config(simulator.url, scripted.base_url) + '\n[ledger]\ndurability = "strict"\n'
    with Gateway(tmp_path, text) as gateway:
        yield gateway


@pytest.fixture
def claude(native: Gateway) -> Iterator[Anthropic]:
    """Anthropic's SDK. What it gets is the provider's, so only the SDK judges it."""
    http_client = httpx2.Client(trust_env=False)
    with Anthropic(api_key=native.key, base_url=native.url, max_retries=0, http_client=http_client) as client:
        yield client


@pytest.fixture
def codex(native: Gateway) -> Iterator[OpenAI]:
    """OpenAI's SDK, likewise."""
    http_client = httpx2.Client(trust_env=False)
    with OpenAI(
        api_key=native.key, base_url=f"{native.url}/v1", max_retries=0, http_client=http_client
    ) as client:
        yield client
