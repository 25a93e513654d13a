"""Whether a request may be asked at all: before the plan is looked at, before a byte of its body is kept.

One gate for the lane, for the application's paths and for gRPC. It answers at once: keys and tokens are compared with what
is in memory, which is brought up to date in the background. When in doubt it refuses.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Protocol

from podium_serving.exchange import ServingError
from podium_serving.http.responses import error_body
from podium_serving.security.api_keys import ApiKeyGate, read_keys
from podium_serving.security.folder import Folder
from podium_serving.security.upkeep import Upkeep
from podium_serving.settings import AuthenticationSettings, InvalidSettings

OPEN_PATHS = "/v2/health/"
"""The kubelet and load balancers have no key."""


class Rule(Protocol):
    """Who may ask."""

    def refusal(self, authorization: bytes, api_key: bytes) -> ServingError | None:
        """Why not: 401, or 503 while nobody is known; None: let in. The two headers as they came, empty where absent."""

    def caller(self, authorization: bytes, api_key: bytes) -> str:
        """The name of whom `refusal` has let in, for the access log; empty when it is not known. Never the key."""


class Open:
    """Lets everybody in."""

    def refusal(self, authorization: bytes, api_key: bytes) -> ServingError | None:
        return None

    def caller(self, authorization: bytes, api_key: bytes) -> str:
        return ""


class Gate:
    """A rule, and what keeps it up to date. While nobody is known all are refused, and the pod is not ready."""

    def __init__(self, rule: Rule, upkeep: Upkeep) -> None:
        # Bound once: it is called for every request.
        self.refusal = rule.refusal
        self.caller = rule.caller
        self.start, self.close = upkeep.start, upkeep.close

    @classmethod
    def open_to_all(cls) -> "Gate":
        return cls(Open(), Upkeep())

    @classmethod
    def of(cls, settings: AuthenticationSettings, on_known: Callable[[], None]) -> "Gate":
        """`on_known` is called when somebody is known for the first time, perhaps at once. Call it in the event loop.

        Raises InvalidSettings when the keys' folder cannot be read.
        """
        match settings.type:
            case "Open":
                on_known()
                return cls.open_to_all()
            case "ApiKey":
                return cls._of_keys(settings.api_keys_dir or Path(), on_known)
            case "Jwt":
                from podium_serving.security.tokens import TokenGate  # PyJWT is for those who ask for it

                tokens = TokenGate(settings.jwt_issuer, settings.jwt_audiences, settings.jwks_uri, on_known)
                return cls(tokens, Upkeep(tokens.issuer.run))

    @classmethod
    def _of_keys(cls, path: Path, on_known: Callable[[], None]) -> "Gate":
        keys = ApiKeyGate(on_known)
        folder = Folder(path, read_keys, keys.take, "API keys")
        try:
            folder.load()
        except (OSError, ValueError) as error:
            raise InvalidSettings(f"PODIUM_API_KEYS_DIR: cannot read {path}: {error}") from error
        return cls(keys, Upkeep(folder.watch))


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guarded:
    """An ASGI application behind a gate."""

    def __init__(self, application: Application, gate: Gate) -> None:
        self._application = application
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The path as the router will read it: what is open here is what the health routes are found at.
        if not scope["path"].startswith(OPEN_PATHS):
            headers = dict(scope["headers"])
            error = self._gate.refusal(headers.get(b"authorization", b""), headers.get(b"x-api-key", b""))
            if error is not None:
                await _refuse(error, send)
                return
        await self._application(scope, receive, send)


async def _refuse(error: ServingError, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    if error.http_status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    body = error_body(str(error))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
