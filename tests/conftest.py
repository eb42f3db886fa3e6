"""Fixtures of the tests that need running programs, each started once per session, when first asked for."""

from collections.abc import Generator, Iterator
from pathlib import Path

import httpx2
import pytest
from anthropic import Anthropic
from hypothesis import HealthCheck, settings
from openai import AsyncOpenAI, OpenAI

from llmgw.store import Store, open_store
from tests.support.gateway import Gateway, config_text
from tests.support.postgres import PostgresServer, store_urls
from tests.support.processes import Process
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess
from tests.support.validated import AsyncValidatedTransport2, ValidatedTransport2, take

# The machine may be busy with other things: how long an example takes says nothing about it. Here it holds
# whatever test modules are imported, and in whatever order.
settings.register_profile("llmgw", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("llmgw")

HEARTBEAT_S = 0.2
MAX_BODY_BYTES = 4096


SHOWN_CHARS = 4000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the programs that the test used printed last, and whether they still run."""
    report = yield
    if report.failed:
        for name, used in getattr(item, "funcargs", {}).items():
            program = getattr(used, "process", None)
            if isinstance(program, Process):
                status = program.process.poll()
                state = "running" if status is None else f"ended with {status}"
                report.sections.append((f"{name}, {state}", program.output[-SHOWN_CHARS:]))
    return report


@pytest.fixture(autouse=True)
def answers_fit_the_schemas() -> Iterator[None]:
    """Whatever the test's clients were answered is as OpenAI's schemas have it (tests/schemas/README.md)."""
    yield
    assert take() == []


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """The simulated providers."""
    with SimulatorProcess(tmp_path_factory.mktemp("simulator")) as process:
        yield process


@pytest.fixture(scope="session")
def scripted() -> Iterator[ScriptedUpstream]:
    """The upstream that plays scripts."""
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    """A gateway with default settings, in front of the simulator and the scripted upstream."""
    config = config_text(simulator.url, scripted.base_url)
    with Gateway(tmp_path_factory.mktemp("gateway"), config) as process:
        yield process


@pytest.fixture(scope="session")
def strict_gateway(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    """The same with frequent heartbeats and a small body limit."""
    server = f"heartbeat_s = {HEARTBEAT_S}\nmax_body_bytes = {MAX_BODY_BYTES}"
    config = config_text(simulator.url, scripted.base_url, server=server)
    with Gateway(tmp_path_factory.mktemp("strict-gateway"), config) as process:
        yield process


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, for tests that leave it as it is. Each takes a database of its own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new, empty database of either kind: a test that takes it runs with both."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
    else:
        yield from store_urls(request.getfixturevalue("postgres"))


@pytest.fixture(scope="session")
def migrated(postgres: PostgresServer) -> str:
    """The name of a database that has its tables, to make others of."""
    name = postgres.new_database()
    open_store(postgres.url(name)).close()
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An open, empty store of either kind: a test that takes it runs with both."""
    if request.param == "sqlite":
        opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
        yield opened
        opened.close()
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        for url in store_urls(server, template=request.getfixturevalue("migrated")):
            opened = open_store(url)
            yield opened
            opened.close()


@pytest.fixture
def openai_client(gateway: Gateway) -> Iterator[OpenAI]:
    """The real SDK, pointed at the gateway. It does not retry: a test sees the first answer."""
    http_client = httpx2.Client(transport=ValidatedTransport2(), trust_env=False)
    with OpenAI(
        api_key=gateway.key, base_url=f"{gateway.url}/v1", max_retries=0, http_client=http_client
    ) as client:
        yield client


@pytest.fixture
def anthropic_client(gateway: Gateway) -> Iterator[Anthropic]:
    """Anthropic's SDK, likewise."""
    http_client = httpx2.Client(transport=ValidatedTransport2(), trust_env=False)
    with Anthropic(
        api_key=gateway.key, base_url=gateway.url, max_retries=0, http_client=http_client
    ) as client:
        yield client


@pytest.fixture
def async_openai_client(gateway: Gateway) -> AsyncOpenAI:
    """The SDK's async half; use it in `async with`."""
    http_client = httpx2.AsyncClient(transport=AsyncValidatedTransport2(), trust_env=False)
    return AsyncOpenAI(
        api_key=gateway.key, base_url=f"{gateway.url}/v1", max_retries=0, http_client=http_client
    )
