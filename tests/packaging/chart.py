"""`python -m tests.packaging.chart < RELEASES`: lints and renders deploy/helm/llmgw by Helm itself.

A process of its own, because Helm brings Go's runtime with its signal handlers. RELEASES is JSON, name ⇒
values; the answer on stdout is too: name ⇒ `Rendered`.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final, TypedDict

from tests.support.processes import ROOT

CHART: Final = ROOT / "deploy" / "helm" / "llmgw"
NAMESPACE: Final = "llm"
_NOTABLE: Final = 2
"""Severity of a warning."""


class Rendered(TypedDict):
    """What Helm says of a release."""

    findings: list[str]
    """Of `helm lint --strict`; information aside."""
    manifests: dict[str, str]
    """By the template's path."""
    error: str | None
    """Why it can't be rendered."""


def render(releases: Mapping[str, Mapping[str, Any]]) -> dict[str, Rendered]:
    """All of them, in one process."""
    command = [sys.executable, "-m", "tests.packaging.chart"]
    done = subprocess.run(
        command, input=json.dumps(releases), capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    rendered: dict[str, Rendered] = json.loads(done.stdout)
    return rendered


def _main() -> None:
    import helm_python as helm  # noqa: PLC0415  (not in the tests' own process)

    chart = helm.Chart.load(CHART)
    answer: dict[str, Rendered] = {}
    for name, values in json.load(sys.stdin).items():
        report = helm.lint(CHART, values, strict=True, namespace=NAMESPACE)
        notable = [each for each in report["messages"] if each["severity"] >= _NOTABLE]
        findings = [f"{each['path']}: {each['error']}" for each in notable] + report["errors"]
        try:
            chart.validate_schema(values)
            manifests, error = chart.render(values, name=name, namespace=NAMESPACE), None
        except helm.HelmError as failed:
            manifests, error = {}, str(failed)
        answer[name] = {"findings": findings, "manifests": manifests, "error": error}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _main()
