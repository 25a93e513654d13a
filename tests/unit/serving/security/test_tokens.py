"""Whom a JSON Web Token lets in. The issuer is a real HTTP server."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from podium_serving.http.gate import Gate
from podium_serving.security import issuer as issuer_module
from podium_serving.security import tokens as tokens_module
from podium_serving.security.issuer import Issuer, keys_address
from podium_serving.security.jwks import InvalidKeys, keys_of
from podium_serving.security.tokens import LEEWAY_SECONDS, MOST_TOKEN_BYTES, TokenGate
from podium_serving.settings import AuthenticationSettings
from security_fixtures import AUDIENCE, FakeIssuer, claims, jwk, rsa_key, unsigned
from serving_lane_fixtures import until

pytestmark = pytest.mark.process

RSA, OTHER_RSA = rsa_key(), rsa_key()
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
ISSUER = "https://issuer.example"
KEYS = keys_of({"keys": [jwk(RSA, "rsa"), jwk(EC, "ec"), jwk(ED, "ed")]})


@pytest.fixture
async def gate() -> TokenGate:
    made = TokenGate(ISSUER, (AUDIENCE, "second"), "", lambda: None)
    made.take(KEYS)
    return made


def signed(key: Any = RSA, kid: str = "rsa", algorithm: str = "RS256", **changes: Any) -> bytes:
    """An Authorization header, good for a day: cases are made when tests are collected, long before they run."""
    changes = {"exp": int(time.time()) + 86_400} | changes
    header = {"kid": kid} if kid else {}
    return b"Bearer " + jwt.encode(claims(ISSUER, **changes), key, algorithm, headers=header).encode()


@pytest.mark.parametrize(
    ("signing", "changes"),
    [
        pytest.param((RSA, "rsa", "RS256"), {}, id="RS256"),
        pytest.param((RSA, "rsa", "PS384"), {}, id="PS384"),
        pytest.param((EC, "ec", "ES256"), {}, id="ES256"),
        pytest.param((ED, "ed", "EdDSA"), {}, id="EdDSA"),
        pytest.param((ED, "ed", "EdDSA"), {"aud": ["else", "second"]}, id="one-of-its-audiences"),
        pytest.param((ED, "ed", "EdDSA"), {"exp": -LEEWAY_SECONDS // 2}, id="clocks-differ-at-its-end"),
        pytest.param((ED, "ed", "EdDSA"), {"nbf": LEEWAY_SECONDS // 2}, id="clocks-differ-at-its-begin"),
    ],
)
async def test_a_valid_token_is_taken_and_its_caller_known(
    gate: TokenGate, signing: tuple[Any, str, str], changes: dict[str, Any]
) -> None:
    now = int(time.time())
    claimed: dict[str, Any] = {name: now + of if isinstance(of, int) else of for name, of in changes.items()}
    authorization = signed(*signing, **claimed)
    assert gate.caller(authorization, b"") == ""
    for _ in range(2):
        assert gate.refusal(authorization, b"") is None
    assert gate.caller(authorization, b"") == "retention-app"


PUBLIC_PEM = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)  # what an HMAC forgery uses as its secret
NOW = int(time.time())


def forged(header: dict[str, Any], body: dict[str, Any] | None = None, signature: bytes = b"x") -> bytes:
    return b"Bearer " + unsigned(header, claims(ISSUER) if body is None else body, signature).encode()


def _hmac_with_the_public_key() -> bytes:
    import hashlib
    import hmac

    head, _, _ = unsigned({"alg": "HS256", "kid": "rsa"}, claims(ISSUER)).rpartition(".")
    mark = hmac.digest(PUBLIC_PEM, head.encode(), hashlib.sha256)
    return f"Bearer {head}.".encode() + jwt.utils.base64url_encode(mark)


@pytest.mark.parametrize(
    ("authorization", "says"),
    [
        pytest.param(b"", "asks for a token", id="nothing"),
        pytest.param(b"Basic dXNlcg==", "holds no bearer token", id="another-scheme"),
        pytest.param(b"Bearer abc", "no valid JSON Web Token", id="no-token"),
        pytest.param(b"Bearer a.b.c", "no valid JSON Web Token", id="no-base64"),
        pytest.param(b"Bearer \xff\xfe.\xff.\xff", "no valid JSON Web Token", id="no-text"),
        pytest.param(b"Bearer " + b"a" * (MOST_TOKEN_BYTES + 1), "at most 16384", id="huge"),
        pytest.param(forged({"alg": "none", "kid": "rsa"}, signature=b""), "algorithm is not taken", id="none"),
        pytest.param(forged({"alg": "nOnE", "kid": "rsa"}, signature=b""), "algorithm is not taken", id="none-in-disguise"),
        pytest.param(_hmac_with_the_public_key(), "algorithm is not taken", id="hmac-with-the-public-key"),
        pytest.param(forged({"alg": "ES256", "kid": "rsa"}), "algorithm is not taken", id="another-keys-algorithm"),
        pytest.param(forged({"alg": "RS256", "kid": "rsa"}), "signature does not match", id="signature"),
        pytest.param(signed(OTHER_RSA), "signature does not match", id="another-key-of-that-kid"),
        pytest.param(signed(OTHER_RSA, "new"), "key that its issuer does not publish", id="unknown-kid"),
        pytest.param(signed(kid=""), "key that its issuer does not publish", id="no-kid-and-several-keys"),
        pytest.param(forged({"alg": "RS256", "kid": ["rsa"]}), "no valid JSON Web Token", id="kid-of-another-type"),
        pytest.param(
            forged({"alg": "RS256", "jwk": jwk(OTHER_RSA, "k"), "jku": "https://evil"}),
            "key that its issuer does not publish",
            id="brings-its-own-key",
        ),
        pytest.param(forged({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}), "", id="critical-extension"),
        pytest.param(signed(exp=NOW - LEEWAY_SECONDS - 5), "has expired", id="expired"),
        pytest.param(signed(nbf=NOW + 40_000), "not valid yet", id="not-yet"),
        pytest.param(signed(exp=None), "lacks the claim 'exp'", id="for-ever"),
        pytest.param(signed(exp="soon"), "no valid JSON Web Token", id="exp-is-no-number"),
        pytest.param(signed(exp=10**400), "cannot be read", id="exp-beyond-all-clocks"),
        pytest.param(signed(iss="https://evil.example"), "another issuer", id="issuer"),
        pytest.param(signed(iss=ISSUER + "/"), "another issuer", id="issuer-with-a-slash"),
        pytest.param(signed(iss=None), "lacks the claim 'iss'", id="no-issuer"),
        pytest.param(signed(aud="billing"), "its audience is another", id="audience"),
        pytest.param(signed(aud=None), "lacks the claim 'aud'", id="no-audience"),
        pytest.param(signed(aud=[]), "lacks the claim 'aud'", id="empty-audience"),
        pytest.param(b"Bearer " + jwt.utils.base64url_encode(b"[" * 9000) + b".e30.c2ln", "", id="nested-beyond-the-stack"),
    ],
)
async def test_any_other_token_is_refused(gate: TokenGate, authorization: bytes, says: str) -> None:
    error = gate.refusal(authorization, b"")
    assert error is not None
    assert error.http_status == 401
    assert says in str(error)
    assert gate.caller(authorization, b"") == ""
    assert gate.refusal(authorization, b"") is not None


async def test_a_token_cut_anywhere_is_refused(gate: TokenGate) -> None:
    whole = signed()
    for end in range(8, len(whole), 7):
        assert gate.refusal(whole[:end], b"") is not None


@given(st.binary(max_size=300), st.integers(0, 500), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_gate_fail(noise: bytes, place: int, value: int) -> None:
    async def refused() -> bool:
        gate = TokenGate(ISSUER, (AUDIENCE,), "", lambda: None)
        gate.take(KEYS)
        changed = bytearray(signed(ED, "ed", "EdDSA"))
        # The last character has bits that nobody reads: changed there, a token may say the same.
        at = 7 + place % (len(changed) - 8)
        same = changed[at] == value
        changed[at] = value
        return gate.refusal(b"Bearer " + noise, b"") is not None and (same or gate.refusal(bytes(changed), b"") is not None)

    assert asyncio.run(refused())


async def test_a_token_is_refused_from_the_moment_it_ends(gate: TokenGate) -> None:
    authorization = signed(exp=int(time.time()) - LEEWAY_SECONDS + 5)
    assert gate.refusal(authorization, b"") is None
    await until(lambda: gate.refusal(authorization, b"") is not None)
    assert str(gate.refusal(authorization, b"")) == "the token has expired"


async def test_what_a_withdrawn_key_signed_is_refused_at_once(gate: TokenGate) -> None:
    authorization = signed()
    assert gate.refusal(authorization, b"") is None
    gate.take(keys_of({"keys": [jwk(EC, "ec")]}))
    assert "does not publish" in str(gate.refusal(authorization, b""))


async def test_as_many_tokens_as_fit_are_remembered(gate: TokenGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "MOST_REMEMBERED", 3)
    shown = [signed(ED, "ed", "EdDSA", sub=f"app-{turn}") for turn in range(5)]
    for authorization in shown:
        assert gate.refusal(authorization, b"") is None
    assert [gate.caller(authorization, b"") for authorization in shown] == ["", "", "app-2", "app-3", "app-4"]


# With an issuer


@asynccontextmanager
async def guarded(issuer: FakeIssuer, known: list[bool], **changes: Any) -> AsyncIterator[Gate]:
    settings = AuthenticationSettings("Jwt", jwt_issuer=issuer.url, jwt_audiences=(AUDIENCE,), **changes)
    gate = Gate.of(settings, lambda: known.append(True))
    gate.start()
    try:
        yield gate
    finally:
        await gate.close()


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_module, "LEAST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(issuer_module, "_FIRST_PAUSE_SECONDS", 0.02)


async def test_keys_are_found_by_discovery() -> None:
    async with FakeIssuer([jwk(RSA, "a")]).running() as issuer:
        known: list[bool] = []
        async with guarded(issuer, known) as gate:
            authorization = b"Bearer " + issuer.token(RSA, "a", "RS256").encode()
            error = gate.refusal(authorization, b"")
            assert error is not None
            assert (error.http_status, error.retry_after_seconds) == (503, 1)
            await until(lambda: known)
            assert gate.refusal(authorization, b"") is None
            keyless = b"Bearer " + issuer.token(RSA, "", "RS256").encode()
            assert gate.refusal(keyless, b"") is None, "the only key needs no name"


async def test_keys_are_fetched_from_an_address_that_is_given() -> None:
    async with FakeIssuer([jwk(ED, "a")], configuration={"issuer": "nobody"}).running() as issuer:
        known: list[bool] = []
        async with guarded(issuer, known, jwks_uri=f"{issuer.url}/keys"):
            await until(lambda: known)


@pytest.mark.usefixtures("_hurried")
async def test_a_new_key_is_fetched_when_a_token_names_it() -> None:
    async with FakeIssuer([jwk(RSA, "a")]).running() as issuer:
        known: list[bool] = []
        async with guarded(issuer, known) as gate:
            await until(lambda: known)
            issuer.keys.append(jwk(EC, "b"))
            authorization = b"Bearer " + issuer.token(EC, "b", "ES256").encode()
            assert "does not publish" in str(gate.refusal(authorization, b""))
            await until(lambda: gate.refusal(authorization, b"") is None)


async def test_unknown_keys_make_no_flood_of_fetches() -> None:
    async with FakeIssuer([jwk(RSA, "a")]).running() as issuer:
        known: list[bool] = []
        async with guarded(issuer, known) as gate:
            await until(lambda: known)
            for turn in range(200):
                gate.refusal(b"Bearer " + issuer.token(EC, f"k{turn}", "ES256").encode(), b"")
                await asyncio.sleep(0)
            assert issuer.fetches == 1


@pytest.mark.usefixtures("_hurried")
async def test_keys_that_could_not_be_read_for_too_long_verify_nothing_until_they_can(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeIssuer([jwk(RSA, "a")]).running() as issuer:
        known: list[bool] = []
        async with guarded(issuer, known) as gate:
            await until(lambda: known)
            authorization = b"Bearer " + issuer.token(RSA, "a", "RS256").encode()
            assert gate.refusal(authorization, b"") is None
            issuer.status = 500
            monkeypatch.setattr(issuer_module, "STALE_SECONDS", 0.5)
            gate.refusal(b"Bearer " + issuer.token(EC, "b", "ES256").encode(), b"")  # asks for the keys now
            await until(lambda: gate.refusal(authorization, b"") is not None)
            error = gate.refusal(authorization, b"")
            assert error is not None
            assert error.http_status == 503
            assert caplog.text.count("no token is taken until they can be read") == 1
            issuer.status = 200
            await until(lambda: gate.refusal(authorization, b"") is None)


@pytest.mark.usefixtures("_hurried")
async def test_a_silent_issuer_holds_up_no_request_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_module, "_REQUEST_SECONDS", 0.2)
    async with FakeIssuer([jwk(RSA, "a")], silent=True).running() as issuer:
        known: list[bool] = []
        async with guarded(issuer, known) as gate:
            authorization = b"Bearer " + issuer.token(RSA, "a", "RS256").encode()
            await until(lambda: issuer.fetches >= 3)
            error = gate.refusal(authorization, b"")
            assert error is not None
            assert error.http_status == 503
            issuer.silent = False
            await until(lambda: gate.refusal(authorization, b"") is None)


@pytest.mark.usefixtures("_hurried")
async def test_while_the_issuer_is_away_its_keys_stay_in_use(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeIssuer([jwk(RSA, "a")]).running() as issuer:
        known: list[bool] = []
        async with guarded(issuer, known) as gate:
            await until(lambda: known)
            issuer.status = 500
            unknown = b"Bearer " + issuer.token(EC, "b", "ES256").encode()
            gate.refusal(unknown, b"")
            fetched = issuer.fetches
            await until(lambda: issuer.fetches >= fetched + 3)
            assert gate.refusal(b"Bearer " + issuer.token(RSA, "a", "RS256").encode(), b"") is None
            assert caplog.text.count("answers 500; those that are known stay in use") == 1
            issuer.status, issuer.keys = 200, [jwk(EC, "b")]
            await until(lambda: gate.refusal(unknown, b"") is None)


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"configuration": {"issuer": "https://evil"}}, "calls itself 'https://evil'", id="another-issuer"),
        pytest.param({"configuration": {"jwks_uri": ""}}, "names no jwks_uri", id="no-address"),
        pytest.param({"configuration": {"jwks_uri": "http://127.0.0.1:9/"}}, "connect to 127.0.0.1:9", id="nobody-there"),
        pytest.param({"status": 302}, "answers 302", id="redirect"),
        pytest.param({"keys": []}, "none of 0 keys", id="no-keys"),
        pytest.param({"keys": [{"pad": "x" * 2**20}]}, "more than 1048576 bytes", id="too-large"),
    ],
)
async def test_until_there_are_keys_nobody_is_let_in(
    changes: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeIssuer(**({"keys": [jwk(RSA, "a")]} | changes)).running() as issuer:
        known: list[bool] = []
        async with guarded(issuer, known) as gate:
            await until(lambda: says in caplog.text)
            error = gate.refusal(b"Bearer " + issuer.token(RSA, "a", "RS256").encode(), b"")
            assert error is not None
            assert error.http_status == 503
            assert known == []


async def test_an_https_issuer_cannot_send_for_its_keys_by_http(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    Issuer("http://issuer.example", "", lambda keys: None)
    assert "spoken to in the clear" in caplog.text
    document = {"issuer": ISSUER, "jwks_uri": "http://issuer.example/keys"}
    with pytest.raises(InvalidKeys, match="is not https"):
        keys_address(document, ISSUER)
