"""What the examples say beyond what the API server looks at."""

from pathlib import Path

import pytest
import yaml

from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.expressions import parse

EXAMPLES = Path(__file__).parents[3] / "examples"


def deployments() -> list[ModelDeploymentSpec]:
    manifests = [found for path in sorted(EXAMPLES.glob("*.yaml")) for found in yaml.safe_load_all(path.read_text("utf-8"))]
    specs = [found["spec"] for found in manifests if found["kind"] == "ModelDeployment"]
    return [ModelDeploymentSpec.model_validate(spec) for spec in specs]


def expressions() -> list[str]:
    specs = deployments()
    values = [spec.promotion.metric.expression for spec in specs]
    return [kpi.expression for spec in specs for kpi in spec.monitoring.business] + [text for text in values if text]


@pytest.mark.parametrize("text", expressions())
def test_each_expression_can_be_computed(text: str) -> None:
    assert parse(text).columns
