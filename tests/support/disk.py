"""A disk that takes no more."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.gateway import Gateway
from tests.support.processes import worker_pids


@contextmanager
def bounded_files(gateway: Gateway, limit_bytes: int) -> Iterator[None]:
    """The worker's writes fail beyond that offset of any file, as on a full disk."""
    [worker] = worker_pids(gateway.process)
    before = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, before)
