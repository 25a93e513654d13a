"""The control port: signed messages from the operator, questions and files between peers, /metrics.

Never on the public Service. It shares the loop with inference, so every handler is short or streams; nothing here blocks.
"""

import asyncio
import hmac
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from pydantic import ValidationError

from podium_crds.plan import ControlStatus, Envelope, MessageRefused
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
_METRICS_TYPE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ControlPort:
    """The handlers, with what they need."""

    swapper: Swapper
    verifier: Verifier
    cache: Cache
    token: str
    exposition: Exposition

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors_as_json])
        application.add_routes(
            [
                web.post("/control/v1/messages", self.messages),
                web.get("/peer/v1/state", self._for_peers(self.peer_state)),
                web.post("/peer/v1/commit", self._for_peers(self.peer_commit)),
                web.get("/peer/v1/blobs/{sha256}", self._for_peers(self.peer_blob)),
                web.get("/metrics", self.metrics),
                web.get("/healthz", self.healthz),
            ]
        )
        return application

    async def messages(self, request: web.Request) -> web.StreamResponse:
        try:
            envelope = await _envelope(request)
            message = self.verifier.open(envelope)
        except MessageRefused as error:
            logger.warning("a message is refused: %s", error)
            return _refusal(403, str(error))
        try:
            return _json(200, await self.swapper.handle(envelope, message))
        except MessageLower as error:
            return _refusal(409, str(error), self.swapper.status())

    async def peer_state(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=self.swapper.peer_state().model_dump_json(), content_type="application/json")

    async def peer_commit(self, request: web.Request) -> web.StreamResponse:
        try:
            envelope = await _envelope(request)
            self.swapper.act(envelope, self.verifier.open_commit(envelope))
        except MessageRefused as error:
            logger.warning("a peer's commit is refused: %s", error)
            return _refusal(403, str(error))
        except MessageLower as error:
            return _refusal(409, str(error), self.swapper.status())
        return _json(200, self.swapper.status())

    async def peer_blob(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["sha256"]
        # Checked here, not by the route's pattern: only these characters may ever become part of a path.
        path = self.cache.blob(f"sha256:{name}") if _HEX.fullmatch(name) else None
        if path is None or not path.is_file():
            return _refusal(404, "this pod holds no such file")
        return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=await self.exposition(), headers=_METRICS_TYPE)

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok")

    def _for_peers(self, handler: Handler) -> Handler:
        expected = f"Bearer {self.token}".encode()

        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
            if not self.token or not hmac.compare_digest(given, expected):
                return _refusal(401, "the deployment's token is needed: Authorization: Bearer <token>")
            return await handler(request)

        return guarded


async def serve(port: ControlPort, bind: str, number: int) -> web.AppRunner:
    """Listens until the runner's `cleanup()`. Raises OSError when the port is taken."""
    runner = web.AppRunner(port.application(), access_log=None, keepalive_timeout=75, shutdown_timeout=2, lingering_time=1)
    await runner.setup()
    await web.TCPSite(runner, bind, number, backlog=128).start()
    return runner


async def _envelope(request: web.Request) -> Envelope:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
        return Envelope.model_validate_json(body)
    except TimeoutError as error:
        raise MessageRefused(f"the message did not arrive within {BODY_SECONDS:g} s") from error
    except ValidationError as error:
        raise MessageRefused(f"the body is no signed message: {error.errors()[0]['msg']}") from error


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _refusal(error.status, error.reason)


def _json(status: int, body: ControlStatus) -> web.Response:
    return web.Response(status=status, text=body.model_dump_json(), content_type="application/json")


def _refusal(status: int, sentence: str, held: ControlStatus | None = None) -> web.Response:
    body = {"error": sentence} | ({"status": held.model_dump(mode="json")} if held is not None else {})
    return web.json_response(body, status=status)
