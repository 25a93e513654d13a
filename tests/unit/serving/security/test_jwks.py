"""Which of an issuer's keys may verify a token, and by which algorithms."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from podium_serving.security.jwks import InvalidKeys, keys_of
from security_fixtures import jwk, rsa_key

RSA = rsa_key()
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
ALL_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


@pytest.mark.parametrize(
    ("entry", "algorithms"),
    [
        pytest.param(jwk(RSA, "k"), ALL_RSA, id="rsa"),
        pytest.param(jwk(RSA, "k", alg="RS256", use="sig"), ("RS256",), id="rsa-of-one-algorithm"),
        pytest.param(jwk(EC, "k"), ("ES256",), id="ec"),
        pytest.param(jwk(ec.generate_private_key(ec.SECP384R1()), "k"), ("ES384",), id="ec-384"),
        pytest.param(jwk(ED, "k", key_ops=["verify"]), ("EdDSA",), id="ed25519"),
    ],
)
def test_the_algorithms_follow_from_the_key(entry: dict[str, Any], algorithms: tuple[str, ...]) -> None:
    assert keys_of({"keys": [entry]})["k"].algorithms == algorithms


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        pytest.param({"kty": "oct", "k": "c2VjcmV0", "kid": "k"}, "of type 'oct'", id="shared-secret"),
        pytest.param(jwk(RSA, "k", alg="HS256"), "states algorithm 'HS256'", id="hmac-with-a-public-key"),
        pytest.param(jwk(RSA, "k", alg="none"), "states algorithm 'none'", id="none"),
        pytest.param(jwk(EC, "k", alg="RS256"), "states algorithm 'RS256'", id="another-types-algorithm"),
        pytest.param(jwk(RSA, "k", use="enc"), "not for signatures", id="for-encryption"),
        pytest.param(jwk(RSA, "k", key_ops=["encrypt"]), "not for signatures", id="key-operations"),
        pytest.param(jwk(RSA, "k", d="AQAB"), "is a private key", id="private"),
        pytest.param(jwk(rsa_key(1024), "k"), "has 1024 bits", id="short"),
        pytest.param(jwk(RSA, "k") | {"n": "!"}, "cannot be read", id="broken"),
        pytest.param(jwk(EC, "k") | {"x": 7}, "cannot be read", id="of-another-json-type"),
        pytest.param({"kty": "OKP", "crv": "X25519", "x": "AA", "kid": "k"}, "of type 'OKP'", id="key-agreement-curve"),
        pytest.param(jwk(EC, "k") | {"crv": "secp256k1"}, "of type 'EC'", id="curve"),
        pytest.param(jwk(RSA) | {"kid": 7}, "a kid is no string", id="kid"),
        pytest.param("key", "a key is no object", id="no-object"),
    ],
)
def test_what_cannot_verify_is_left_out(entry: Any, says: str) -> None:
    with pytest.raises(InvalidKeys, match="none of 1 keys can verify") as refused:
        keys_of({"keys": [entry]})
    assert says in str(refused.value)
    assert list(keys_of({"keys": [entry, jwk(ED, "good")]})) == ["good"]


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": []}, "keys"])
def test_a_document_without_keys_is_refused(document: Any) -> None:
    with pytest.raises(InvalidKeys):
        keys_of(document)
