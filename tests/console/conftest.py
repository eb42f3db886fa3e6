"""Fixtures of the console's tests.

A page's tests stand in `test_PAGE.py`, and look like this:

    def test_it_says_so(console: Console) -> None:
        page = console("keys", language="zh", theme="dark", width=390)
        expect(page.get_by_role("heading", name="密钥")).to_be_visible()

`tests.console.support` has `Console`, `axe(page)` and `no_overflow(page)`; `page` is Playwright's, of its
synchronous API. What a test must not see is looked for at its end (`Console`).
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Error, expect

from tests.console.browser import chromium
from tests.console.gateways import SLOW_MS, console_config, console_gateway, serve
from tests.console.support import TIMEOUT_MS, Console
from tests.support.admin import Admin
from tests.support.gateway import Gateway
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what its pages showed."""
    report = yield
    console = getattr(item, "funcargs", {}).get("console")
    if report.failed and report.when == "call" and isinstance(console, Console):
        try:
            report.sections.append(("pages", console.look()))
        except Error as error:  # a browser that is gone
            report.sections.append(("pages", str(error)))
    return report


_FIGURES: Final = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was measured."""
    for line in config.stash.get(_FIGURES, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes what a test has measured and nobody decides on: it is printed at the end."""
    return request.config.stash.setdefault(_FIGURES, []).append


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each page has its own storage in it."""
    expect.set_options(timeout=TIMEOUT_MS)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """The simulated providers at a human pace."""
    with SimulatorProcess(tmp_path_factory.mktemp("slow"), delay_ms=SLOW_MS) as process:
        yield process


@pytest.fixture(scope="session")
def config(simulator: SimulatorProcess, slow: SimulatorProcess, scripted: ScriptedUpstream) -> str:
    """Of all gateways here."""
    return console_config(simulator, slow, scripted)


@pytest.fixture(scope="session")
def admin(tmp_path_factory: pytest.TempPathFactory, config: str) -> Iterator[Admin]:
    """The gateway of most tests, by its admin API; it has served a few requests. All tests share it."""
    folder = tmp_path_factory.mktemp("console")
    with console_gateway(folder, config, more="capture = true\n") as admin:
        serve(admin, admin.gateway.key)
        yield admin


@pytest.fixture(scope="session")
def gateway(admin: Admin) -> Gateway:
    """The same as a process with a database."""
    return admin.gateway


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, config: str) -> Iterator[Admin]:
    """A module's own gateway, which nobody has asked anything: `console(path, site=untouched)`."""
    with console_gateway(tmp_path_factory.mktemp("untouched"), config, more="capture = true\n") as admin:
        yield admin


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, config: str) -> Iterator[Admin]:
    """A module's own gateway whose console is in the admin process, on a port of its own."""
    with console_gateway(tmp_path_factory.mktemp("apart"), config, own_process=True) as admin:
        yield admin


@pytest.fixture
def restartable(tmp_path: Path, config: str) -> Iterator[Admin]:
    """A test's own gateway, which may be ended: `restartable.gateway.stop()`, `.start()`."""
    with console_gateway(tmp_path, config) as admin:
        yield admin


@pytest.fixture(scope="session")
def admin_key(admin: Admin) -> str:
    """One that may do everything."""
    return admin.key


@pytest.fixture(scope="session")
def read_key(admin: Admin) -> str:
    """An admin's that may only look."""
    return admin.new_key("admin_read")


@pytest.fixture(scope="session")
def model_key(admin: Admin) -> str:
    """A client's, with which the traffic was asked."""
    return admin.gateway.key


@pytest.fixture
def console(browser: Browser, admin: Admin, tmp_path: Path) -> Iterator[Console]:
    """Opens pages, and looks at the end at what they did."""
    with Console(browser, admin, tmp_path) as console:
        yield console
        faults = console.faults()
    if faults:
        pytest.fail("the pages did what none should:\n" + "\n".join(faults), pytrace=False)
