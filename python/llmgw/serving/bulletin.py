"""What the parent has to tell its workers, gathered from its threads."""

import threading
from typing import Final

from llmgw.config import Config
from llmgw.serving.in_force import Board, InForce

FIRST_GENERATION: Final = 1
SECRETS: Final = "secrets"
"""A topic of notices, and the next too."""
RESTARTS: Final = "restarts"
ADMIN: Final = "admin"


class Bulletin:
    """The config in force and the notices, on a `Board`. For several threads of the parent.

    A worker may be forked while one of them holds the lock: workers only read the board.
    """

    def __init__(self, config: Config) -> None:
        """Puts `config` in force as the first."""
        self.board: Final = Board()
        self._lock = threading.Lock()
        self._notices: dict[str, str] = {}
        self._config = config
        self._generation = FIRST_GENERATION
        self._publish()

    @property
    def config(self) -> Config:
        """The one in force."""
        return self._config

    @property
    def generation(self) -> int:
        """Its number."""
        return self._generation

    def put_in_force(self, config: Config) -> None:
        """From now on workers use `config`. What was said of the old one's secrets is void."""
        with self._lock:
            self._config = config
            self._generation += 1
            self._notices.pop(SECRETS, None)
            self._publish()

    def notice(self, topic: str, text: str | None) -> None:
        """Say this in `/readyz` from now on; None: nothing of this topic."""
        with self._lock:
            if self._notices.get(topic) == text:
                return
            self._notices.pop(topic, None)
            if text is not None:
                self._notices[topic] = text
            self._publish()

    def _publish(self) -> None:
        notices = tuple(text for _, text in sorted(self._notices.items()))
        self.board.publish(InForce(self._generation, self._config, notices))
