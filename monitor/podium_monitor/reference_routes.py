"""`HEAD` and `PUT /v1/references/<digest>/<file>` on the collector's port: pods bring what their version was trained on."""

import asyncio
import re
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from podium_monitor.answers import body_of, or_error
from podium_monitor.collector import Collector
from podium_monitor.credentials import Source, authenticated_source
from podium_monitor.doors import Door, announced_bytes
from podium_monitor.reference_checks import check_apart
from podium_monitor.references import MAX_BYTES, Differs, InvalidReference, folder_of_reference, is_there, keep
from podium_monitor.refusals import refusal

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BODY_SECONDS = 60.0
_MOST_BYTES = 96 * 1024 * 1024
"""That are received at once: the largest file that there may be, and half of another."""


class ReferenceRoutes:
    """A file lies whole in memory while it is looked at."""

    def __init__(self, collector_key: bytes, collector: Collector) -> None:
        self._key = collector_key
        self._collector = collector
        self._door = Door("References", _MOST_BYTES, collector.metrics)
        self.router = APIRouter()
        self.router.add_api_route("/v1/references/{digest}/{name}", self._head, methods=["HEAD"])
        self.router.add_api_route("/v1/references/{digest}/{name}", self._put, methods=["PUT"])

    async def _head(self, request: Request, digest: str, name: str) -> Response:
        async def looked() -> Response:
            source = self._source(request)
            folder = folder_of_reference(source.namespace, source.name, digest)
            look = partial(is_there, self._collector.store, folder, name)
            if _is_known(digest, name) and await self._collector.lookups.ask(source, look):
                return Response()
            return refusal(404, f"there is no {name} of {digest}")

        return await or_error(looked)

    async def _put(self, request: Request, digest: str, name: str) -> Response:
        return await or_error(lambda: self._take(request, digest, name))

    async def _take(self, request: Request, digest: str, name: str) -> Response:
        source = self._source(request)
        if not _is_known(digest, name):
            return refusal(
                404, f"{digest}/{name}: must be sha256:<64 hexadecimal digits>/ and one of {', '.join(MAX_BYTES)}"
            )
        if not self._collector.is_ready():
            return refusal(503, "the lake is not open yet")
        folder = folder_of_reference(source.namespace, source.name, digest)
        try:
            with self._door.let_in(source, announced_bytes(request, MAX_BYTES[name])):
                content = await body_of(request, MAX_BYTES[name], _BODY_SECONDS)
                await self._collector.readings.read(source, partial(check_apart, name, content))
                new = await asyncio.to_thread(keep, self._collector.store, folder, name, content)
        except InvalidReference as error:
            return refusal(400, str(error))
        except Differs as error:
            return refusal(409, str(error))
        return JSONResponse({"new": new}, 201 if new else 200)

    def _source(self, request: Request) -> Source:
        """The deployment whose capture token came. Raises Refused."""
        headers = request.headers
        return authenticated_source(self._key, headers.get("authorization", ""), headers.get("podium-source", ""))


def _is_known(digest: str, name: str) -> bool:
    return name in MAX_BYTES and _DIGEST.fullmatch(digest) is not None
