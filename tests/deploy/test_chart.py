"""The Helm chart, rendered for several sites: lint, schemas, and that its settings are the plugin's."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker_plugin.cli.run import STAGES
from broker_plugin.config import load_config
from tests.deploy.tools import DEPLOY, run, tool

CHART = DEPLOY / "helm" / "broker-plugin"
SITES = sorted((CHART / "ci").glob("*-values.yaml"))
KUBERNETES = "1.36"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Their schemas come with their operators, not with Kubernetes.
FOREIGN = {"ScaledObject", "TriggerAuthentication", "PodMonitor"}


@cache
def _rendered(site: Path) -> str:
    done = run(tool("helm"), "template", "x", CHART, "-f", site, "--kube-version", KUBERNETES)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _template(site: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.load_all(_rendered(site), _LOADER) if document]


def _workloads(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    kinds = ("Deployment", "StatefulSet", "Job")
    return {d["metadata"]["name"]: d for d in documents if d["kind"] in kinds}


@pytest.mark.parametrize("site", SITES, ids=lambda path: path.stem)
def test_lint(site: Path) -> None:
    """``helm lint --strict``."""
    done = run(tool("helm"), "lint", "--strict", CHART, "-f", site)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("site", SITES, ids=lambda path: path.stem)
def test_kubernetes_schemas(site: Path, tmp_path: Path) -> None:
    """Every object of Kubernetes' own kinds against its schema, unknown fields refused."""
    rendered = tmp_path / "rendered.yaml"
    documents = [d for d in _template(site) if d["kind"] not in FOREIGN]
    rendered.write_text(yaml.safe_dump_all(documents))
    done = run(tool("kubernetes-validate"), "--strict", "-k", f"{KUBERNETES}.0", rendered)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("passed for resource") == len(documents), said


