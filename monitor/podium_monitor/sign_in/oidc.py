"""OpenID Connect's authorization code flow with PKCE, as far as no network is needed.

Sources: OpenID Connect Core 1.0 §3.1, RFC 7636 (PKCE), RFC 9207 (the issuer in the answer), RFC 9700 (best practice).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt

from podium_monitor.access import Identity
from podium_monitor.sign_in.settings import Oidc
from podium_monitor.sign_in.visitors import Refused, identity_of

CALLBACK = "/sign-in/callback"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures of a public key. Never `none`, and no secret that the client shares."""
_LEEWAY_SECONDS = 30
_MOST_PATH = 2000


@dataclass(frozen=True)
class Attempt:
    """A sign-in under way, kept by the browser that began it."""

    state: str
    nonce: str
    verifier: str
    to: str

    def content(self) -> dict[str, Any]:
        return asdict(self)


def attempt(to: str) -> Attempt:
    return Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), inner_path(to))


def attempt_of(content: Mapping[str, Any] | None) -> Attempt:
    """Raises Refused if this browser began none, or too long ago."""
    if content is None:
        raise Refused("This sign-in was not begun here, or too long ago. Begin again.")
    return Attempt(**content)


def inner_path(to: str) -> str:
    """`to` if it is a path of this server, else `/`: nobody is sent elsewhere by a link to the sign-in."""
    parts = urlsplit(to) if len(to) <= _MOST_PATH and to.isprintable() and "\\" not in to else None
    if parts is None or parts.scheme or parts.netloc or not to.startswith("/") or to.startswith("//"):
        return "/"
    return "/" if parts.path.startswith("/sign") else to


def authorization_address(endpoint: str, settings: Oidc, begun: Attempt) -> str:
    """Where the browser goes to sign in."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": settings.address + CALLBACK,
        "scope": settings.scopes,
        "state": begun.state,
        "nonce": begun.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


def code_of(answer: Mapping[str, str], begun: Attempt, issuer: str) -> str:
    """The code that the issuer sent back by way of the browser. Raises Refused."""
    if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
        raise Refused("This answer belongs to another sign-in. Begin again.")
    if answer.get("iss", issuer) != issuer:
        raise Refused("The answer came from another issuer.")
    if "error" in answer:
        raise Refused(f"The issuer refused: {answer['error']} {answer.get('error_description', '')}".strip()[:300])
    if not answer.get("code"):
        raise Refused("The issuer's answer holds no code.")
    return answer["code"]


def verified(token: str, keys: Sequence[jwt.PyJWK], settings: Oidc, nonce: str) -> dict[str, Any]:
    """The claims of an ID token that is this issuer's, for this client, for this sign-in, and of now. Raises Refused."""
    try:
        header = jwt.get_unverified_header(token)
        key = key_for(header, keys)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=settings.client_id,
            issuer=settings.issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.PyJWTError as error:
        raise Refused(f"The issuer's token is not valid: {error}") from error
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise Refused("The issuer's token belongs to another sign-in. Begin again.")
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != settings.client_id:
        raise Refused("The issuer's token was made for another client.")
    return claims


class UnknownKey(Refused):
    """No published key has signed it: the keys that are known may be old."""


def key_for(header: Mapping[str, Any], keys: Sequence[jwt.PyJWK]) -> jwt.PyJWK:
    """Raises UnknownKey, and Refused for a way of signing that is not believed."""
    algorithm, name = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise Refused(f"The issuer's token is signed by {algorithm!r}, must be one of {', '.join(ALGORITHMS)}.")
    fitting = [key for key in keys if key.key_id == name or (name is None and len(keys) == 1)]
    if not fitting:
        raise UnknownKey("The issuer's token is signed by a key that it does not publish.")
    return fitting[0]


def identity_in(claims: Mapping[str, Any], settings: Oidc) -> Identity:
    """Who the claims name. Raises Refused. An e-mail address that the issuer has not verified names nobody."""
    user = claims.get(settings.user_claim)
    if not isinstance(user, str) or not user:
        raise Refused(f"The issuer's token has no claim {settings.user_claim!r} that names you.")
    if settings.user_claim == "email" and claims.get("email_verified", True) is not True:
        raise Refused("The issuer has not verified your e-mail address.")
    groups = claims.get(settings.groups_claim, [])
    listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    return identity_of(
        settings.user_prefix + user, (settings.groups_prefix + group for group in listed if isinstance(group, str) and group)
    )
