"""The environment: what is missing or wrong is named."""

import base64
from pathlib import Path

import pytest

from podium_monitor.lake.retention import Retention
from podium_monitor.settings import InvalidSettings, settings_from


def environment(folder: Path, **changes: str) -> dict[str, str]:
    key = folder / "key"
    key.write_bytes(base64.b64encode(b"k" * 32) + b"\n")
    return {"PODIUM_LAKE": str(folder), "PODIUM_COLLECTOR_KEY_FILE": str(key), **changes}


def test_the_key_is_the_operators_in_base64(tmp_path: Path) -> None:
    settings = settings_from(environment(tmp_path))
    assert (settings.collector_key, settings.port, settings.lake.address) == (b"k" * 32, 8090, str(tmp_path))
    assert "k" * 32 not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"PODIUM_LAKE": ""}, "PODIUM_LAKE is not set"),
        ({"PODIUM_COLLECTOR_KEY_FILE": ""}, "PODIUM_COLLECTOR_KEY_FILE is not set"),
        ({"PODIUM_COLLECTOR_KEY_FILE": "/nowhere"}, "cannot read /nowhere"),
        ({"PODIUM_COLLECTOR_PORT": "x"}, "PODIUM_COLLECTOR_PORT is 'x'"),
        ({"PODIUM_COLLECTOR_PORT": "70000"}, "must be a port"),
        ({"PODIUM_RETENTION_DAYS": "90d"}, "PODIUM_RETENTION_DAYS is '90d', must be a number of days"),
        ({"PODIUM_MAXIMUM_RETENTION_DAYS": "0"}, "PODIUM_MAXIMUM_RETENTION_DAYS is '0', must be a number of days"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        settings_from(environment(tmp_path, **changes))


def test_days_of_retention_have_a_default_and_a_maximum(tmp_path: Path) -> None:
    given = {"PODIUM_RETENTION_DAYS": "90", "PODIUM_MAXIMUM_RETENTION_DAYS": "400"}
    assert settings_from(environment(tmp_path, **given)).retention == Retention(days=90, most=400)
    assert settings_from(environment(tmp_path)).retention == Retention()


@pytest.mark.parametrize(("content", "says"), [(b"not base64!", "is not base64"), (b"YWJj", "holds 3 bytes")])
def test_a_key_that_is_none_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(content)
    with pytest.raises(InvalidSettings, match=says):
        settings_from(environment(tmp_path, PODIUM_COLLECTOR_KEY_FILE=str(wrong)))
