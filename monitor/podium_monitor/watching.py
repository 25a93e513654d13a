"""The world as the API server tells it: each kind of each namespace is listed once, then its changes are streamed.

A stream that ends is opened again where it ended. When the server no longer has that point (410 Gone), the kind is listed
again. Whatever fails is tried again, later each time; meanwhile the world stays as it was heard last, and says how old
it is.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium_crds.names import API_VERSION, GROUP, VERSION
from podium_monitor.cluster import ApiError, Cluster
from podium_monitor.objects import KINDS, Catalogued, Kind, Unreadable, address_of

log = logging.getLogger(__name__)

_PLURALS: Mapping[Kind, str] = {"ModelDeployment": "modeldeployments", "ModelVersion": "modelversions"}
_PAGE = 500
_STREAM_SECONDS = 60
"""After which the server ends a stream: a new one is cheap, and proof that nothing was missed."""
_SILENCE_SECONDS = 75.0
"""A stream that neither says anything nor ends is dead."""
_SHORT_SECONDS = 1.0
"""A stream that ended so soon is not opened again at once."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_GONE = 410


@dataclass
class _Stream:
    kind: Kind
    namespace: str | None
    """None: all."""
    version: str = ""
    """Where to go on. Empty: from a list."""
    heard_at: float | None = None
    """By time.monotonic. None: never listed."""
    trouble: str = ""

    @property
    def path(self) -> str:
        within = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"/apis/{GROUP}/{VERSION}{within}/{_PLURALS[self.kind]}"

    def __str__(self) -> str:
        return f"{_PLURALS[self.kind]} of {self.namespace or 'all namespaces'}"


class Watching(Catalogued):
    """A World. `run` makes it true and keeps it so; it may be asked by any thread."""

    def __init__(self, cluster: Cluster, namespaces: Sequence[str]) -> None:
        """`namespaces`: empty for all."""
        super().__init__()
        self._cluster = cluster
        within: list[str | None] = [*dict.fromkeys(namespaces)] or [None]
        self._streams = [_Stream(kind, namespace) for namespace in within for kind in KINDS]

    @property
    def why_not_ready(self) -> str:
        """Empty once everything was listed, for good: an old world is better than none. See `why_stale`."""
        unheard = [stream for stream in self._streams if stream.heard_at is None]
        return f"{unheard[0]} are not known yet: {unheard[0].trouble or 'they are being listed'}" if unheard else ""

    @property
    def age_seconds(self) -> float:
        """Since the API server was last heard, of the stream where that is longest ago. Below 75 when all is well; infinite
        before everything was listed."""
        heard = [stream.heard_at for stream in self._streams]
        return max(float("inf") if at is None else time.monotonic() - at for at in heard)

    @property
    def why_stale(self) -> str:
        """What hinders the streams now. Empty when nothing does."""
        return "; ".join(f"{stream}: {stream.trouble}" for stream in self._streams if stream.trouble)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for stream in self._streams:
                group.create_task(self._follow(stream))

    async def _follow(self, stream: _Stream) -> None:
        pauses = _pauses()
        while True:
            opened = time.monotonic()
            try:
                if not stream.version:
                    await self._list(stream)
                await self._watch(stream)
            except ApiError as error:
                self._note(stream, error)
            if not stream.trouble and time.monotonic() - opened > _SHORT_SECONDS:
                pauses = _pauses()
                continue
            await asyncio.sleep(next(pauses))

    def _note(self, stream: _Stream, error: ApiError) -> None:
        if error.status == _GONE:
            log.info("%s are listed again: %s", stream, error)
            stream.version = ""
            return
        if str(error) != stream.trouble:
            log.warning("%s cannot be watched: %s", stream, error)
        stream.trouble = str(error)

    async def _list(self, stream: _Stream) -> None:
        """Takes all pages before anything is changed: half a list would look like deletions."""
        query, items = {"limit": str(_PAGE)}, list[dict[str, Any]]()
        while True:
            page = await self._cluster.get(stream.path, query)
            found, metadata = page.get("items"), page.get("metadata")
            if not isinstance(found, list) or not isinstance(metadata, dict) or not metadata.get("resourceVersion"):
                raise ApiError(f"GET {stream.path}", 200, "the answer is no list of objects")
            items += [{"apiVersion": API_VERSION, "kind": stream.kind, **item} for item in found]
            if not (more := metadata.get("continue")):
                break
            query["continue"] = str(more)
        self._catalogue.replace(items, [stream.kind], stream.namespace)
        stream.version = str(metadata["resourceVersion"])
        self._heard(stream)

    def _heard(self, stream: _Stream) -> None:
        stream.heard_at, stream.trouble = time.monotonic(), ""

    async def _watch(self, stream: _Stream) -> None:
        """Until the server ends the stream. Raises ApiError, with status 410 when its point is gone."""
        query = {
            "watch": "1",
            "resourceVersion": stream.version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_STREAM_SECONDS),
        }
        async for line in self._cluster.lines(stream.path, query, _SILENCE_SECONDS):
            if line.strip():
                self._take(stream, line)
            self._heard(stream)
        self._heard(stream)

    def _take(self, stream: _Stream, line: bytes) -> None:
        try:
            event = json.loads(line)
            what, found = event["type"], event["object"]
            if what == "ERROR":
                raise ApiError(f"watch {stream.path}", int(found.get("code", 500)), str(found.get("message", "")))
            version = str(found["metadata"]["resourceVersion"])
            if what == "DELETED":
                self._remove(found)
            elif what in ("ADDED", "MODIFIED"):
                self._catalogue.put(found)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            stream.version = ""  # what it said is lost: everything is listed again
            raise ApiError(f"watch {stream.path}", 200, f"an event cannot be read: {error!r}") from error
        stream.version = version

    def _remove(self, found: Mapping[str, Any]) -> None:
        try:
            if (address := address_of(found)) is not None:
                self._catalogue.remove(address)
        except Unreadable as error:
            log.warning("a deletion is passed over: %s", error)


def _pauses() -> Iterator[float]:
    """Twice as long each time, give or take a quarter: many monitors do not come back at one instant."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause * random.uniform(0.75, 1.25)  # noqa: S311  no secret
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
