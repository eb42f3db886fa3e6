"""What is left of the limits of a key or a project, as workers count them or, of several machines, Redis."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from llmgw._core import LimitTable
from llmgw.access.key import Key
from llmgw.access.project import Project
from llmgw.config import Config, LimitsConfig, ModelConfig
from llmgw.limits.redis.server import ServerGone
from llmgw.limits.rules import NO_LIMITS, Limits
from llmgw.limits.standing import LimitLeft, limits_left, limits_left_in_redis, limits_of
from llmgw.limits.table import open_table

logger = logging.getLogger(__name__)

_NO_REDIS: Final = "Several machines share the limits in Redis, which can't be asked now ({})."
_NO_TABLE: Final = "The memory in which the workers share the limits can't be opened: {}."


class LimitsLeft(NamedTuple):
    """An answer, or why there is none."""

    limits: Sequence[LimitLeft] | None
    """Without those for each user. None: it can't be known here."""
    unknown: str | None = None
    """Why it can't, in a sentence."""


class Standings:
    """Looks, and reserves nothing. For any thread."""

    def __init__(self, config: Callable[[], Config], table: LimitTable | None = None) -> None:
        """`config`: the one in force. `table`: this worker's; None: it is opened when it is first needed."""
        self._config = config
        self._table = table
        self._lock = threading.Lock()

    def of_key(self, key: Key) -> LimitsLeft:
        """The key's own, its project's, the defaults, and those of the models that it may use."""
        if key.is_admin:  # it calls no model
            return LimitsLeft([])
        config = self._config()
        models = [(model.id, _limits(model)) for model in config.models if key.may_use(model.id)]
        return self._left(config, key, models, _limits(config.limits))

    def of_project(self, project: Project) -> LimitsLeft:
        """Those of all its keys together."""
        config = self._config()
        return self._left(config, project, [(model.id, NO_LIMITS) for model in config.models], NO_LIMITS)

    def _left(
        self, config: Config, key: Key | Project, models: Sequence[tuple[str, Limits]], defaults: Limits
    ) -> LimitsLeft:
        limits = limits_of(key, models, defaults)
        if config.limits.machines > 1 and config.cache.url is not None:
            try:
                return LimitsLeft(limits_left_in_redis(config.cache.url.get_secret_value(), limits))
            except ServerGone as error:
                return LimitsLeft(None, _NO_REDIS.format(error))
        try:
            table = self._opened(config)
        except OSError as error:
            logger.warning("what is left of limits can't be told: %s", error)
            return LimitsLeft(None, _NO_TABLE.format(error.strerror or error))
        return LimitsLeft(limits_left(table, limits))

    def _opened(self, config: Config) -> LimitTable:
        with self._lock:
            if self._table is None:
                self._table = open_table(config)
            return self._table


def _limits(table: ModelConfig | LimitsConfig) -> Limits:
    return Limits(table.requests_per_minute, table.tokens_per_minute, table.concurrent_requests)
