"""What OpenTelemetry's conventions call a provider: `gen_ai.provider.name`.

They have words for some; the others here are ours, and docs/operations.md lists them. Any other server is
called as the config calls its upstream.
"""

from typing import Final, NamedTuple
from urllib.parse import urlsplit

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


def provider_of(url: str, upstream: str) -> str:
    """Whose server that is; `upstream`: its name in the config."""
    host = urlsplit(url).hostname or ""
    labels = host.lower().split(".")
    for at in range(len(labels)):
        name = PROVIDERS.get(".".join(labels[at:]))
        if name is not None:
            return name
    return upstream
