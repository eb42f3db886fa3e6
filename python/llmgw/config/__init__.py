"""How the gateway is configured: one TOML file, checked as a whole.

`load_config` returns a `Config` that the gateway can run with, or raises one `ConfigError` that lists every
fault with its path in the file and what would be right. Secrets are resolved (`env:NAME`, `file:PATH` or the
secret itself) and kept as `SecretStr`, so that no repr, log line or error shows them.

    TOML ──► resolve ──► tables ──► Config
             secrets,    pydantic      │ faults of all three together
             paths       checks        ▼
                                   ConfigError

Durations are in seconds and say so in their names.
"""

from llmgw.config.families import BOTH_MODES, ThinkingMode
from llmgw.config.faults import (
    ConfigError,
    Fault,
)
from llmgw.config.load import (
    MINIMAL_EXAMPLE,
    find_config,
    load_config,
    load_store,
    parse_config,
    parse_text,
    restart_faults,
    secret_faults,
)
from llmgw.config.money import NANO, Hours
from llmgw.config.otel import OtelConfig, has_opentelemetry
from llmgw.config.prices import DAYS, PriceConfig, PricesConfig, TierConfig, TimeConfig
from llmgw.config.tables import (
    CONFIG_ENV,
    DEFAULT_CONFIG,
    DEFAULT_STORE_URL,
    DIALECTS,
    MAX_DURATION_S,
    MULTIPROC_ENV,
    NATIVE,
    POSTGRESQL_PREFIX,
    SQLITE_PREFIX,
    AdminConfig,
    AlertsConfig,
    CacheConfig,
    Capability,
    Config,
    Dialect,
    LedgerConfig,
    LimitsConfig,
    Modality,
    ModelConfig,
    ModelKind,
    ResponsesConfig,
    RoutingConfig,
    ServerConfig,
    StoreConfig,
    TargetConfig,
    UpstreamConfig,
)

__all__ = [
    "BOTH_MODES",
    "CONFIG_ENV",
    "DAYS",
    "DEFAULT_CONFIG",
    "DEFAULT_STORE_URL",
    "DIALECTS",
    "MAX_DURATION_S",
    "MINIMAL_EXAMPLE",
    "MULTIPROC_ENV",
    "NANO",
    "NATIVE",
    "POSTGRESQL_PREFIX",
    "SQLITE_PREFIX",
    "AdminConfig",
    "AlertsConfig",
    "CacheConfig",
    "Capability",
    "Config",
    "ConfigError",
    "Dialect",
    "Fault",
    "Hours",
    "LedgerConfig",
    "LimitsConfig",
    "Modality",
    "ModelConfig",
    "ModelKind",
    "OtelConfig",
    "PriceConfig",
    "PricesConfig",
    "ResponsesConfig",
    "RoutingConfig",
    "ServerConfig",
    "StoreConfig",
    "TargetConfig",
    "ThinkingMode",
    "TierConfig",
    "TimeConfig",
    "UpstreamConfig",
    "find_config",
    "has_opentelemetry",
    "load_config",
    "load_store",
    "parse_config",
    "parse_text",
    "restart_faults",
    "secret_faults",
]
