"""Whether traces are exported, and where: `[otel]` of the config, else OpenTelemetry's environment variables.

What the config says goes before the environment. A value of the environment that can't be used is a warning
and not a fault, since such variables are often set for other programs of the machine: requests are served all
the same.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from llmgw.config import OtelConfig, has_opentelemetry
from llmgw.observe.tracing.trace import Sampler

TRACES_PATH: Final = "/v1/traces"
PROTOCOL: Final = "http/protobuf"
DEFAULT_SERVICE: Final = "llmgw"
_SAMPLERS: Final[Mapping[str, tuple[bool, float | None]]] = {
    "always_on": (False, 1.0),
    "always_off": (False, 0.0),
    "traceidratio": (False, None),
    "parentbased_always_on": (True, 1.0),
    "parentbased_always_off": (True, 0.0),
    "parentbased_traceidratio": (True, None),
}
"""OTEL_TRACES_SAMPLER: whether the parent decides, and the share of the others; None: by its argument."""
_COMPRESSIONS: Final = frozenset({"none", "gzip", "deflate"})
_CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class Settings(NamedTuple):
    """How traces are exported. What is None the exporter takes from the environment."""

    endpoint: str
    """The whole URL."""
    headers: Mapping[str, str] | None
    service_name: str | None
    sampler: Sampler
    content: bool
    """Whether spans have the messages of requests and answers."""


class Decision(NamedTuple):
    """What was found."""

    settings: Settings | None
    """None: no traces are exported."""
    warnings: tuple[str, ...]


def decide(config: OtelConfig, environ: Mapping[str, str]) -> Decision:
    """Whether traces are exported. Reads no file and imports nothing."""
    endpoint = None if _is_off(config, environ) else _endpoint(config, environ)
    if endpoint is None:
        return Decision(None, ())
    faults = [*_faults(config, environ)]
    if faults:
        return Decision(None, tuple(f"{fault}. No traces are exported." for fault in faults))
    warnings: list[str] = []
    sampler = _sampler(config, environ, warnings)
    settings = Settings(
        endpoint=endpoint,
        headers=config.parsed_headers,
        service_name=config.service_name,
        sampler=sampler,
        content=_is_true(environ.get(_CAPTURE)),
    )
    return Decision(settings, tuple(warnings))


def _is_off(config: OtelConfig, environ: Mapping[str, str]) -> bool:
    if _is_true(environ.get("OTEL_SDK_DISABLED")):
        return True
    return config.endpoint is None and environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none"


def _endpoint(config: OtelConfig, environ: Mapping[str, str]) -> str | None:
    """A base gets the path of traces, as the specification says; what is for traces alone is whole."""
    if config.endpoint is None and (whole := environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()):
        return whole
    base = config.endpoint or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if not base:
        return None
    base = base.rstrip("/")
    return base if base.endswith(TRACES_PATH) else base + TRACES_PATH


def _faults(config: OtelConfig, environ: Mapping[str, str]) -> list[str]:
    faults = []
    if not has_opentelemetry():
        what = "OTEL_EXPORTER_OTLP_ENDPOINT is set" if config.endpoint is None else "[otel] has an endpoint"
        faults.append(f"{what}, but OpenTelemetry is not installed: pip install 'llmgw[otel]'")
    if config.endpoint is None:
        faults += _faults_of_exporter(environ)
    compression = _of_traces(environ, "COMPRESSION")
    if compression and compression.lower() not in _COMPRESSIONS:
        faults.append(f"OTEL_EXPORTER_OTLP_COMPRESSION is {compression!r}; write gzip, deflate or none")
    timeout = _of_traces(environ, "TIMEOUT")
    if timeout and not _is_positive(timeout):
        faults.append(f"OTEL_EXPORTER_OTLP_TIMEOUT is {timeout!r}; write a number of seconds")
    return faults


def _faults_of_exporter(environ: Mapping[str, str]) -> list[str]:
    """Of what says where to, which `[otel] endpoint` overrides."""
    faults = []
    endpoint = _of_traces(environ, "ENDPOINT")
    if not endpoint.startswith(("http://", "https://")):
        faults.append("OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https URL")
    protocol = _of_traces(environ, "PROTOCOL")
    if protocol and protocol != PROTOCOL:
        faults.append(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, and llmgw speaks only {PROTOCOL}: write that, and "
            "the collector's port for HTTP, usually 4318, or set [otel] endpoint"
        )
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter and exporter != "otlp":
        faults.append(f"OTEL_TRACES_EXPORTER is {exporter!r}, and llmgw has only otlp")
    return faults


def _sampler(config: OtelConfig, environ: Mapping[str, str], warnings: list[str]) -> Sampler:
    if config.sample_ratio is not None:
        return Sampler(config.sample_ratio)
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if not name:
        return Sampler()
    if name not in _SAMPLERS:
        known = ", ".join(_SAMPLERS)
        warnings.append(
            f"OTEL_TRACES_SAMPLER is {name!r}, which is none of {known}. All traces are exported."
        )
        return Sampler()
    follows_parent, ratio = _SAMPLERS[name]
    if ratio is None:
        argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
        ratio = _ratio(argument)
        if ratio is None:
            remedy = "write a number from 0 to 1. All traces are exported."
            warnings.append(f"OTEL_TRACES_SAMPLER_ARG is {argument!r}; {remedy}")
            ratio = 1.0
    return Sampler(ratio, follows_parent)


def _ratio(text: str) -> float | None:
    """The specification's default is 1."""
    try:
        ratio = float(text or "1")
    except ValueError:
        return None
    return ratio if 0 <= ratio <= 1 else None


def _of_traces(environ: Mapping[str, str], name: str) -> str:
    """The value for traces, else the one for all signals."""
    for prefix in ("OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"):
        if value := environ.get(prefix + name, "").strip():
            return value
    return ""


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() == "true"