@pytest.mark.parametrize("site", SITES, ids=lambda path: path.stem)
def test_pods_may_do_nothing(site: Path) -> None:
    """Non-root, read-only root, no capabilities, no token of the API, no secret in a variable."""
    for workload in _workloads(_template(site)).values():
        pod = workload["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            for variable in container["env"]:
                assert not variable["name"].endswith(("PASSWORD", "TOKEN", "SECRET"))


@pytest.mark.parametrize("site", SITES, ids=lambda path: path.stem)
def test_the_plugin_takes_its_settings(site: Path, tmp_path: Path) -> None:
    """The rendered file and variables of every pod go through the plugin's own check."""
    documents = _template(site)
    texts = {d["metadata"]["name"]: d["data"]["config.toml"] for d in documents if d["kind"] == "ConfigMap"}
    secrets = tmp_path / "secret"
    secrets.write_text("a-secret-of-some-length\n")
    for workload in _workloads(documents).values():
        pod = workload["spec"]["template"]["spec"]
        (source,) = [v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v]
        file = tmp_path / "config.toml"
        # Certificates are mounted; here any file does.
        file.write_text(texts[source].replace("/run/kafka-ca/ca.crt", str(secrets)))
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            environment = {v["name"]: v.get("value", "pod-0") for v in container["env"]}
            environment = {
                name: str(secrets) if name.endswith(("_FILE", "__TLS_CERTIFICATE", "__TLS_KEY")) else value
                for name, value in environment.items()
            }
            config = load_config(file, environment)
            assert config.topics.replication == 3
            if container["args"][0] == "run":
                assert config.runner.instance_id == "pod-0"
                mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
                assert str(config.accumulate.state_directory.parent) in mounts


def test_state_has_a_volume_and_nothing_else_has() -> None:
    """Every stage with a changelog is a StatefulSet with a claim for each worker; ingest is a Deployment."""
    workloads = _workloads(_template(CHART / "ci" / "outputs-values.yaml"))
    kinds = {name.rsplit("-", 1)[-1]: workload for name, workload in workloads.items()}
    del kinds["topics"]
    assert kinds.keys() == set(STAGES)
    with_state = {"accumulate", "score", "combine", "shadow", "deliver"}
    for name, workload in kinds.items():
        assert workload["kind"] == ("StatefulSet" if name in with_state else "Deployment")
        pod = workload["spec"]["template"]["spec"]
        assert pod["containers"][0]["args"] == ["run", "--stages", name]
        assert [v for v in pod["volumes"] if v["name"] == "state" and name in with_state] == []
    sizes = {name: _claimed(workload) for name, workload in kinds.items() if name in with_state}
    assert sizes.pop("accumulate") == "20Gi"
    assert set(sizes.values()) == {"2Gi"}


def _claimed(workload: dict[str, Any]) -> str:
    (claim,) = workload["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "state"
    return str(claim["spec"]["resources"]["requests"]["storage"])


def test_stages_of_the_chart_are_those_of_the_plugin() -> None:
    """Each is a value; what needs more of the configuration is off by default."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())["stages"]
    assert tuple(values) == STAGES
    assert {name for name, stage in values.items() if not stage["enabled"]} == {"shadow", "deliver"}


def test_what_outputs_may_reach() -> None:
    """Ports of other clusters and of HTTP interfaces, where they are named, and nothing else."""
    for site, extra in (("outputs", [9094, 443]), ("default", [])):
        documents = _template(CHART / "ci" / f"{site}-values.yaml")
        (policy,) = [d for d in documents if d["kind"] == "NetworkPolicy"]
        ports = [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]]
        assert ports[2:] == ([extra] if extra else [])


def test_keda_follows_the_groups_of_the_stages() -> None:
    """Group and topic are the ones that the plugin uses."""
    scaled = [d for d in _template(CHART / "ci" / "scaled-values.yaml") if d["kind"] == "ScaledObject"]
    triggers = {d["metadata"]["name"]: d["spec"]["triggers"][0]["metadata"] for d in scaled}
    assert triggers["x-broker-plugin-score"]["consumerGroup"] == "variables.score"
    assert triggers["x-broker-plugin-score"]["topic"] == "variables.lightcurves"
    assert triggers["x-broker-plugin-ingest"]["consumerGroup"] == "variables.ingest"
    (delivery,) = [d for d in _template(CHART / "ci" / "outputs-values.yaml") if d["kind"] == "ScaledObject"]
    trigger = delivery["spec"]["triggers"][0]["metadata"]
    assert (trigger["consumerGroup"], trigger["topic"]) == ("ztf.deliver", "ztf.classifications")
    assert delivery["spec"]["scaleTargetRef"]["kind"] == "StatefulSet"


def test_topics_are_made_before_everything_else() -> None:
    """The hook uses nothing that is installed after it."""
    documents = _template(CHART / "ci" / "secured-values.yaml")
    hooks = [d for d in documents if "helm.sh/hook" in d["metadata"].get("annotations", {})]
    (job,) = [d for d in hooks if d["kind"] == "Job"]
    pod = job["spec"]["template"]["spec"]
    assert [c["args"] for c in pod["initContainers"] + pod["containers"]] == [
        ["topics", "create"],
        ["topics", "verify"],
    ]
    (source,) = [v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v]
    assert source in {d["metadata"]["name"] for d in hooks if d["kind"] == "ConfigMap"}
    assert "serviceAccountName" not in pod


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("stages.score.replicas=33", "up to 33 workers for 32 partitions"),
        ("partitions=0", "partitions"),
        ("stages.scorer.enabled=true", "scorer"),
        ("metrics.port=80", "port"),
        ("prefix=a.b", "prefix"),
        ("env[0].name=BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD", "env"),
        ("image.digest=sha256:short", "digest"),
    ],
)
def test_wrong_values_are_refused(setting: str, told: str) -> None:
    """By values.schema.json, or by the chart where two values do not fit together."""
    done = run(tool("helm"), "template", "x", CHART, "--kube-version", KUBERNETES, "--set", setting)
    assert done.returncode != 0
    assert told in done.stderr


def test_the_chart_packs(tmp_path: Path) -> None:
    """Without the values of the tests in it."""
    done = run(tool("helm"), "package", CHART, "-d", tmp_path)
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.glob("*.tgz")
    shutil.unpack_archive(package, tmp_path)
    assert (tmp_path / "broker-plugin" / "values.schema.json").exists()
    assert not (tmp_path / "broker-plugin" / "ci").exists()
