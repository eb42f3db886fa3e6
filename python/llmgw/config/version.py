"""Which version of llmgw is installed?"""

from importlib import metadata


def version() -> str:
    """Such as `0.1.0`; `unknown` if the package is not installed."""
    try:
        return metadata.version("llmgw")
    except metadata.PackageNotFoundError:
        return "unknown"
