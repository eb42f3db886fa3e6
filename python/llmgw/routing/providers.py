"""What OpenTelemetry's conventions call a provider: `gen_ai.provider.name`.

They have words for some; the others here are ours, and docs/operations.md lists them. Any other server is
called as the config calls its upstream.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from llmgw.config import UpstreamConfig

PROVIDERS: Final = {
    # In the conventions (gen-ai-spans.md).
    "deepseek.com": "deepseek",
    "moonshot.cn": "moonshot_ai",
    "moonshot.ai": "moonshot_ai",
    "openai.com": "openai",
    "anthropic.com": "anthropic",
    "openai.azure.com": "azure.ai.openai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "x.ai": "x_ai",
    # Ours.
    "aliyuncs.com": "alibaba_cloud.dashscope",
    "bigmodel.cn": "zhipuai",
    "z.ai": "zhipuai",
    "minimaxi.com": "minimax",
    "minimax.io": "minimax",
    "volces.com": "volcengine.ark",
    "siliconflow.cn": "siliconflow",
    "siliconflow.com": "siliconflow",
    "openrouter.ai": "openrouter",
}
"""By the domain of the URL."""


class ProviderModel(NamedTuple):
    """Whom a target asks, and for what."""

    provider: str
    """`gen_ai.provider.name`."""
    upstream_model: str


UNKNOWN: Final = ProviderModel("", "")

Server: TypeAlias = tuple[str, int]
"""Host and port."""


class Servers(NamedTuple):
    """Where an upstream is: it may have a host of its own for each API."""

    base: Server
    elsewhere: Mapping[str, Server]
    """By the API, as `PreparedRequest.api` says it."""

    def of(self, api: str) -> Server:
        """Where requests of an API go."""
        return self.elsewhere.get(api, self.base)


NO_SERVERS: Final = Servers(("", 0), {})


def servers_of(upstream: UpstreamConfig) -> Servers:
    """The hosts and ports of an upstream's URLs."""
    urls = {"messages": upstream.messages_url, "responses": upstream.responses_url}
    return Servers(
        _server(upstream.base_url), {api: _server(url) for api, url in urls.items() if url is not None}
    )


def _server(url: str) -> Server:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


_PORTS: Final = {"http": 80, "https": 443}


def provider_of(url: str, upstream: str) -> str:
    """Whose server that is; `upstream`: its name in the config."""
    host = urlsplit(url).hostname or ""
    labels = host.lower().split(".")
    for at in range(len(labels)):
        name = PROVIDERS.get(".".join(labels[at:]))
        if name is not None:
            return name
    return upstream
