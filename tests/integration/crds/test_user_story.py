"""What a user sees who applies, changes and lists manifests with kubectl."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from crds_fixtures import deployment, refusal, version
from program_fixtures import Run

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_taken_as_it_is(kubectl: Run, installed: None, example: Path) -> None:
    for arguments in (("apply", "--dry-run=server"), ("apply", "--server-side", "--dry-run=server")):
        applied = kubectl(*arguments, "-f", str(example))
        assert (applied.returncode, applied.stderr) == (0, "")


def test_the_least_that_one_can_write_is_filled_with_defaults(custom_objects: client.CustomObjectsApi) -> None:
    made: Any = custom_objects.create_namespaced_custom_object(
        "podium.dev", "v1alpha1", "default", "modeldeployments", deployment(), dry_run="All", field_validation="Strict"
    )
    assert made["spec"] == {
        "champion": {"modelVersionRef": {"name": "churn-3"}},
        "stickyBy": {"type": "Request"},
        "serving": {
            "timeoutMilliseconds": 1000,
            "workers": 1,
            "outsideTraining": "Warn",
            "authentication": {"type": "Open"},
        },
        "capture": {"percent": 100, "joinKey": {"type": "Sticky"}},
        "monitoring": {
            "labels": {"horizonSeconds": 86_400, "minimumCoverage": "0.5", "selective": "Never"},
            "drift": {"warning": "0.1", "critical": "0.25", "windowSeconds": 86400, "falseAlertRate": "0.05"},
        },
        "promotion": {"metric": {"type": "LogLoss", "minimumImprovement": "0", "alpha": "0.05"}},
    }


EVERYTHING = {
    "workers": 4,
    "batching": {"maxBatchRows": 64, "maxQueueRows": 64},
    "executionProviders": ["TensorRt", "Cuda", "Cpu"],
    "hooks": {"processes": 2, "timeoutMilliseconds": 500},
    "outsideTraining": "Refuse",
    "tls": {"secretRef": {"name": "churn-tls"}},
    "tracing": {"otlpEndpoint": "http://[fd00::1]:4318/otlp", "percent": 0},
    "accessLog": {},
    "template": {"resources": {"limits": {"nvidia.com/gpu": 1}}},
}


@pytest.mark.parametrize(
    "authentication",
    [
        pytest.param({"type": "ApiKey", "apiKey": {"secretRef": {"name": "callers"}}}, id="keys"),
        pytest.param(
            {
                "type": "Jwt",
                "jwt": {
                    "issuer": "https://id.example.com/realms/ml",
                    "audiences": ["churn", "https://api.example.com/ml"],
                    "jwksUri": "https://id.example.com:8443/realms/ml/keys",
                },
            },
            id="tokens",
        ),
    ],
)
def test_every_setting_of_the_pods_is_taken(custom_objects: client.CustomObjectsApi, authentication: dict[str, Any]) -> None:
    assert refusal(custom_objects, deployment(serving={**EVERYTHING, "authentication": authentication})) == ""


WATCHED: dict[str, Any] = {
    "capture": {
        "percent": 50,
        "redact": ["email"],
        "hash": ["customer_id", "X-Case"],
        "joinKey": {"type": "Input", "input": "customer_id"},
    },
    "monitoring": {
        "prediction": {"output": "probabilities", "positiveClass": "yes"},
        "labels": {
            "horizonSeconds": 2_592_000,
            "lateAfterSeconds": 604_800,
            "minimumCoverage": "0.9",
            "selective": "DecisionHidesOutcome",
        },
        "drift": {"warning": "0.2", "critical": "0.2", "windowSeconds": 3600, "falseAlertRate": "0.01"},
        "performance": [{"metric": "Auc", "minimum": "0.80"}, {"metric": "Rmse", "minimum": "-1", "maximum": "12.5"}],
        "segments": ["contract", "customer_id"],
        "fairness": {"protected": ["sex"], "minimumRatio": "0.8"},
        "business": [{"name": "profit", "expression": "if(output.label = 1, outcome.kept - 20, 0)", "unit": "EUR"}],
        "retentionDays": 31,
    },
}


@pytest.mark.parametrize(
    "promotion",
    [
        pytest.param({"metric": {"type": "Value", "expression": "outcome.profit", "minimumImprovement": "0.5"}}, id="value"),
        pytest.param(
            {
                "metric": {"type": "LogLoss", "minimumImprovement": "-0.001", "alpha": "0.1"},
                "guardrails": [
                    {"name": "errors", "type": "ErrorRate", "maximumIncrease": "0.001"},
                    {"name": "latency", "type": "P99", "maximumIncrease": "0.25"},
                    {"name": "fair", "type": "SelectionRateRatio", "column": "sex", "minimum": "0.8"},
                    {"name": "brier", "type": "Loss", "loss": "Brier", "maximumIncrease": "0"},
                ],
            },
            id="guardrails",
        ),
    ],
)
def test_everything_that_is_watched_is_taken(custom_objects: client.CustomObjectsApi, promotion: dict[str, Any]) -> None:
    assert refusal(custom_objects, deployment(**WATCHED, promotion=promotion)) == ""


def test_the_spec_of_a_model_version_never_changes(kubectl: Run, installed: None) -> None:
    first = kubectl("apply", "-f", "-", stdin=yaml.safe_dump(version("immutable")))
    assert first.stdout == "modelversion.podium.dev/immutable created\n"
    changed = kubectl("apply", "-f", "-", stdin=yaml.safe_dump(version("immutable", image={"type": "Built"})))
    kubectl("delete", "modelversion", "immutable")
    assert changed.stderr == (
        'The ModelVersion "immutable" is invalid: spec: Invalid value: "object": the spec of a ModelVersion never changes: '
        "apply what you have as a ModelVersion with a new name, and name that one in the ModelDeployment\n"
    )


def test_labels_of_a_model_version_may_change(kubectl: Run, installed: None) -> None:
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(version("labelled")))
    labelled = kubectl("label", "modelversion", "labelled", "team=retention")
    kubectl("delete", "modelversion", "labelled")
    assert labelled.stdout == "modelversion.podium.dev/labelled labeled\n"


def test_the_status_is_written_apart_from_the_spec(kubectl: Run, installed: None) -> None:
    manifest = deployment("columns") | {"status": {"reason": "NobodyWroteThis"}}
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(manifest))
    assert kubectl("get", "mdep", "columns", "-o", "jsonpath={.status}").stdout == ""
    status = (
        '{"status":{"champion":{"modelVersion":"churn-2","digest":"sha256:00","since":"2026-11-21T10:00:00Z","replicas":3},'
        '"challengerSummary":"neural-net 10%","trafficSummary":"churn-2 90%, churn-5 10%","reason":"DigestMismatch",'
        '"conditions":[{"type":"Ready","status":"False","lastTransitionTime":"2026-11-21T10:00:00Z",'
        '"reason":"DigestMismatch","message":"…"}]}}'
    )
    patched = kubectl("patch", "mdep", "columns", "--subresource=status", "--type=merge", "-p", status)
    assert patched.returncode == 0, patched.stderr
    shown = kubectl("get", "mdep", "columns").stdout.splitlines()
    kubectl("delete", "mdep", "columns")
    assert shown[0].split() == ["NAME", "CHAMPION", "VERSION", "CHALLENGERS", "TRAFFIC", "READY", "REASON", "AGE"]
    assert shown[1].split()[:-1] == [
        *(
            "columns",
            "churn-3",
            "churn-2",
            "neural-net",
            "10%",
            "churn-2",
            "90%,",
            "churn-5",
            "10%",
            "False",
            "DigestMismatch",
        )
    ]


def test_both_kinds_answer_to_the_category(kubectl: Run, installed: None) -> None:
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([deployment("listed"), version("listed")]))
    listed = kubectl("get", "podium", "-o", "name").stdout.split()
    kubectl("delete", "mdep/listed", "mv/listed")
    assert {"modeldeployment.podium.dev/listed", "modelversion.podium.dev/listed"} <= set(listed)


LATER = deployment("later", rollout={"strategy": "Canary"})
"""A field of a later release: it must not be taken and ignored."""


def test_a_field_that_nobody_reads_is_named_to_whoever_asks_for_strict_validation(kubectl: Run, installed: None) -> None:
    """kubectl and Helm 4 ask for it unless they are told not to."""
    refused = kubectl("create", "-f", "-", stdin=yaml.safe_dump(LATER))
    assert refused.stderr == (
        'Error from server (BadRequest): error when creating "STDIN": ModelDeployment in version "v1alpha1" cannot be '
        'handled as a ModelDeployment: strict decoding error: unknown field "spec.rollout"\n'
    )


def test_server_side_apply_refuses_it_whatever_the_client_asks_for(kubectl: Run, installed: None) -> None:
    refused = kubectl("apply", "--server-side", "--validate=false", "-f", "-", stdin=yaml.safe_dump(LATER))
    assert refused.returncode == 1
    assert ".spec.rollout: field not declared in schema" in refused.stderr


def test_a_client_that_says_nothing_is_warned(kubectl: Run, installed: None) -> None:
    taken = kubectl("create", "--validate=warn", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(LATER))
    assert (taken.returncode, taken.stderr) == (0, 'Warning: unknown field "spec.rollout"\n')


def test_a_client_that_turns_validation_off_is_not_told(custom_objects: client.CustomObjectsApi) -> None:
    """The API server drops the field before anything of ours could see it: docs/kinds.md says so."""
    assert refusal(custom_objects, LATER, field_validation="Ignore") == ""
