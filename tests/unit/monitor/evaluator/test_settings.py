"""What the evaluator is told by its environment, and what it says of what is wrong."""

import base64
from pathlib import Path

import pytest

from podium_monitor.evaluator.settings import evaluator_settings_from
from podium_monitor.settings import InvalidSettings


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "key").write_bytes(base64.b64encode(b"k" * 32))
    return {"PODIUM_COLLECTOR_KEY_FILE": str(tmp_path / "key")}


def test_defaults(environment: dict[str, str]) -> None:
    settings = evaluator_settings_from(environment)
    assert (settings.port, settings.round_seconds, settings.days) == (8091, 30.0, 90)
    assert settings.manifests is None
    assert "kkkk" not in repr(settings)


def test_namespaces_are_a_list(environment: dict[str, str]) -> None:
    settings = evaluator_settings_from(environment | {"PODIUM_WATCH_NAMESPACES": "shop, bank,"})
    assert settings.namespaces == ("shop", "bank")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PODIUM_MONITOR_PORT", "70000", "PODIUM_MONITOR_PORT is '70000', must be a whole number from 1 to 65535"),
        ("PODIUM_EVALUATION_DAYS", "-1", "PODIUM_EVALUATION_DAYS is '-1'"),
        ("PODIUM_MANIFESTS_DIR", "/nowhere", "PODIUM_MANIFESTS_DIR is '/nowhere', must be a folder"),
        ("PODIUM_COLLECTOR_KEY_FILE", "", "PODIUM_COLLECTOR_KEY_FILE is not set"),
    ],
)
def test_what_is_wrong_is_named(environment: dict[str, str], name: str, value: str, says: str) -> None:
    with pytest.raises(InvalidSettings, match=says.replace("(", r"\(")):
        evaluator_settings_from(environment | {name: value})
