"""Who an API key lets in."""

import logging
from pathlib import Path

import pytest

from podium_serving.exchange import ServingError
from podium_serving.http.gate import Gate
from podium_serving.security import folder as mounted
from podium_serving.security.api_keys import ApiKeyGate, usable_keys
from podium_serving.settings import AuthenticationSettings, InvalidSettings
from security_fixtures import mount
from serving_lane_fixtures import until

APP = b"app-key-of-at-least-22-characters"
BATCH = b"batch-key-of-at-least-22-characters"


def gate_of(**entries: bytes) -> ApiKeyGate:
    gate = ApiKeyGate(lambda: None)
    gate.take(entries)
    return gate


def said(error: ServingError | None) -> tuple[int, str]:
    assert error is not None
    return error.http_status, str(error)


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [
        pytest.param(b"Bearer " + APP, b"", id="bearer"),
        pytest.param(b"bearer  " + APP + b" ", b"", id="any-case-and-space"),
        pytest.param(b"", APP, id="x-api-key"),
        pytest.param(b"Basic dXNlcjpwYXNzd29yZA==", APP, id="another-proxys-authorization"),
        pytest.param(b"Bearer wrong", APP, id="x-api-key-goes-first"),
    ],
)
def test_a_key_is_taken_from_either_header(authorization: bytes, api_key: bytes) -> None:
    gate = gate_of(app=APP + b"\n", batch=BATCH)
    assert gate.refusal(authorization, api_key) is None
    assert gate.caller(authorization, api_key) == "app"


@pytest.mark.parametrize(
    ("authorization", "api_key", "says"),
    [
        pytest.param(b"", b"", "asks for an API key: send it as 'X-Api-Key: <key>'", id="nothing"),
        pytest.param(b"Basic dXNlcg==", b"", "holds no bearer token", id="another-scheme"),
        pytest.param(b"Bearer ", b"", "holds no bearer token", id="empty-token"),
        pytest.param(b"Bearer " + APP[:-1], b"", "is not known here", id="prefix"),
        pytest.param(b"Bearer " + APP + b"x", b"", "is not known here", id="longer"),
        pytest.param(b"", BATCH, "is not known here", id="a-key-of-nobody"),
        pytest.param(b"Bearer " + APP, b"wrong", "is not known here", id="x-api-key-goes-first"),
        pytest.param(b"Bearer app", b"", "is not known here", id="the-callers-name"),
        pytest.param(b"", b"\xff" * 100_000, "is not known here", id="huge"),
    ],
)
def test_whoever_shows_no_key_is_refused_without_an_echo(authorization: bytes, api_key: bytes, says: str) -> None:
    status, sentence = said(gate_of(app=APP).refusal(authorization, api_key))
    assert status == 401
    assert says in sentence
    for shown in filter(None, (authorization.partition(b" ")[2], api_key)):
        assert shown.decode("latin-1") not in sentence


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        pytest.param({"app": b"short"}, "'app' has 5 characters, must have 22 to 512", id="short"),
        pytest.param({"app": b""}, "'app' has 0 characters", id="empty"),
        pytest.param({"app": b"x" * 513}, "'app' has 513 characters", id="long"),
        pytest.param({"app": b"two words and more than 22 characters"}, "a space or a character", id="space"),
        pytest.param({"app": "schlüssel-mit-mehr-als-22-zeichen".encode()}, "beyond ASCII", id="not-ascii"),
        pytest.param({"app": APP, "batch": APP}, "'batch' is the same key as 'app'", id="shared"),
    ],
)
def test_keys_that_protect_nothing_are_not_taken(entries: dict[str, bytes], says: str) -> None:
    callers, [refused] = usable_keys(entries)
    assert says in refused
    assert sorted(callers.values()) == sorted(entries)[: len(entries) - 1]


def test_before_there_is_a_key_all_are_told_to_try_again() -> None:
    known: list[bool] = []
    gate = ApiKeyGate(lambda: known.append(True))
    gate.take({"app": b"short"})
    assert (said(gate.refusal(b"", b"short"))[0], known) == (503, [])
    gate.take({"app": APP})
    assert (gate.refusal(b"", APP), known) == (None, [True])
    gate.take({})
    assert (said(gate.refusal(b"", APP))[0], known) == (401, [True])


async def test_a_changed_secret_is_taken_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(mounted, "POLL_SECONDS", 0.02)
    mount(tmp_path / "keys", {"app": APP})
    gate = Gate.of(AuthenticationSettings("ApiKey", tmp_path / "keys"), lambda: None)
    gate.start()
    try:
        assert gate.refusal(b"", APP) is None
        mount(tmp_path / "keys", {"batch": BATCH, "weak": b"hunter2"})
        await until(lambda: gate.refusal(b"", BATCH) is None)
        assert said(gate.refusal(b"", APP))[0] == 401
        assert gate.caller(b"", BATCH) == "batch"
        (tmp_path / "keys" / "..data").unlink()
        await until(lambda: "stays in use" in caplog.text)
        assert gate.refusal(b"", BATCH) is None
    finally:
        await gate.close()
    assert "'weak' has 7 characters" in caplog.text
    for key in (APP, BATCH, b"hunter2"):
        assert key.decode() not in caplog.text


async def test_a_plain_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounted, "POLL_SECONDS", 0.02)
    (tmp_path / "app").write_bytes(APP)
    gate = Gate.of(AuthenticationSettings("ApiKey", tmp_path), lambda: None)
    gate.start()
    try:
        (tmp_path / "batch").write_bytes(BATCH)
        await until(lambda: gate.refusal(b"", BATCH) is None)
        assert gate.refusal(b"", APP) is None
    finally:
        await gate.close()


def test_no_port_opens_without_the_folder_of_keys(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="PODIUM_API_KEYS_DIR: cannot read"):
        Gate.of(AuthenticationSettings("ApiKey", tmp_path / "absent"), lambda: None)
