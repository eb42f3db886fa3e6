"""Do the servers answer that machines share: the PostgreSQL of `[store]`, the Redis of `[cache]`?"""

from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from llmgw.config import SQLITE_PREFIX, CacheConfig, StoreConfig
from llmgw.reasoning.store import CacheError, Patience
from llmgw.reasoning.turns import open_cache
from llmgw.redis import connect
from llmgw.routing.probe import Verdict
from llmgw.store import store_at
from llmgw.store.failures import cause_of
from llmgw.store.migrate import is_current

_NO_KEY: Final = bytes(32)
"""A key that is never stored."""


def probe_store(config: StoreConfig) -> Verdict | None:
    """Read the tables' version, and change nothing; None if the store is a file. Blocking."""
    if config.url.startswith(SQLITE_PREFIX):
        return None
    store = store_at(config.url)
    try:
        with store.read() as session:
            current = is_current(session.connection())
    except SQLAlchemyError as error:
        return Verdict("fault", f"can't be used ({cause_of(error)})")
    finally:
        store.close()
    return Verdict("ok", "ok" if current else "ok, but its tables are not of this version")


async def probe_cache(config: CacheConfig) -> Verdict | None:
    """Read from Redis, as requests do; None if no Redis is configured."""
    if config.url is None:
        return None
    redis = connect(config.url.get_secret_value())
    try:
        await open_cache(config, redis).get(_NO_KEY, [_NO_KEY], Patience())
    except CacheError as error:
        return Verdict("fault", f"can't be used ({error})")
    finally:
        await redis.close()
    return Verdict("ok", "ok")
