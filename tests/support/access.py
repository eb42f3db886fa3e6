"""An actor and clocks for tests of `llmgw.access`."""

import time
from datetime import datetime, timedelta, tzinfo

import pytest

ACTOR = "cli test@here"


class Wall:
    """The wall clock of snapshots, which can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the right time."""
        self._off = timedelta(0)
        monkeypatch.setattr("llmgw.access.snapshot.datetime", self)

    def now(self, zone: tzinfo) -> datetime:
        """As `datetime.now`."""
        return datetime.now(zone) + self._off

    def set_back(self, by: timedelta) -> None:
        """As an administrator does, or NTP."""
        self._off -= by


class Monotonic:
    """The monotonic clock, which can be moved on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the right time."""
        self.ahead_s = 0.0
        real = time.monotonic
        monkeypatch.setattr("llmgw.access.snapshot.time.monotonic", lambda: real() + self.ahead_s)
