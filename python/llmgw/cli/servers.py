"""Do the servers answer that machines share: the PostgreSQL of `[store]`, the Redis of `[cache]`?"""

from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from llmgw.config import SQLITE_PREFIX, CacheConfig, StoreConfig
from llmgw.reasoning.store import CacheError, Patience
from llmgw.reasoning.turns import open_cache
from llmgw.redis import connect
from llmgw.routing.probe import Verdict
from llmgw.store import store_at
from llmgw.store.failures import cause_of
from llmgw.store.revision import Tables, tables

_NO_KEY: Final = bytes(32)
"""A key that is never stored."""
_MAY_MAKE_TABLES: Final = text("SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)")
_SAID: Final = {
    Tables.CURRENT: "ok",
    Tables.MISSING: "ok; it is empty, and the first start makes its tables",
    Tables.OLDER: "ok; its tables are of an older version, and the next start migrates them",
    Tables.UNKNOWN: "its tables are of a newer version of llmgw",
}


def probe_store(config: StoreConfig) -> Verdict | None:
    """Read the tables' version, and change nothing; None if the store is a file. Blocking."""
    if config.url.startswith(SQLITE_PREFIX):
        return None
    store = store_at(config.url)
    try:
        with store.read() as session:
            found = tables(session.connection())
            may_make = found is not Tables.MISSING or session.scalar(_MAY_MAKE_TABLES)
    except SQLAlchemyError as error:
        return Verdict("fault", f"can't be used ({cause_of(error)})")
    finally:
        store.close()
    if not may_make:
        return Verdict("fault", "is empty, and its user may make no tables: let it own the database")
    return Verdict("fault" if found is Tables.UNKNOWN else "ok", _SAID[found])


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
