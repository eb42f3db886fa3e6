"""How limits are told: durations as OpenAI writes them, times as Anthropic does."""

import re

import pytest

from llmgw.limits.headers import Standing, anthropic_headers, duration, openai_headers, seconds

CODEX = re.compile(r"(?i)try again in\s*(\d+(?:\.\d+)?)\s*(s|ms|seconds?)")
"""What Codex looks for in the message of an error `rate_limit_exceeded`."""


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [
        (0, "0ms"),
        (-1, "0ms"),
        (0.12, "120ms"),
        (0.0001, "1ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.9995, "1m0s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (3599.5, "1h0m0s"),
        (3725, "1h2m5s"),
    ],
)
def test_durations(duration_s: float, expected: str) -> None:
    assert duration(duration_s) == expected


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [(0.0, "0s"), (1.5, "1.5s"), (1.0, "1s"), (0.1204, "0.121s"), (75.25, "75.25s"), (0.1 + 0.2, "0.3s")],
)
def test_seconds_that_codex_reads(duration_s: float, expected: str) -> None:
    assert seconds(duration_s) == expected
    assert CODEX.search(f"Please try again in {seconds(duration_s)}.")


REQUESTS, TOKENS = Standing(60, 12, 48.0), Standing(100_000, 0, 60.0)


def test_openai_s_six() -> None:
    assert openai_headers((REQUESTS, TOKENS), 0.0) == [
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"12"),
        (b"x-ratelimit-reset-requests", b"48s"),
        (b"x-ratelimit-limit-tokens", b"100000"),
        (b"x-ratelimit-remaining-tokens", b"0"),
        (b"x-ratelimit-reset-tokens", b"1m0s"),
    ]
    assert openai_headers((None, None), 0.0) == []
    assert next(name for name, _ in openai_headers((None, TOKENS), 0.0)) == b"x-ratelimit-limit-tokens"


def test_anthropic_s_family() -> None:
    assert anthropic_headers((REQUESTS, None), 1_000_000_000.5) == [
        (b"anthropic-ratelimit-requests-limit", b"60"),
        (b"anthropic-ratelimit-requests-remaining", b"12"),
        (b"anthropic-ratelimit-requests-reset", b"2001-09-09T01:47:29Z"),
    ]
