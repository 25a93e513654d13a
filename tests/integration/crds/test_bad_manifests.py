"""Bad manifests, the answer that the user reads to each, and no rule that none of them meets."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from crds_fixtures import answer, challenger, deployment, manifest, refusal, table, unchecked, version
from podium_crds.generate import custom_resource_definition
from podium_crds.kinds import KINDS, Kind

HERE = Path(__file__).parent
DEPLOYMENTS = table(HERE / "bad_model_deployments.yaml")
VERSIONS = table(HERE / "bad_model_versions.yaml")


def titled(rows: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(row, id=row["title"]) for row in rows]


@pytest.mark.parametrize("row", titled(DEPLOYMENTS))
def test_a_bad_model_deployment_is_refused(custom_objects: client.CustomObjectsApi, row: dict[str, Any]) -> None:
    name = row.get("name", "churn")
    bad = deployment(name, **row["with"]) if "with" in row else manifest("ModelDeployment", name, row["spec"])
    assert refusal(custom_objects, bad) == answer(row)


@pytest.mark.parametrize("row", titled(VERSIONS))
def test_a_bad_model_version_is_refused(custom_objects: client.CustomObjectsApi, row: dict[str, Any]) -> None:
    name = row.get("name", "churn-3")
    good_but_for = version(name, row.get("artifact"), **row.get("with", {}))
    bad = manifest("ModelVersion", name, row["spec"]) if "spec" in row else good_but_for
    assert refusal(custom_objects, bad) == answer(row)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        pytest.param(
            deployment(challengers=[challenger(f"c{number}", f"v{number}") for number in range(11)]),
            unchecked("spec.challengers: Too many: 11: must have at most 10 items"),
            id="eleven-challengers",
        ),
        pytest.param(
            deployment(serving={"template": {"env": [{"name": "A", "value": "v" * 4097}]}}),
            unchecked("spec.serving.template.env[0].value: Too long: may not be more than 4096 bytes"),
            id="an-environment-variable-of-4097-characters",
        ),
        pytest.param(
            deployment(serving={"template": {"nodeSelector": {"d" * 317 + "/disk": "ssd"}}}),
            'spec.serving.template.nodeSelector: Invalid value: "object": a key here has at most 316 characters',
            id="a-node-selector-with-a-long-key",
        ),
        pytest.param(
            version(artifact={"uri": "oci://registry.example.com/" + "m" * 512}),
            unchecked("spec.artifact.uri: Too long: may not be more than 512 bytes"),
            id="a-uri-of-more-than-512-characters",
        ),
    ],
)
def test_what_is_too_long_is_refused(custom_objects: client.CustomObjectsApi, bad: dict[str, Any], says: str) -> None:
    assert refusal(custom_objects, bad) == says


def rules(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from schema.get("x-kubernetes-validations", [])
    inner = [schema[key] for key in ("items", "additionalProperties") if key in schema]
    for field in (*schema.get("properties", {}).values(), *inner):
        yield from rules(field)


def said(rule: dict[str, Any]) -> str:
    """A regular expression of what the rule answers: the parts of an expression that are no text may be anything."""
    if "message" in rule:
        return re.escape(str(rule["message"]))
    parts: list[str] = re.findall(r'"((?:[^"\\]|\\.)*)"', rule["messageExpression"])
    return ".*".join(["", *(re.escape(part) for part in parts), ""]).removeprefix(".*")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_each_rule_has_a_bad_manifest_that_only_it_refuses(kind: Kind) -> None:
    """The tests above compare whole answers, and an answer lists all that is wrong: one sentence, one rule."""
    [served] = custom_resource_definition(kind)["spec"]["versions"]
    elsewhere = {"the spec of a ModelVersion never changes", "a key here has at most 316"}
    answers = [row["says"] for row in (*DEPLOYMENTS, *VERSIONS)]
    for rule in rules(served["schema"]["openAPIV3Schema"]):
        if not any(said(rule).startswith(re.escape(start)) for start in elsewhere):
            assert [text for text in answers if re.search(said(rule) + "$", text)], f"no manifest breaks {rule['rule']}"
