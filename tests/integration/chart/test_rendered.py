"""What the chart renders is right before it meets a cluster: its shape, its rights, its settings and its pods."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart_fixtures import CHART, KUBERNETES, REPOSITORY
from podium_operator.kinds import KINDS
from podium_operator.settings import Settings, from_environment
from program_fixtures import Run

Manifest = dict[str, Any]


@pytest.mark.parametrize("values", ["values", "all-values", "bucket-values"])
def test_helm_lint_finds_nothing(helm: Run, values: str) -> None:
    linted = helm("lint", "--strict", str(CHART), "-f", str(CHART / "ci" / f"{values}.yaml"))
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(["images.operator.reference=operator:1"], "'operator:1' does not match pattern", id="tag"),
        pytest.param(
            ["images.monitor.reference="], "at '/images/monitor/reference': '' does not match", id="monitor-without-an-image"
        ),
        pytest.param(["operator.replica=3"], "additional properties 'replica' not allowed", id="misspelt"),
        pytest.param(["operator.replicas=0"], "at '/operator/replicas': minimum: got 0, want 1", id="no-replicas"),
        pytest.param(["builder.dockerHost=unix:///docker.sock"], "at '/builder/dockerHost'", id="docker-socket"),
        pytest.param(
            ["builder.dockerHost=tcp://b:2376"], "at '/builder/certificatesSecret'", id="builder-without-certificates"
        ),
        pytest.param(["monitor.storage.type=HostPath"], "'PersistentVolumeClaim', 'EmptyDir'", id="unknown-storage"),
        pytest.param(["monitor.storage.type=S3"], "at '/monitor/storage/s3/bucket': minLength", id="bucket-without-a-name"),
        pytest.param(["monitor.storage.s3.prefix=/lake/"], "at '/monitor/storage/s3/prefix'", id="prefix-with-slashes"),
        pytest.param(["monitor.retentionDays=-1"], "at '/monitor/retentionDays'", id="fewer-days-than-none"),
        pytest.param(["monitor.signIn.type=Password"], "'Closed', 'Open', 'Oidc', 'Proxy'", id="unknown-sign-in"),
        pytest.param(["monitor.signIn.type=Oidc"], "at '/monitor/signIn/oidc/issuer'", id="sign-in-without-an-issuer"),
        pytest.param(
            ["monitor.signIn.oidc.issuer=http://id.example.com"], "at '/monitor/signIn/oidc/issuer'", id="issuer-without-tls"
        ),
        pytest.param(["monitor.signIn.type=Proxy"], "at '/monitor/signIn/proxy/names'", id="proxy-without-a-name"),
        pytest.param(["monitor.kafka.brokers[0]=b:9092"], "at '/monitor/kafka", id="kafka-without-a-topic"),
        pytest.param(["monitor.kafka.brokers[0]=http://b:9092"], "at '/monitor/kafka/brokers/0'", id="broker-with-a-scheme"),
        pytest.param(["monitor.kafka.sources[0].topic=t"], "at '/monitor/kafka", id="topic-of-no-deployment"),
        pytest.param(
            ["monitor.kafka.sasl.mechanism=PLAIN", "monitor.kafka.sasl.credentialsSecret=s"],
            "at '/monitor/kafka/tls/enabled'",
            id="kafka-password-in-the-clear",
        ),
        pytest.param(
            ["monitor.kafka.sasl.mechanism=SCRAM-SHA-512"],
            "at '/monitor/kafka/sasl/credentialsSecret'",
            id="kafka-without-credentials",
        ),
        pytest.param(["insecureRegistries[0]=http://r:5000"], "at '/insecureRegistries/0'", id="registry-with-a-scheme"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(helm: Run, given: list[str], says: str) -> None:
    values = str(CHART / "ci" / "values.yaml")
    settings = [word for setting in given for word in ("--set", setting)]
    refused = helm("template", "podium", str(CHART), "--kube-version", KUBERNETES, "-f", values, *settings)
    assert refused.returncode != 0
    assert says in refused.stderr


def test_every_manifest_fits_the_schemas_of_the_api_server(
    kubeconform: Run, kubectl: Run, rendered: str, tmp_path: Path
) -> None:
    write_schemas(json.loads(kubectl("get", "--raw", "/openapi/v2").stdout), tmp_path)
    location = f"{tmp_path}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    # The CRDs of the Prometheus operator are not there, and a CRD's own schema is checked by the tests that install it.
    skipped = "CustomResourceDefinition,ServiceMonitor,PodMonitor,PrometheusRule"
    checked = kubeconform("-strict", "-summary", "-skip", skipped, "-schema-location", location, "-", stdin=rendered)
    assert checked.returncode == 0, checked.stdout


def write_schemas(openapi: Manifest, folder: Path) -> None:
    """One file per kind, as kubeconform wants them, from what the API server itself says. Unknown fields are errors."""
    definitions = openapi["definitions"]
    for definition in definitions.values():
        if "properties" in definition:
            definition.setdefault("additionalProperties", False)
        for name, field in definition.get("properties", {}).items():
            if field.get("$ref", "").endswith("IntOrString") or field.get("format") == "int-or-string":
                definition["properties"][name] = {"type": ["string", "integer"]}
    shared = json.dumps({"definitions": definitions})
    (folder / "_definitions.json").write_text(shared.replace("#/definitions", "_definitions.json#/definitions"))
    for name, definition in definitions.items():
        reference = json.dumps({"$ref": f"_definitions.json#/definitions/{name}"})
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            group = kind["group"].split(".")[0]
            parts = [kind["kind"].lower(), *([group] if group else []), kind["version"]]
            (folder / f"{'-'.join(parts)}.json").write_text(reference)


def workloads(manifests: list[Manifest]) -> list[Manifest]:
    """Every pod that the chart makes, as a Pod."""
    found = []
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "StatefulSet"}:
            template = manifest["spec"]["template"]
            claims = [claim["metadata"]["name"] for claim in manifest["spec"].get("volumeClaimTemplates", [])]
            volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
            spec = {**template["spec"], "volumes": [*template["spec"].get("volumes", []), *volumes]}
            found.append({"metadata": dict(template["metadata"]), "spec": spec})
        elif manifest["kind"] == "Pod":
            found.append({"metadata": {}, "spec": manifest["spec"]})
    return [{"apiVersion": "v1", "kind": "Pod", **pod} for pod in found]


def test_every_pod_passes_pod_security_restricted(kubectl: Run, manifests: list[Manifest]) -> None:
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted", "labels": enforced}}
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(namespace))
    for number, pod in enumerate(workloads(manifests)):
        account = pod["spec"].get("serviceAccountName")
        if account:
            kubectl("create", "serviceaccount", account, "-n", "restricted")
        pod["metadata"] |= {"name": f"pod-{number}", "namespace": "restricted"}
        pod["spec"] = {key: value for key, value in pod["spec"].items() if key != "priorityClassName"}
        admitted = kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))
        assert admitted.returncode == 0, admitted.stderr


def environment_of(manifests: list[Manifest], kind: str, name: str) -> dict[str, str]:
    [found] = [found for found in manifests if found["kind"] == kind]
    [container] = [item for item in found["spec"]["template"]["spec"]["containers"] if item["name"] == name]
    return {entry["name"]: entry.get("value", "from-the-pod") for entry in container["env"]}


def test_the_operators_environment_is_what_its_settings_read(manifests: list[Manifest]) -> None:
    environment = environment_of(manifests, "Deployment", "operator")
    assert {name for name in environment if name.removeprefix("PODIUM_").lower() not in Settings.model_fields} == set()
    from_environment(environment)


def rules_of(manifests: list[Manifest], name: str) -> list[Manifest]:
    roles = [found for found in manifests if found["kind"] in {"Role", "ClusterRole"}]
    return [rule for role in roles if name in role["metadata"]["name"] for rule in role["rules"]]


def operator_rules(manifests: list[Manifest]) -> list[Manifest]:
    return rules_of(manifests, "-operator")


def granted(rules: list[Manifest]) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_the_operator_may_reach_each_kind_that_it_uses_and_no_other(manifests: list[Manifest]) -> None:
    reached = {(group, resource.split("/")[0]) for group, resource in granted(operator_rules(manifests))}
    assert reached == {(kind.group, kind.plural) for kind in KINDS.values()}


def test_the_documents_list_the_operators_rights_as_they_are(manifests: list[Manifest]) -> None:
    rules = granted(operator_rules(manifests))
    assert {key: verbs for key, verbs in rules.items() if key[1] != "leases"} == documented("In every watched namespace")


def test_the_documents_list_the_monitors_rights_as_they_are(manifests: list[Manifest]) -> None:
    assert granted(rules_of(manifests, "-monitor")) == documented("What the monitor may do")


def documented(section: str) -> dict[tuple[str, str], set[str]]:
    page = (REPOSITORY / "docs" / "rbac.md").read_text(encoding="utf-8")
    text = next(part for part in page.split("\n## ") if part.startswith(section))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    return {
        ("" if group == "(core)" else group, resource): set(verbs.split(", "))
        for group, resources, verbs, _ in rows[1:]
        for resource in resources.split(", ")
    }


def test_the_operator_has_no_right_that_reaches_further_than_its_words(manifests: list[Manifest]) -> None:
    for rule in operator_rules(manifests):
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
        assert not {"escalate", "bind", "impersonate", "deletecollection"} & set(rule["verbs"])
        if "secrets" in rule["resources"]:
            assert not {"list", "watch", "delete"} & set(rule["verbs"])
        if {"modelversions", "modeldeployments"} & set(rule["resources"]):
            assert set(rule["verbs"]) == {"get", "list", "watch"}


def test_images_are_pinned_by_digest(manifests: list[Manifest]) -> None:
    images = [container["image"] for pod in workloads(manifests) for container in pod["spec"]["containers"]]
    assert images
    assert all("@sha256:" in image for image in images)
