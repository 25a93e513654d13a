"""The environment of a pod, and what it says when something is missing."""

import tomllib
from pathlib import Path

import pytest

from podium_serving import __version__
from podium_serving.environment import settings_from, with_entrance
from podium_serving.settings import InvalidSettings, ObservationSettings, Settings


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


def test_a_laptop_may_try_certificate_keys_log_and_tracing_too(tmp_path: Path) -> None:
    plain = Settings(namespace="local", deployment="churn", deployment_uid="local")
    assert with_entrance(plain, {}) == plain
    tried = with_entrance(
        plain,
        {
            "PODIUM_TLS_DIR": "/tls",
            "PODIUM_AUTHENTICATION": "Jwt",
            "PODIUM_JWT_ISSUER": "https://issuer",
            "PODIUM_JWT_AUDIENCES": "churn, billing",
            "PODIUM_OTLP_ENDPOINT": "http://collector:4318",
            "PODIUM_TRACE_PERCENT": "0.5",
            "PODIUM_ACCESS_LOG_PERCENT": "100",
        },
    )
    assert tried.tls.dir == Path("/tls")
    assert (tried.authentication.type, tried.authentication.jwt_audiences) == ("Jwt", ("churn", "billing"))
    assert tried.observation == ObservationSettings("http://collector:4318", 0.5, 100.0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({"PODIUM_AUTHENTICATION": "ApiKey"}, "PODIUM_API_KEYS_DIR is not set", id="keys-without-a-folder"),
        pytest.param({"PODIUM_AUTHENTICATION": "Jwt"}, "PODIUM_JWT_ISSUER is not set", id="tokens-of-nobody"),
        pytest.param(
            {"PODIUM_AUTHENTICATION": "Jwt", "PODIUM_JWT_ISSUER": "https://issuer"},
            "PODIUM_JWT_AUDIENCES is not set",
            id="tokens-for-anybody",
        ),
        pytest.param(
            {"PODIUM_AUTHENTICATION": "Jwt", "PODIUM_JWT_ISSUER": "issuer", "PODIUM_JWT_AUDIENCES": "churn"},
            "PODIUM_JWT_ISSUER is 'issuer', must begin with https:// or http://",
            id="an-issuer-that-is-nowhere",
        ),
        pytest.param({"PODIUM_AUTHENTICATION": "none"}, "PODIUM_AUTHENTICATION is 'none', must be Open", id="type"),
        pytest.param({"PODIUM_OTLP_ENDPOINT": "host:4317"}, "PODIUM_OTLP_ENDPOINT is 'host:4317', must begin", id="url"),
        pytest.param({"PODIUM_TRACE_PERCENT": "101"}, "PODIUM_TRACE_PERCENT is 101, must be 0 to 100", id="percent"),
    ],
)
def test_nothing_is_open_because_a_variable_was_forgotten(changes: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        with_entrance(Settings(namespace="local", deployment="churn", deployment_uid="local"), changes)
    assert str(refused.value).startswith(text)
