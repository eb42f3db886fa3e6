"""Whether traces are exported, and where: the config, then OpenTelemetry's own environment variables."""

from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from llmgw.config import ConfigError, OtelConfig
from llmgw.observe.tracing import settings as settings_module
from llmgw.observe.tracing.context import SAMPLED, Parent
from llmgw.observe.tracing.settings import Settings, decide
from llmgw.observe.tracing.trace import Sampler
from tests.support.configs import load

NOTHING: Final = OtelConfig()
HERE: Final = OtelConfig(endpoint="http://collector:4318")
ENV: Final = "http://env:4318"


def settings(config: OtelConfig = NOTHING, **environ: str) -> Settings:
    decision = decide(config, environ)
    assert decision.settings is not None
    assert decision.warnings == ()
    return decision.settings


@pytest.mark.parametrize(
    ("config", "environ", "endpoint"),
    [
        (HERE, {}, "http://collector:4318/v1/traces"),
        (OtelConfig(endpoint="http://collector/v1/traces/"), {}, "http://collector/v1/traces"),
        (OtelConfig(endpoint="http://collector/otlp/"), {}, "http://collector/otlp/v1/traces"),
        (NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": ENV}, f"{ENV}/v1/traces"),
        (NOTHING, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{ENV}/mine"}, f"{ENV}/mine"),
        (HERE, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{ENV}/mine"}, "http://collector:4318/v1/traces"),
        (HERE, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://collector:4318/v1/traces"),
        (HERE, {"OTEL_TRACES_EXPORTER": "none"}, "http://collector:4318/v1/traces"),
    ],
)
def test_where_they_go(config: OtelConfig, environ: dict[str, str], endpoint: str) -> None:
    assert settings(config, **environ).endpoint == endpoint


@pytest.mark.parametrize(
    ("config", "environ"),
    [
        (NOTHING, {}),
        (NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": " "}),
        (HERE, {"OTEL_SDK_DISABLED": "TRUE"}),
        (NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": ENV, "OTEL_SDK_DISABLED": "true"}),
        (NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": ENV, "OTEL_TRACES_EXPORTER": "none"}),
    ],
)
def test_off_without_a_word(config: OtelConfig, environ: dict[str, str]) -> None:
    assert decide(config, environ) == (None, ())


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "speaks only http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "speaks only http/protobuf"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "has only otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "not an http or https URL"),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"}, "write gzip, deflate or none"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "write a number of seconds"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "0"}, "write a number of seconds"),
    ],
)
def test_what_the_environment_says_wrong_is_a_warning(environ: dict[str, str], said: str) -> None:
    decision = decide(NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": ENV, **environ})
    assert decision.settings is None
    [warning] = decision.warnings
    assert said in warning
    assert warning.endswith("No traces are exported.")


def test_good_values_of_the_environment() -> None:
    settings(
        NOTHING,
        OTEL_EXPORTER_OTLP_ENDPOINT=ENV,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_TIMEOUT="2.5",
    )


@pytest.mark.parametrize(
    ("config", "environ", "sampler"),
    [
        (HERE, {}, Sampler(1.0)),
        (OtelConfig(endpoint=ENV, sample_ratio=0.25), {"OTEL_TRACES_SAMPLER": "always_off"}, Sampler(0.25)),
        (HERE, {"OTEL_TRACES_SAMPLER": "always_on"}, Sampler(1.0, follows_parent=False)),
        (HERE, {"OTEL_TRACES_SAMPLER": "always_off"}, Sampler(0.0, follows_parent=False)),
        (HERE, {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, Sampler(0.0)),
        (
            HERE,
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
            Sampler(0.5),
        ),
        (HERE, {"OTEL_TRACES_SAMPLER": "traceidratio"}, Sampler(1.0, follows_parent=False)),
    ],
)
def test_the_sampler(config: OtelConfig, environ: dict[str, str], sampler: Sampler) -> None:
    assert settings(config, **environ).sampler == sampler


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1.5"},
    ],
)
def test_a_sampler_that_is_not_known_takes_all_and_says_so(environ: dict[str, str]) -> None:
    decision = decide(HERE, environ)
    assert decision.settings is not None
    assert decision.settings.sampler.ratio == 1.0
    assert "All traces are exported" in decision.warnings[0]


def test_samplers_agree_with_opentelemetry() -> None:
    from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased  # noqa: PLC0415

    for ratio in (0.0, 0.1, 0.5, 1.0):
        theirs = TraceIdRatioBased(ratio)
        for trace_id in (1, 2**63 - 1, 2**63, 2**64 - 1, 0x4BF92F3577B34DA61999999999999999, 2**128 - 1):
            expected = theirs.should_sample(None, trace_id, "x").decision is Decision.RECORD_AND_SAMPLE
            assert Sampler(ratio).takes(f"{trace_id:032x}", None) is expected, (ratio, trace_id)


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize("flags", [0, SAMPLED])
def test_the_parent_decides_where_it_is_asked(follows: bool, flags: int) -> None:  # noqa: FBT001
    taken = Sampler(0.0, follows_parent=follows).takes("1" * 32, Parent("1" * 32, "2" * 16, flags))
    assert taken is (follows and bool(flags))


def test_headers() -> None:
    config = OtelConfig(endpoint=ENV, headers=SecretStr("Authorization=Bearer a=b, x-team = c,"))
    assert settings(config).headers == {"authorization": "Bearer a=b", "x-team": "c"}
    assert settings(HERE).headers is None  # the exporter reads the environment


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "has_opentelemetry", lambda: False)
    decision = decide(NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": ENV})
    assert decision.settings is None
    assert "pip install 'llmgw[otel]'" in decision.warnings[0]


UPSTREAM: Final = """
[upstreams.u]
base_url = "http://127.0.0.1:1/v1"
[[models]]
id = "m"
upstream = "u"
"""


@pytest.mark.parametrize(
    ("otel", "fault"),
    [
        ('endpoint = "collector:4317"', "otel.endpoint: is not an http or https URL"),
        ('endpoint = "http://user:secret@collector"', "put the secret into otel.headers"),
        ('endpoint = ""', "otel.endpoint"),
        ('headers = "no equals sign"', "otel.headers: is not a list of headers"),
        ("sample_ratio = 2", "otel.sample_ratio: is out of range"),
        ('endpont = "x"', "did you mean 'endpoint'?"),
    ],
)
def test_faults_of_the_config(tmp_path: Path, otel: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"[otel]\n{otel}\n{UPSTREAM}")
    assert fault in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_a_missing_extra_is_a_fault_of_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.config.resolve.has_opentelemetry", lambda: False)
    with pytest.raises(ConfigError, match=r"install llmgw\[otel\]"):
        load(tmp_path, f'[otel]\nendpoint = "http://collector:4318"\n{UPSTREAM}')
