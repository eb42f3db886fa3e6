"""Which clients get comments without a blank line behind them."""

import pytest

from llmgw.asgi.request import read_fields
from llmgw.asgi.sdk import needs_bare_comments


def go(version: str) -> dict[str, str]:
    return {
        "x-stainless-lang": "go",
        "x-stainless-package-version": version,
        "user-agent": f"OpenAI/Go {version}",
    }


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (go("0.1.0-alpha.62"), True),
        (go("1.12.0"), True),
        (go("2.7.1"), True),
        (go("3.42.0"), True),
        (go("v3.42.9"), True),
        (go("3.42"), True),
        (go("3.43.0-beta.1"), True),
        (go("3.43.0"), False),
        (go("3.43.0+build"), False),
        (go("3.100.2"), False),
        (go("10.0.0"), False),
        (go("latest"), False),
        (go(""), False),
        (go("9" * 5000), False),
        ({"user-agent": "OpenAI/Go 3.42.0"}, True),
        ({"user-agent": "openai/go 1.12.0"}, True),
        ({"user-agent": "crush/1.0 OpenAI/Go 3.42.0 (linux)"}, True),
        ({"user-agent": "OpenAI/Go 3.43.0"}, False),
        ({"user-agent": "OpenAI/Go"}, False),
        ({"user-agent": "NotOpenAI/Go 1.12.0"}, False),
        # The SDK's own headers say more than a user agent that anybody may set.
        (go("3.96.0") | {"user-agent": "OpenAI/Go 1.12.0"}, False),
        (go("1.12.0") | {"user-agent": "my-program/9.0"}, True),
        ({"x-stainless-lang": "Go", "x-stainless-package-version": "1.12.0"}, True),
        ({"x-stainless-lang": "go"}, False),
        ({"x-stainless-lang": "python", "x-stainless-package-version": "1.12.0"}, False),
        ({"x-stainless-lang": "js", "x-stainless-package-version": "1.12.0"}, False),
        ({"x-stainless-package-version": "1.12.0"}, False),
        ({"user-agent": "OpenAI/Python 1.109.1"}, False),
        ({}, False),
    ],
)
def test_the_form_of_a_heartbeat_follows_the_client(headers: dict[str, str], *, expected: bool) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert needs_bare_comments(read_fields({"headers": pairs})) is expected
