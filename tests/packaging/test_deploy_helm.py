"""deploy/helm: linted and rendered by Helm itself; what comes out is held against schemas and rules.

There is no cluster here: nothing of it was ever applied.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from llmgw.cli.main import make_parser
from llmgw.endpoints.operations import OPERATIONS
from tests.packaging.chart import CHART, NAMESPACE, Rendered, render
from tests.packaging.configs import GIB, most_bytes, parsed, secrets_of, variables_of
from tests.packaging.containerfile import Containerfile
from tests.support.processes import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Helm comes as a package for Linux alone")
EXAMPLES: Final = {path.stem: path for path in sorted((ROOT / "deploy" / "helm" / "examples").glob("*.yaml"))}
RELEASES: Final[dict[str, dict[str, Any]]] = {
    "defaults": {},
    **{name: yaml.safe_load(path.read_text("utf-8")) for name, path in EXAMPLES.items()},
    "bare": {
        "persistence": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "configChange": "none",
        "preStopSeconds": 0,
        "serviceAccount": {"name": "theirs"},
        "image": {"repository": "registry.example/llmgw", "digest": f"sha256:{'0' * 64}"},
        "fullnameOverride": "gateway",
    },
}
ONE_TABLE: Final = '[upstreams.a]\nbase_url = "https://a.example/v1"\n[[models]]\nid = "m"\nupstream = "a"\n'
REFUSED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "two-on-a-file": ({"config": f'[store]\nurl = "sqlite:////var/lib/llmgw/a.db"\n{ONE_TABLE}'}, "SQLite"),
    "two-on-the-default": (
        {"config": f'[cache]\nurl = "file:/run/secrets/llmgw/redis_url"\n{ONE_TABLE}'},
        "SQLite",
    ),
    "more-on-a-file": (
        {"replicas": 1, "autoscaling": {"enabled": True}, "config": ONE_TABLE},
        "SQLite",
    ),
    "cut-off": ({"terminationGracePeriodSeconds": 40}, "must be more than 40"),
    "cut-off-as-configured": (
        {
            "terminationGracePeriodSeconds": 65,
            "config": f"[server]\nstop_delay_s = 2.5\ndrain_timeout_s = 59.5\n{ONE_TABLE}",
            "replicas": 1,
        },
        "must be more than 73",
    ),
    "any-image": ({"image": {"tag": "latest"}}, "/image/tag"),
    "a-typing-error": ({"replica": 3}, "replica"),
    "all-in-the-open": ({"ingress": {"enabled": True, "path": "/"}}, "/ingress/path"),
    "a-shared-volume": ({"persistence": {"accessModes": ["ReadWriteMany"]}}, "/persistence/accessModes"),
    "no-secret": ({"existingSecret": ""}, "/existingSecret"),
}
KUBERNETES: Final = ("1.27", "1.37")
"""The oldest that Chart.yaml allows, and the newest that the schemas are there for."""
FOREIGN: Final = {"ServiceMonitor"}
"""Kinds that are not of Kubernetes itself."""


class Release(NamedTuple):
    """What would be applied."""

    name: str
    manifests: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The manifests of this kind."""
        return [each for each in self.manifests if each["kind"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        """The only one of its kind."""
        [found] = self.of(kind)
        return found

    @property
    def pod(self) -> dict[str, Any]:
        """The spec of a gateway's pod."""
        spec: dict[str, Any] = self.one("StatefulSet")["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> dict[str, Any]:
        """The only container of a gateway's pod."""
        [container] = self.pod["containers"]
        found: dict[str, Any] = container
        return found

    @property
    def config(self) -> str:
        """llmgw.toml."""
        text: str = self.one("ConfigMap")["data"]["llmgw.toml"]
        return text


@cache
def rendered() -> dict[str, Rendered]:
    return render(RELEASES | {name: values for name, (values, _) in REFUSED.items()})


def documents(manifests: dict[str, str]) -> Iterator[dict[str, Any]]:
    for path, text in manifests.items():
        if path.endswith(".yaml"):
            yield from filter(None, yaml.safe_load_all(text))


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Release:
    name = str(request.param)
    told = rendered()[name]
    assert (told["error"], told["findings"]) == (None, [])
    return Release(name, list(documents(told["manifests"])))


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_go_wrong_is_refused(name: str) -> None:
    error = rendered()[name]["error"]
    assert error is not None
    assert REFUSED[name][1] in error


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(release: Release, version: str) -> None:
    import kubernetes_validate  # noqa: PLC0415  (slow to import)

    for manifest in release.manifests:
        if manifest["kind"] not in FOREIGN:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_config_is_one(release: Release, tmp_path: Path) -> None:
    """By llmgw's own parser, with all secrets mounted and all variables set."""
    config = parsed(release.config, tmp_path)
    mounts = {mount["name"]: mount["mountPath"] for mount in release.container["volumeMounts"]}
    assert {str(Path(path).parent) for path in secrets_of(release.config)} <= {mounts["secrets"]}
    assert variables_of(release.config) <= {each["name"] for each in release.container.get("env", [])}
    assert mounts["config"] == str(Path(environment()["LLMGW_CONFIG"]).parent)
    for folder in (config.journal_folder, config.limits_folder, config.run_folder):
        assert folder.is_relative_to(mounts["state"])
    if config.admin.enabled:
        assert config.admin.port in {port["containerPort"] for port in release.container["ports"]}
    replicas = release.one("StatefulSet")["spec"].get("replicas", 2)
    assert config.store.url.startswith("postgresql") or replicas == 1
    assert config.limits.machines >= replicas, "the limits are shared by so many"


def environment() -> dict[str, str]:
    """Of the image."""
    return Containerfile().pairs("ENV")


def test_a_pod_has_the_time_to_drain(release: Release, tmp_path: Path) -> None:
    hook = (
        release.container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", 0])
    )
    server = parsed(release.config, tmp_path).server
    taken = int(hook[1]) + server.stop_delay_s + server.drain_timeout_s + 5
    assert release.pod["terminationGracePeriodSeconds"] > taken


def test_a_pod_has_the_memory_that_its_bodies_take(release: Release, tmp_path: Path) -> None:
    limit = release.container["resources"]["limits"]["memory"]
    assert limit.endswith("Gi")
    assert most_bytes(parsed(release.config, tmp_path)) < int(limit[:-2]) * GIB


def test_it_starts_what_the_image_is_for(release: Release) -> None:
    program = Containerfile().one("ENTRYPOINT").words
    assert program == ("llmgw",)
    assert "command" not in release.container
    options = make_parser(release.container["args"]).parse_args(release.container["args"])
    assert (options.host, options.port) == ("0.0.0.0", 8000)


def test_probes_ask_what_is_there(release: Release) -> None:
    probes = {
        name: release.container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    ports = {port["name"]: port["containerPort"] for port in release.container["ports"]}
    assert {name: (probe["path"], ports[probe["port"]]) for name, probe in probes.items()} == {
        "startup": ("/healthz", 8000),
        "liveness": ("/healthz", 8000),
        "readiness": ("/readyz", 8000),
    }
    assert {"/healthz", "/readyz"} <= set(OPERATIONS)


def pods(release: Release) -> list[dict[str, Any]]:
    return [release.pod, *(pod["spec"] for pod in release.of("Pod"))]


def test_pods_are_restricted(release: Release) -> None:
    """As Kubernetes' Pod Security Standard `restricted` says, and with a root that nobody writes to."""
    for pod in pods(release):
        assert pod["securityContext"].items() >= {"runAsNonRoot": True, "runAsUser": 10001}.items()
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(pod)
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            assert not container["image"].endswith(":latest")
        kinds = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
        assert kinds <= {"configMap", "secret", "emptyDir"}
    assert release.pod["securityContext"]["runAsUser"] == int(
        Containerfile().one("USER").words[0].split(":")[0]
    )


def test_only_volumes_are_written_to(release: Release) -> None:
    writable = {
        mount["mountPath"] for mount in release.container["volumeMounts"] if not mount.get("readOnly")
    }
    assert writable == {"/var/lib/llmgw", "/tmp"}  # noqa: S108
    volumes = {volume["name"]: volume for volume in release.pod["volumes"]}
    claims = release.one("StatefulSet")["spec"].get("volumeClaimTemplates", [])
    named = {*volumes, *(claim["metadata"]["name"] for claim in claims)}
    assert named == {mount["name"] for mount in release.container["volumeMounts"]}
    assert volumes["secrets"]["secret"]["defaultMode"] == 0o440


def test_no_secret_is_in_a_manifest(release: Release) -> None:
    assert release.of("Secret") == []
    assert [each for each in release.container.get("env", []) if "value" in each] == []


def test_selectors_find_the_gateways_and_nothing_else(release: Release) -> None:
    labels = release.one("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    selectors = [service["spec"]["selector"] for service in release.of("Service")]
    kinds = ("StatefulSet", "PodDisruptionBudget")
    selectors += [each["spec"]["selector"]["matchLabels"] for kind in kinds for each in release.of(kind)]
    selectors += [each["spec"]["podSelector"]["matchLabels"] for each in release.of("NetworkPolicy")]
    selectors += [each["labelSelector"]["matchLabels"] for each in release.pod["topologySpreadConstraints"]]
    others = [pod["metadata"]["labels"] for pod in release.of("Pod")]
    assert len(selectors) >= 4
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not any(selector.items() <= other.items() for other in others)


def test_references_are_to_what_is_there(release: Release) -> None:
    names = {(each["kind"], each["metadata"]["name"]) for each in release.manifests}
    assert len(names) == len(release.manifests)
    assert ("Service", release.one("StatefulSet")["spec"]["serviceName"]) in names
    volumes = {volume["name"]: volume for volume in release.pod["volumes"]}
    assert ("ConfigMap", volumes["config"]["configMap"]["name"]) in names
    account = release.pod["serviceAccountName"]
    assert account == "theirs" or ("ServiceAccount", account) in names
    ports = {port["name"] for port in release.container["ports"]}
    for service in release.of("Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for policy in release.of("NetworkPolicy"):
        assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} <= ports
    for scaler in release.of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in names
        assert "replicas" not in release.one("StatefulSet")["spec"]
    for monitor in release.of("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        [service] = [each for each in release.of("Service") if wanted <= each["metadata"]["labels"].items()]
        assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    for ingress in release.of("Ingress"):
        [path] = ingress["spec"]["rules"][0]["http"]["paths"]
        assert path["path"].startswith("/v1/"), "health, metrics, admin API and console stay inside"
        assert ("Service", path["backend"]["service"]["name"]) in names


def test_all_templates_are_seen() -> None:
    """Each of them makes something in one of the releases above."""
    made = {path for name in RELEASES for path, text in rendered()[name]["manifests"].items() if text.strip()}
    templates = {path.relative_to(CHART.parent).as_posix() for path in CHART.glob("templates/**/*.yaml")}
    assert templates <= made


def test_an_upgrade_leaves_the_journals() -> None:
    spec = Release("defaults", list(documents(rendered()["defaults"]["manifests"]))).one("StatefulSet")[
        "spec"
    ]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_the_notes_say_which_secrets_are_wanted() -> None:
    notes = rendered()["defaults"]["manifests"]["llmgw/templates/NOTES.txt"]
    assert re.findall(r"^  (\w+)$", notes, re.MULTILINE) == ["store_url", "redis_url", "dashscope_api_key"]
    assert f"--namespace {NAMESPACE} exec statefulset/defaults-llmgw" in notes


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    version = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text("utf-8"), re.MULTILINE)
    assert version
    assert chart["appVersion"] == version[1]
