"""What a collector reads out of the blocks of rows that pods send."""

import json
from typing import Any

from podium_crds.rows import body_of
from podium_monitor.compact import expanded
from podium_monitor.credentials import Source
from podium_serving.capture.events import Captured

SOURCE = Source("shop", "churn", "uid-1")
_ENOUGH = 1 << 30


def events_in(body: bytes) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(expanded(body, SOURCE, _ENOUGH, _ENOUGH))
    return events


def events_of(captured: Captured, start: int = 0, end: int | None = None) -> list[dict[str, Any]]:
    return events_in(body_of([captured.block(start, captured.rows if end is None else end)]))
