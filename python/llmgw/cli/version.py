"""The version of the installed package."""

from importlib import metadata


def version() -> str:
    """Such as `0.1.0`; `unknown` where the package runs from a folder without being installed."""
    try:
        return metadata.version("llmgw")
    except metadata.PackageNotFoundError:
        return "unknown"
