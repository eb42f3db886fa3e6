"""`[otel]`: where traces go."""

import importlib.util
from typing import Final

from pydantic import Field, SecretStr

from llmgw.config.table import Table

OTEL_EXTRA: Final = "llmgw[otel]"


class OtelConfig(Table):
    """`[otel]`: where traces go. What is missing comes from OpenTelemetry's environment variables."""

    endpoint: str | None = Field(default=None, min_length=1)
    """The collector's URL for OTLP over HTTP; `/v1/traces` is added unless it is there."""
    headers: SecretStr | None = None
    """What the collector gets besides, `name=value,name=value`."""
    service_name: str | None = Field(default=None, min_length=1)
    """None: that of the environment, else `llmgw`."""
    sample_ratio: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    """Of the traces that begin at the gateway; a client's own is exported if the client says so."""

    @property
    def parsed_headers(self) -> dict[str, str] | None:
        """`headers` by their names in lower case. None: there are none."""
        if self.headers is None:
            return None
        parts = (part.partition("=") for part in self.headers.get_secret_value().split(",") if part.strip())
        return {name.strip().lower(): value.strip() for name, _, value in parts}


def has_opentelemetry() -> bool:
    """Whether `llmgw[otel]` is installed."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in _MODULES)
    except ModuleNotFoundError:
        return False


_MODULES: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
