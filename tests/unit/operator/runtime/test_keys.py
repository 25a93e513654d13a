import base64
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from operator_fixtures import scripted_cluster
from podium_operator.keys import KeyUnreadable, collector_key, signing_key
from podium_operator.kinds import Manifest

pytestmark = pytest.mark.process


class OneSecret:
    """An API server with room for one Secret; `race`: what another creator puts in just before us."""

    def __init__(self, entry: bytes | None = None, race: Manifest | None = None) -> None:
        self.secret: Manifest | None = secret(entry) if entry is not None else None
        self.race = race

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            if self.secret is None:
                return web.json_response({"reason": "NotFound", "message": ""}, status=404)
            return web.json_response(self.secret)
        if self.race is not None:
            self.secret = self.race
        if self.secret is not None:
            return web.json_response({"reason": "AlreadyExists", "message": ""}, status=409)
        self.secret = await request.json()
        return web.json_response(self.secret)


def secret(entry: bytes) -> Manifest:
    return {"metadata": {}, "data": {"key": base64.b64encode(entry).decode()}}


async def test_the_first_operator_makes_a_key_and_the_next_one_finds_it(tmp_path: Path) -> None:
    server = OneSecret()
    async with scripted_cluster(tmp_path, server.answer) as (cluster, _, _):
        made = await signing_key(cluster, "podium")
        found = await signing_key(cluster, "podium")
    raw = (Encoding.Raw, PublicFormat.Raw)
    assert made.public_key().public_bytes(*raw) == found.public_key().public_bytes(*raw)


async def test_of_two_creators_both_use_the_first_ones_key(tmp_path: Path) -> None:
    winner = base64.b64encode(b"w" * 32)
    async with scripted_cluster(tmp_path, OneSecret(race=secret(winner)).answer) as (cluster, _, _):
        assert await collector_key(cluster, "podium") == b"w" * 32


async def test_a_new_collector_key_is_random(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        async with scripted_cluster(tmp_path, OneSecret().answer) as (cluster, _, _):
            keys.append(await collector_key(cluster, "podium"))
    assert len(keys[0]) == 32
    assert keys[0] != keys[1]


@pytest.mark.parametrize("entry", [b"", b"no key at all", b"rsa"], ids=["empty", "garbage", "another-kind-of-key"])
async def test_a_secret_that_holds_something_else_is_named_and_left_alone(tmp_path: Path, entry: bytes) -> None:
    if entry == b"rsa":
        entry = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    server = OneSecret(entry)
    async with scripted_cluster(tmp_path, server.answer) as (cluster, api, _):
        with pytest.raises(KeyUnreadable, match="Secret podium/podium-signing-key"):
            await signing_key(cluster, "podium")
    assert [method for method, _ in api.asked] == ["GET"]
