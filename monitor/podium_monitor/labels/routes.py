"""`POST /v1/labels` on the collector's port: what is acknowledged is durable, all of a request or nothing."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from podium_crds.capture import capture_token, hash_key, hashed
from podium_monitor.answers import body_of, media_type, or_error
from podium_monitor.collector import Collector
from podium_monitor.credentials import Source, labelling_source
from podium_monitor.doors import Door, announced_bytes
from podium_monitor.labels.confined import of_parquet
from podium_monitor.labels.given import Given, InvalidLabels
from podium_monitor.labels.json_bodies import of_json, of_lines
from podium_monitor.labels.rows import Posted, rows_of_labels
from podium_monitor.lake.tables import Rows
from podium_monitor.refusals import refusal
from podium_monitor.unpacking import unpacked

_READERS: dict[str, Callable[[bytes], list[Given]]] = {
    "application/json": of_json,
    "application/x-ndjson": of_lines,
    "application/vnd.apache.parquet": of_parquet,
}
_MAX_BODY_BYTES = 32 * 1024 * 1024
_MAX_UNPACKED_BYTES = 64 * 1024 * 1024
_BODY_SECONDS = 60.0
_SMALL_BYTES = 64 * 1024
_MOST_SMALL = 64
_MOST_LARGE = 4
"""Bodies that are received at once; of one deployment half as many."""
_ROW_BYTES = 700
"""About, in memory."""
_MAX_CLAIM = 128


class LabelRoutes:
    """One large request is read at a time, in a thread; meanwhile small ones pass it by."""

    def __init__(self, collector_key: bytes, collector: Collector) -> None:
        self._key = collector_key
        self._collector = collector
        self._large = Door("Labels", _MOST_LARGE, collector.metrics)
        self._small = Door("SmallLabels", _MOST_SMALL, collector.metrics)
        self.router = APIRouter()
        self.router.add_api_route("/v1/labels", self._post, methods=["POST"])

    async def _post(self, request: Request) -> Response:
        response = await or_error(lambda: self._answer(request))
        self._collector.metrics.label_requests.labels(str(response.status_code)).inc()
        return response

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._take(request)
        except InvalidLabels as error:
            self._collector.metrics.labels.labels("Refused").inc(error.rows)
            where = {} if error.row is None else {"row": error.row}
            return JSONResponse({"error": str(error), **where}, 400)

    async def _take(self, request: Request) -> Response:
        source = labelling_source(self._key, request.headers.get("authorization", ""))
        media = media_type(request)
        if media not in _READERS:
            return refusal(415, f"Content-Type is {media!r}, must be one of {', '.join(_READERS)}")
        if not self._collector.is_ready():
            return refusal(503, "the lake is not open yet")
        labelled_by, stored_key = _labelled_by(source, request), self._stored_key(source, request)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        small = _is_small(request, media, encoding)

        def rows_of(body: bytes) -> Rows:
            given = _READERS[media](unpacked(body, encoding, _MAX_UNPACKED_BYTES))
            return rows_of_labels(given, Posted(source, labelled_by, datetime.now(UTC), stored_key))

        announced_bytes(request, _MAX_BODY_BYTES)
        with (self._small if small else self._large).let_in(source, 1):
            body = await body_of(request, _MAX_BODY_BYTES, _BODY_SECONDS)
            rows = rows_of(body) if small else await self._collector.readings.read(source, partial(rows_of, body))
        committed = await self._collector.committer.commit([rows] if len(rows) else [], len(rows) * _ROW_BYTES)
        return JSONResponse({"accepted": committed.accepted, "duplicates": committed.duplicates})

    def _stored_key(self, source: Source, request: Request) -> Callable[[str], str]:
        """`?join_key_hashing=apply`: keys come as they are, predictions have their hashes. Raises InvalidLabels."""
        unknown = sorted(set(request.query_params) - {"join_key_hashing"})
        hashing = request.query_params.get("join_key_hashing", "none")
        if unknown or hashing not in ("none", "apply"):
            raise InvalidLabels(f"the query is {request.url.query!r}, may be join_key_hashing=apply, or =none, or absent")
        if hashing == "none":
            return str
        key = hash_key(capture_token(self._key, str(source)))
        return lambda text: hashed(key, text.encode())


def _is_small(request: Request, media: str, encoding: str) -> bool:
    """Parquet and gzip become larger than they come."""
    length = request.headers.get("content-length", "")
    packed = bool(encoding) or _READERS[media] is of_parquet
    return not packed and length.isdecimal() and int(length) <= _SMALL_BYTES


def _labelled_by(source: Source, request: Request) -> str:
    """The token's subject, and who its holder claims to post for. Raises InvalidLabels."""
    subject = f"token {source}"
    claimed = request.headers.get("podium-labelled-by", "").strip()
    if not claimed:
        return subject
    try:
        claimed = claimed.encode("latin-1").decode()  # HTTP servers hand header bytes over as Latin-1
    except UnicodeError as error:
        raise InvalidLabels("the header Podium-Labelled-By is not UTF-8") from error
    if len(claimed) > _MAX_CLAIM or not claimed.isprintable():
        raise InvalidLabels(f"the header Podium-Labelled-By must be of at most {_MAX_CLAIM} printable characters")
    return f"{subject}, claimed {claimed}"
