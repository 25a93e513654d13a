"""An issuer's public keys (RFC 7517): which of them may verify a token, and by which algorithms. Pure.

The algorithms follow from the key, never from the token: so a token cannot choose `none`, nor have a public key taken for
an HMAC secret (RFC 8725, sections 3.1 and 3.2).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

LEAST_RSA_BITS = 2048
_MOST_KEYS = 100
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_EC = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


class InvalidKeys(ValueError):
    """The document holds no key that could be used. The text says why."""


class Unusable(ValueError):
    """One key cannot be used. The text says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that the issuer signs with. `kid` is empty where the issuer gives none."""

    kid: str
    public: Any
    algorithms: tuple[str, ...]


Keys = Mapping[str, Key]
"""By kid."""


def keys_of(document: Any) -> Keys:
    """The usable keys of a JWK set. Raises InvalidKeys when there is none."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise InvalidKeys('the answer is no JWK set: it has no list "keys"')
    keys: dict[str, Key] = {}
    refused = []
    for entry in entries[:_MOST_KEYS]:
        try:
            key = _key(entry)
        except Unusable as error:
            refused.append(str(error))
            continue
        keys[key.kid] = key
    if not keys:
        raise InvalidKeys(f"none of {len(entries)} keys can verify a token: {'; '.join(refused[:3]) or 'the set is empty'}")
    return keys


def _key(entry: Any) -> Key:
    if not isinstance(entry, dict):
        raise Unusable("a key is no object")
    kid = entry.get("kid", "")
    if not isinstance(kid, str):
        raise Unusable("a kid is no string")
    title = f"key '{kid[:80]}'"
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        raise Unusable(f"{title} is not for signatures")
    if "d" in entry:
        raise Unusable(f"{title} is a private key, which its issuer must not publish")
    allowed = _algorithms(entry, title)
    stated = entry.get("alg")
    if stated is not None and stated not in allowed:
        raise Unusable(f"{title} states algorithm {str(stated)[:20]!r}, its type takes {', '.join(allowed)}")
    return Key(kid, _public(entry, title), (stated,) if stated else allowed)


def _algorithms(entry: Mapping[str, Any], title: str) -> tuple[str, ...]:
    kind, curve = entry.get("kty"), entry.get("crv")
    if kind == "RSA":
        return _RSA
    if kind == "EC" and curve in _EC:
        return (_EC[str(curve)],)
    if kind == "OKP" and curve == "Ed25519":
        return ("EdDSA",)
    raise Unusable(f"{title} is of type {str(kind)[:20]!r}, RSA, EC and Ed25519 are taken")


def _public(entry: dict[str, Any], title: str) -> Any:
    readers: dict[str, Callable[[dict[str, Any]], Any]] = {
        "RSA": RSAAlgorithm.from_jwk,
        "EC": ECAlgorithm.from_jwk,
        "OKP": OKPAlgorithm.from_jwk,
    }
    try:
        public = readers[entry["kty"]](entry)
    except (PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise Unusable(f"{title} cannot be read: {type(error).__name__}") from error
    if isinstance(public, RSAPublicKey) and public.key_size < LEAST_RSA_BITS:
        raise Unusable(f"{title} has {public.key_size} bits, must have {LEAST_RSA_BITS}")
    return public
