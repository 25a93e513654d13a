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
    assert settings.reference_bytes == settings.memory_bytes // 2 == 256 * 1024 * 1024
    assert "kkkk" not in repr(settings)


def test_namespaces_are_a_list(environment: dict[str, str]) -> None:
    settings = evaluator_settings_from(environment | {"PODIUM_WATCH_NAMESPACES": "shop, bank,"})
    assert settings.namespaces == ("shop", "bank")


def test_what_is_remembered_of_references_follows_the_memory_unless_somebody_says_otherwise(
    environment: dict[str, str],
) -> None:
    more = environment | {"PODIUM_EVALUATION_MEMORY_MEBIBYTES": "2048"}
    assert evaluator_settings_from(more).reference_bytes == 1024 * 1024 * 1024
    told = evaluator_settings_from(more | {"PODIUM_REFERENCE_MEMORY_MEBIBYTES": "64"})
    assert (told.memory_bytes, told.reference_bytes) == (2048 * 1024 * 1024, 64 * 1024 * 1024)
    with pytest.raises(InvalidSettings, match="PODIUM_REFERENCE_MEMORY_MEBIBYTES"):
        evaluator_settings_from(environment | {"PODIUM_REFERENCE_MEMORY_MEBIBYTES": "0"})


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
