"""JSON Web Tokens of one issuer: verified once, then known until they end. PyJWT is imported here and in jwks only.

Whatever a token holds, the outcome is a caller or a refusal: no error of a parser may become a way in, or a 500.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt

from podium_serving.exchange import NotServing, ServingError
from podium_serving.http.responses import Unauthorized
from podium_serving.observation.allowance import Allowance
from podium_serving.security.bearer import bearer_token, caller_name
from podium_serving.security.issuer import Issuer
from podium_serving.security.jwks import Key, Keys

logger = logging.getLogger(__name__)

LEEWAY_SECONDS = 30
"""By which the issuer's clock and this one may differ."""
MOST_TOKEN_BYTES = 16_384
MOST_REMEMBERED = 4096
"""Tokens that were verified. The oldest is forgotten first, which costs one more verification."""
_NOT_YET = "the issuer's keys are not known here; try again"


@dataclass(frozen=True, slots=True)
class Verified:
    caller: str
    until: float
    """Unix seconds."""


class TokenGate:
    """Lets in whoever shows a token of the issuer, for one of the audiences, that is valid now."""

    def __init__(self, issuer: str, audiences: tuple[str, ...], jwks_uri: str, on_known: Callable[[], None]) -> None:
        self.issuer = Issuer(issuer, jwks_uri, self.take)
        self._issuer_name = issuer
        self._audiences = audiences
        self._on_known = on_known
        self._keys: Keys = {}
        self._remembered: dict[bytes, Verified] = {}
        self._complaints = Allowance(1)

    @property
    def known(self) -> bool:
        """Whether keys are at hand."""
        return bool(self._keys)

    def take(self, keys: Keys) -> None:
        """A key that is published no more verifies nothing more, what it signed before included."""
        if keys != self._keys:
            logger.info("%d keys of %s are known: %s", len(keys), self._issuer_name, ", ".join(sorted(keys))[:500])
            self._remembered.clear()
        was_known, self._keys = self.known, keys
        if self.known and not was_known:
            self._on_known()

    def refusal(self, authorization: bytes, api_key: bytes) -> ServingError | None:
        # A dict's lookup tells nothing of how much of a guess was right: bytes are hashed with this process's own seed.
        verified = self._remembered.get(authorization)
        if verified is not None:
            if verified.until > time.time():
                return None
            del self._remembered[authorization]
        if not self._keys:
            return NotServing(_NOT_YET)
        outcome = self._verified(bearer_token(authorization), shown=bool(authorization))
        if isinstance(outcome, Unauthorized):
            return outcome
        if len(self._remembered) >= MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[authorization] = outcome
        return None

    def caller(self, authorization: bytes, api_key: bytes) -> str:
        verified = self._remembered.get(authorization)
        return verified.caller if verified is not None else ""

    def _verified(self, token: bytes, *, shown: bool) -> Verified | Unauthorized:
        if not token:
            return Unauthorized(
                "the Authorization header holds no bearer token; send 'Authorization: Bearer <token>'"
                if shown
                else "this endpoint asks for a token: send it as 'Authorization: Bearer <token>'"
            )
        if len(token) > MOST_TOKEN_BYTES:
            return Unauthorized(f"the token has {len(token)} bytes, at most {MOST_TOKEN_BYTES} are taken")
        try:
            key = self._key(token)
            if isinstance(key, Unauthorized):
                return key
            claims = jwt.decode(
                token,
                key.public,
                algorithms=list(key.algorithms),
                issuer=self._issuer_name,
                audience=self._audiences,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
            return Verified(_caller(claims), float(claims["exp"]) + LEEWAY_SECONDS)
        except jwt.PyJWTError as error:
            return _refused(error)
        except Exception as error:  # RecursionError and OverflowError of what the token says: a refusal, never a way in
            if self._complaints.take(time.monotonic()):
                logger.warning("a token could not be read: %s", type(error).__name__)
            return Unauthorized("the token cannot be read")

    def _key(self, token: bytes) -> Key | Unauthorized:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid", "")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None and not kid and len(self._keys) == 1:
            [key] = self._keys.values()
        if key is None:
            self.issuer.ask()
            return Unauthorized("the token is signed with a key that its issuer does not publish")
        if header.get("alg") not in key.algorithms:
            return Unauthorized(f"the token's algorithm is not taken; its key signs with {', '.join(key.algorithms)}")
        return key


def _caller(claims: dict[str, Any]) -> str:
    """The subject, or the client that asks for itself (RFC 9068, section 2.2)."""
    return caller_name(str(claims.get("sub") or claims.get("client_id") or claims.get("azp") or ""))


def _refused(error: jwt.PyJWTError) -> Unauthorized:
    """What is wrong, without what the token says."""
    match error:
        case jwt.ExpiredSignatureError():
            return Unauthorized("the token has expired")
        case jwt.ImmatureSignatureError():
            return Unauthorized("the token is not valid yet")
        case jwt.InvalidAudienceError():
            return Unauthorized("the token is not meant for this endpoint: its audience is another")
        case jwt.InvalidIssuerError():
            return Unauthorized("the token is of another issuer")
        case jwt.MissingRequiredClaimError():
            return Unauthorized(f"the token lacks the claim '{error.claim}'")
        case jwt.InvalidSignatureError():
            return Unauthorized("the token's signature does not match its content")
        case _:
            return Unauthorized("this is no valid JSON Web Token")
