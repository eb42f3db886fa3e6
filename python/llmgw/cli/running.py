"""What a gateway that runs with the configured database says of its upstreams."""

from collections.abc import Sequence

from llmgw.admin.context import WorkerReport
from llmgw.admin.health import ask_workers
from llmgw.admin.models import HealthBook
from llmgw.config import Config
from llmgw.config.address import local_host, url_of
from llmgw.serving.run_folder import RunFolder


def health_of(config: Config) -> HealthBook:
    """Of the workers that answer at the config's host and port; of none if no gateway runs there."""
    return HealthBook(_reports(config))


def _reports(config: Config) -> Sequence[WorkerReport]:
    if config.server.port == 0:
        return []
    try:
        workers = [pid for folder in RunFolder.running(config.run_folder) for pid in folder.workers()]
    except OSError:
        return []
    url = url_of(local_host(config.server.host), config.server.port)
    return ask_workers(url, workers) if workers else []
