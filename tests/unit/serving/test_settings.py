"""The environment of a pod, and what it says when something is missing."""

import tomllib
from pathlib import Path

import pytest

from podium_serving import __version__
from podium_serving.settings import InvalidSettings, settings_from


def environment(folder: Path, **changes: str) -> dict[str, str]:
    for name, content in {"salt": b"\n" * 32, "token": b"t\n", "capture-token": b"c"}.items():
        (folder / name).write_bytes(content)
    return {
        "PODIUM_NAMESPACE": "retention",
        "PODIUM_DEPLOYMENT": "churn",
        "PODIUM_DEPLOYMENT_UID": "uid-1",
        "PODIUM_PUBLIC_KEYS": "k1, k2",
        "PODIUM_SECRET_DIR": str(folder),
        **changes,
    }


def test_a_pods_environment_becomes_settings(tmp_path: Path) -> None:
    settings = settings_from(
        environment(tmp_path, PODIUM_ROLE="challenger", PODIUM_CPU_LIMIT="2.5", PODIUM_MEMORY_LIMIT_BYTES="1073741824")
    )
    assert (settings.namespace, settings.deployment, settings.role) == ("retention", "churn", "challenger")
    assert settings.public_keys == ("k1", "k2")
    assert (settings.http_port, settings.control_port, settings.forward_port) == (8080, 8081, 8082)
    assert settings.memory_limit_bytes == 1 << 30
    assert settings.model.threads == 2
    assert (settings.secrets.salt, settings.secrets.token, settings.secrets.capture_token) == (b"\n" * 32, "t", "c")
    assert settings.http.keep_alive_seconds >= 75
    assert "secrets" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({"PODIUM_NAMESPACE": ""}, "PODIUM_NAMESPACE is not set", id="missing"),
        pytest.param({"PODIUM_ROLE": "king"}, "PODIUM_ROLE is 'king', must be champion or challenger", id="role"),
        pytest.param({"PODIUM_CPU_LIMIT": "2 cores"}, "PODIUM_CPU_LIMIT is '2 cores', must be a number", id="number"),
        pytest.param({"PODIUM_HTTP_PORT": "-1"}, "PODIUM_HTTP_PORT is '-1', must not be negative", id="negative"),
    ],
)
def test_a_wrong_environment_is_told_by_variable(changes: dict[str, str], text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings) as refused:
        settings_from(environment(tmp_path, **changes))
    assert str(refused.value) == text


@pytest.mark.parametrize("name", ["salt", "token", "capture-token"])
def test_a_secret_that_is_missing_or_empty_is_named(name: str, tmp_path: Path) -> None:
    given = environment(tmp_path)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InvalidSettings, match=f"{name} is empty"):
        settings_from(given)
    (tmp_path / name).unlink()
    with pytest.raises(InvalidSettings, match="must hold salt, token and capture-token"):
        settings_from(given)


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert __version__ == project["project"]["version"]
