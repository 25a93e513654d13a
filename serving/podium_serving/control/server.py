"""The control port: signed messages from the operator, questions and files between peers, /metrics.

Never on the public Service. It shares the loop with inference, so every handler is short or streams; nothing here blocks.
"""

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from podium_crds.plan import ControlStatus, Envelope, MessageRefused
from podium_serving.control.strangers import Strangers, TurnedAway
from podium_serving.control.verification import Verifier
from podium_serving.fetch.cache import Cache
from podium_serving.metrics import Exposition
from podium_serving.swap.surroundings import MessageLower
from podium_serving.swap.swapper import Swapper

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 4 * 1024 * 1024
"""A plan with ten challengers whose slots are scattered as far as they can be is 0.2 MB."""
BODY_SECONDS = 10.0
"""From a message's head to its end: until then nothing says that its sender is anybody."""
_HEX = re.compile(r"[0-9a-f]{64}")
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_CLIENT_GONE = 499
_CLOSE = {"Connection": "close"}
_COME_LATER = {"Retry-After": "1", **_CLOSE}
"""With the answer the connection ends: what was about to come on it is not read to its end."""

Handler = Callable[[Request], Awaitable[Response]]


class _Blob(FileResponse):
    chunk_size = 256 * 1024  # each is read in a thread, and a hop there and back costs 0.1 ms


@dataclass(frozen=True, slots=True)
class ControlPort:
    """The handlers, with what they need."""

    swapper: Swapper
    verifier: Verifier
    cache: Cache
    token: str
    exposition: Exposition
    strangers: Strangers = field(default_factory=Strangers)

    def application(self) -> Starlette:
        application = Starlette(
            routes=[
                Route("/control/v1/messages", self.messages, methods=["POST"]),
                Route("/peer/v1/state", self._for_peers(self.peer_state)),
                Route("/peer/v1/commit", self._for_peers(self.peer_commit), methods=["POST"]),
                Route("/peer/v1/blobs/{sha256}", self._for_peers(self.peer_blob)),
                Route("/metrics", self.metrics),
                Route("/healthz", self.healthz),
            ],
            exception_handlers={HTTPException: _refused, ClientDisconnect: _client_gone},
        )
        application.router.redirect_slashes = False
        return application

    async def messages(self, request: Request) -> Response:
        address = request.client.host if request.client else ""
        try:
            with self.strangers.coming(address, _announced_bytes(request), time.monotonic()):
                envelope = await _envelope(request)
                message = self.verifier.open(envelope)
        except TurnedAway as error:
            raise HTTPException(429, str(error), _COME_LATER) from error
        except MessageRefused as error:
            self.strangers.refused(address, time.monotonic())
            logger.warning("a message is refused: %s", error)
            return _refusal(403, str(error))
        try:
            return _json(200, await self.swapper.handle(envelope, message))
        except MessageLower as error:
            return _refusal(409, str(error), self.swapper.status())

    async def peer_state(self, request: Request) -> Response:
        return Response(self.swapper.peer_state().model_dump_json(), media_type="application/json")

    async def peer_commit(self, request: Request) -> Response:
        try:
            envelope = await _envelope(request)
            self.swapper.act(envelope, self.verifier.open_commit(envelope))
        except MessageRefused as error:
            logger.warning("a peer's commit is refused: %s", error)
            return _refusal(403, str(error))
        except MessageLower as error:
            return _refusal(409, str(error), self.swapper.status())
        return _json(200, self.swapper.status())

    async def peer_blob(self, request: Request) -> Response:
        name = request.path_params["sha256"]
        # Checked here, not by the route's pattern: only these characters may ever become part of a path.
        path = self.cache.blob(f"sha256:{name}") if _HEX.fullmatch(name) else None
        if path is None or not path.is_file():
            return _refusal(404, "this pod holds no such file")
        return _Blob(path, media_type="application/octet-stream")

    async def metrics(self, request: Request) -> Response:
        return Response(await self.exposition(), media_type=_METRICS_TYPE)

    async def healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    def _for_peers(self, handler: Handler) -> Handler:
        expected = f"Bearer {self.token}".encode()

        async def guarded(request: Request) -> Response:
            given = request.headers.get("Authorization", "").encode("latin-1")
            if not self.token or not hmac.compare_digest(given, expected):
                return _refusal(401, "the deployment's token is needed: Authorization: Bearer <token>")
            return await handler(request)

        return guarded


async def _envelope(request: Request) -> Envelope:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(request)
        return Envelope.model_validate_json(body)
    except TimeoutError as error:
        raise MessageRefused(f"the message did not arrive within {BODY_SECONDS:g} s") from error
    except ValidationError as error:
        raise MessageRefused(f"the body is no signed message: {error.errors()[0]['msg']}") from error


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        _check_size(len(body))
    return bytes(body)


def _announced_bytes(request: Request) -> int:
    """What the head says of the body, else the most that it may have. Raises HTTPException, before the body is read."""
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal():
        return MAX_BODY_BYTES
    size = int(length[:20])
    _check_size(size)
    return size


def _check_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise HTTPException(413, f"Request Entity Too Large: a message has at most {MAX_BODY_BYTES} bytes", _CLOSE)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refusal = _refusal(error.status_code, error.detail)
    refusal.headers.update(error.headers or {})
    return refusal


async def _client_gone(request: Request, error: Exception) -> Response:
    """Nobody reads it; without it each client that leaves within its body would be a stack trace in the log."""
    return Response(status_code=_CLIENT_GONE)


def _json(status: int, body: ControlStatus) -> Response:
    return Response(body.model_dump_json(), status, media_type="application/json")


def _refusal(status: int, sentence: str, held: ControlStatus | None = None) -> Response:
    body = {"error": sentence} | ({"status": held.model_dump(mode="json")} if held is not None else {})
    return JSONResponse(body, status)
