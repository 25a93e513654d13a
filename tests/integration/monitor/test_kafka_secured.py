"""Brokers that want TLS, a certificate and a name: each mechanism is let in, wrong secrets are told without being shown."""

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from kafka_fixtures import environment, structured, topic
from kafka_server import PASSWORD, USER, KafkaServer
from monitor_fixtures import CollectorProcess, rows, until
from ports import free_port

SECRETS = {
    "PLAIN": {"username": USER, "password": PASSWORD},
    "SCRAM-SHA-512": {"username": USER, "password": PASSWORD},
    "OAUTHBEARER": {"clientId": USER, "clientSecret": PASSWORD},
}


@asynccontextmanager
async def issuer() -> AsyncIterator[str]:
    """Gives unsigned tokens, which the broker's test validator takes, to whoever knows the secret."""

    async def token(request: web.Request) -> web.Response:
        asked = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if asked != f"{USER}:{PASSWORD}":
            return web.json_response({"error": "invalid_client"}, status=401)
        now = int(time.time())
        parts = [{"alg": "none"}, {"sub": USER, "iat": now, "exp": now + 300}]
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return web.json_response({"access_token": ".".join([*encoded, ""]), "token_type": "Bearer", "expires_in": 300})

    app = web.Application()
    app.router.add_post("/token", token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    finally:
        await runner.cleanup()


def collector_with(kafka: KafkaServer, folder: Path, sasl: str, **changes: str) -> CollectorProcess:
    """Reads one topic and writes another."""
    read, written = kafka.topic("secured-read"), kafka.topic("secured-written")
    kafka.produce(read, [structured("e-0")])
    credentials = folder / "credentials"
    credentials.mkdir()
    for name, content in SECRETS[sasl].items():
        (credentials / name).write_text(content)
    told = {
        **environment(kafka, [topic(read)], [topic(written)], PODIUM_KAFKA_GROUP=f"group-of-{read}"),
        "PODIUM_KAFKA_BROKERS": kafka.secured_brokers,
        "PODIUM_KAFKA_TLS": "On",
        "PODIUM_KAFKA_CA_FILE": str(kafka.authority),
        "PODIUM_KAFKA_CERTIFICATE_DIR": str(kafka.client_certificate),
        "PODIUM_KAFKA_SASL": sasl,
        "PODIUM_KAFKA_CREDENTIALS_DIR": str(credentials),
        **changes,
    }
    return CollectorProcess(folder / "lake", folder, free_port(), environment=told)


@pytest.mark.parametrize("sasl", SECRETS)
async def test_each_mechanism_is_let_in(kafka: KafkaServer, tmp_path: Path, sasl: str) -> None:
    async with issuer() as address:
        collector = collector_with(kafka, tmp_path, sasl, PODIUM_KAFKA_TOKEN_URL=address)
        written = json.loads(collector.environment["PODIUM_KAFKA_SINKS"])[0]["topic"]
        collector.start()
        try:
            await until(lambda: len(rows(collector.lake)) == 1, 180)
            await until(lambda: len(kafka.messages(written)) == 1, 180)
        finally:
            collector.kill()
    assert PASSWORD not in (tmp_path / "log").read_text()


async def test_a_wrong_password_is_told_and_not_shown_and_a_renewed_one_helps(kafka: KafkaServer, tmp_path: Path) -> None:
    collector = collector_with(kafka, tmp_path, "SCRAM-SHA-512")
    password = Path(collector.environment["PODIUM_KAFKA_CREDENTIALS_DIR"]) / "password"
    password.write_text("not-the-password")
    collector.start()
    try:
        await until(lambda: "Authentication failed" in (tmp_path / "log").read_text(), 180)
        password.write_text(PASSWORD)
        await until(lambda: len(rows(collector.lake)) == 1, 180)
    finally:
        collector.kill()
    log = (tmp_path / "log").read_text()
    assert "not-the-password" not in log
    assert PASSWORD not in log
    assert "Traceback" not in log
