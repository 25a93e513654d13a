"""The guides of the entrance say nothing that the kinds, the log or the metrics do not know."""

import json
import re
from pathlib import Path

import pytest
import yaml

from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_serving.metrics import Metrics
from podium_serving.observation.lines import Line

GUIDES = [Path(__file__).parents[4] / "docs" / "guide" / name for name in ("securing-an-endpoint.md", "tracing-and-logs.md")]


def blocks(guide: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_every_manifest_is_one_that_the_api_server_takes(guide: Path) -> None:
    manifests = [yaml.safe_load(block) for block in blocks(guide, "yaml")]
    deployments = [manifest for manifest in manifests if "kind" in manifest]
    assert deployments
    for manifest in deployments:
        ModelDeploymentSpec.model_validate(manifest["spec"])


def test_the_example_of_a_line_has_the_fields_of_a_line() -> None:
    [block] = blocks(GUIDES[1], "json")
    known = list(Line.__struct_fields__)
    named = list(json.loads(block))
    assert named == [name for name in known if name in named]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_every_metric_that_is_named_exists(guide: Path) -> None:
    kept = Metrics("retention", "churn", process=False)
    names = {metric.name for metric in kept.families()}
    said = set(re.findall(r"(?<!\w)podium_[a-z_]+", guide.read_text(encoding="utf-8")))
    assert said
    assert {name.removesuffix("_total") for name in said} <= names
