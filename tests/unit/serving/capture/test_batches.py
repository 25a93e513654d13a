"""Events on their way into a batch: in order, whole, in bounded slices, and compressed."""

import gzip
import json
from typing import Any

import numpy as np

from podium_crds.plan import PlannedCapture
from podium_serving.capture.batches import SLICE_ROWS, Batches
from podium_serving.capture.events import Captured, CapturedPrediction
from podium_serving.capture.limits import CaptureLimits
from podium_serving.capture.texts import PlanText
from podium_serving.exchange import Answer
from traffic_fixtures import plan, request


class Kept:
    """Batches, and what was lost on the way."""

    def __init__(self, **limits: int) -> None:
        self.lost: list[int] = []
        self.batches = Batches(CaptureLimits(**limits), self._lost)
        self.made = 0

    def _lost(self, captured: Captured, rows: int) -> None:
        self.lost.append(rows)

    def add(self, rows: int, url: str = "http://one") -> None:
        asked = request(*((float(row), 1.0) for row in range(rows)))
        answer = Answer("churn-3", "sha256:3", 1, {"score": np.ones((rows, 1), np.float32)})
        text = PlanText(plan(capture=PlannedCapture(percent=100, url=url)))
        captured = CapturedPrediction(f"e{self.made}".encode(), 0.0, text, asked, answer, 0.0)
        self.made += 1
        captured.weigh()
        self.batches.add(captured)

    def slices(self) -> list[int]:
        """Writes everything; the rows of each slice."""
        written = []
        while self.batches.waits:
            before = self._rows()
            self.batches.write_slice()
            written.append(self._rows() - before)
        self.batches.close_open()
        return written

    def _rows(self) -> int:
        rows = sum(batch.rows for batch in self.batches.full)
        return rows + (self.batches._open.rows if self.batches._open else 0)

    def sent(self) -> list[tuple[str, list[dict[str, Any]]]]:
        return [(batch.url, json.loads(gzip.decompress(batch.body()))) for batch in self.batches.full]


def test_rows_are_sent_in_the_order_in_which_they_came() -> None:
    kept = Kept()
    for rows in (1, 3, 1, 200, 1):
        kept.add(rows)
    kept.slices()
    ((url, events),) = kept.sent()
    assert url == "http://one"
    assert [event["id"] for event in events] == [
        f"e{number}-{row}" for number, rows in enumerate((1, 3, 1, 200, 1)) for row in range(rows)
    ]


def test_a_large_request_is_written_in_slices_and_small_ones_together() -> None:
    kept = Kept()
    kept.add(10 * SLICE_ROWS + 1)
    assert kept.slices() == [SLICE_ROWS] * 10 + [1]
    for _ in range(20):
        kept.add(1)
    assert kept.slices() == [20]


def test_slices_grow_with_what_waits() -> None:
    kept = Kept()
    for _ in range(4000):
        kept.add(1)
    assert kept.slices()[0] >= 900


def test_another_url_begins_another_batch() -> None:
    kept = Kept()
    for url in ("http://one", "http://one", "http://two", "http://one"):
        kept.add(1, url)
    kept.slices()
    assert [(url, len(events)) for url, events in kept.sent()] == [("http://one", 2), ("http://two", 1), ("http://one", 1)]


def test_a_batch_is_full_by_its_rows_and_by_its_bytes() -> None:
    kept = Kept(batch_events=100)
    for _ in range(250):
        kept.add(1)
    kept.slices()
    assert [len(events) for _, events in kept.sent()] == [100, 100, 50]
    kept = Kept(batch_bytes=30_000)
    kept.add(1000)
    kept.slices()
    sent = kept.sent()
    assert len(sent) > 3
    assert sum(len(events) for _, events in sent) == 1000


def test_what_is_held_is_counted_and_small_once_it_is_compressed() -> None:
    kept = Kept()
    for _ in range(500):
        kept.add(1)
    waiting = kept.batches.waiting_bytes
    kept.slices()
    assert kept.batches.waiting_bytes == 0
    kept.sent()
    assert 0 < kept.batches.written_bytes < waiting / 4
    kept.batches.forget()
    assert kept.batches.written_bytes == 0
