"""`POST /v1/erasures` and `GET /v1/erasures/<id>` on the collector's port: the right to be forgotten, for administrators."""

import asyncio
import hashlib
import hmac
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from podium_crds.capture import erasure_token
from podium_monitor.answers import body_of, or_error
from podium_monitor.collector import Collector
from podium_monitor.credentials import Refused
from podium_monitor.events import InvalidBatch
from podium_monitor.lake.erasure import Erasure, Kind, add, erasure
from podium_monitor.refusals import refusal

_MAX_BYTES = 8 * 1024 * 1024
_MAX_IDS = 10_000
_MAX_LENGTH = 1024
_BODY_SECONDS = 30.0
_SHOWN = ("id", "state", "kind", "rows", "requested_at", "requested_by", "namespace", "deployment", "erased_at", "done_at")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_ID = re.compile(r"[0-9a-f]{32}")


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """The body. One of the three lists."""

    join_keys: list[str] = []
    request_ids: list[str] = []
    event_ids: list[str] = []
    namespace: str = ""
    deployment: str = ""
    requested_by: str = ""


def erasure_of(body: bytes, collector_key: bytes, now: datetime) -> Erasure:
    """What is asked for. Raises InvalidBatch."""
    try:
        wish = msgspec.json.decode(body, type=Wish)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidBatch(f"the body does not say what to erase: {error}") from error
    lists: dict[Kind, list[str]] = {
        "join_keys": wish.join_keys,
        "request_ids": wish.request_ids,
        "event_ids": wish.event_ids,
    }
    given = [(kind, sorted(set(ids))) for kind, ids in lists.items() if ids]
    if len(given) != 1:
        raise InvalidBatch(f"{len(given)} lists of ids are given, must be one of join_keys, request_ids, event_ids")
    ((kind, ids),) = given
    if len(ids) > _MAX_IDS or any(not 0 < len(one) <= _MAX_LENGTH for one in ids):
        raise InvalidBatch(f"{kind} must be 1 to {_MAX_IDS} texts of 1 to {_MAX_LENGTH} characters")
    for name in (wish.namespace, wish.deployment):
        if name and not _NAME.fullmatch(name):
            raise InvalidBatch(f"{name[:80]!r} must be the name of a namespace or a ModelDeployment")
    if wish.deployment and not wish.namespace:
        raise InvalidBatch("a deployment is given without its namespace")
    return Erasure(
        id=uuid.uuid4().hex,
        kind=kind,
        ids=ids,
        hashes=[hmac.digest(collector_key, f"{kind}\n{one}".encode(), hashlib.sha256).hex() for one in ids],
        requested_at=now,
        requested_by=wish.requested_by[:256],
        namespace=wish.namespace,
        deployment=wish.deployment,
    )


class ErasureRoutes:
    def __init__(self, collector_key: bytes, collector: Collector) -> None:
        self._key = collector_key
        self._collector = collector
        self.router = APIRouter()
        self.router.add_api_route("/v1/erasures", self._post, methods=["POST"])
        self.router.add_api_route("/v1/erasures/{identity}", self._get, methods=["GET"])

    async def _post(self, request: Request) -> Response:
        return await or_error(lambda: self._take(request))

    async def _take(self, request: Request) -> Response:
        self._check(request)
        if not self._collector.is_ready():
            return refusal(503, "the lake is not open yet")
        body = await body_of(request, _MAX_BYTES, _BODY_SECONDS)
        wanted = erasure_of(body, self._key, datetime.now(UTC))
        await asyncio.to_thread(add, self._collector.store, wanted)
        self._collector.maintenance.wake()
        return JSONResponse(_shown(wanted), 202)

    async def _get(self, request: Request, identity: str) -> Response:
        async def looked() -> Response:
            self._check(request)
            found = None
            if _ID.fullmatch(identity):
                found = await asyncio.to_thread(erasure, self._collector.store, identity)
            return refusal(404, f"there is no erasure {identity[:80]!r}") if found is None else JSONResponse(_shown(found))

        return await or_error(looked)

    def _check(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        expected = erasure_token(self._key).rstrip("=").encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().rstrip("=").encode(), expected):
            raise Refused("the header Authorization must be Bearer with the erasure token")


def _shown(state: Erasure) -> dict[str, Any]:
    """Without the ids: whoever asks has them."""
    fields = msgspec.to_builtins(state)
    return {**{name: fields[name] for name in _SHOWN}, "ids": len(state.hashes)}
