"""Blocks on their way into a batch: in order, whole, and in bounded slices."""

from typing import Any

import numpy as np

from capture_fixtures import events_in
from podium_crds.plan import PlannedCapture
from podium_serving.capture.batches import SLICE_BYTES, Batches
from podium_serving.capture.events import Captured, CapturedRequest
from podium_serving.capture.limits import CaptureLimits
from podium_serving.capture.planned import PlanCapture
from podium_serving.exchange import Answer
from traffic_fixtures import plan, request


class Kept:
    """Batches, and what was lost on the way."""

    def __init__(self, **limits: int) -> None:
        self.lost: list[int] = []
        self.batches = Batches(CaptureLimits(**limits), self._lost)
        self.made = 0
        self.row_bytes = 0

    def _lost(self, captured: Captured, rows: int) -> None:
        self.lost.append(rows)

    def add(self, rows: int, url: str = "http://one") -> None:
        asked = request(*((float(row), 1.0) for row in range(rows)))
        answer = Answer("churn-3", "sha256:3", 1, {"score": np.ones((rows, 1), np.float32)})
        planned = PlanCapture(plan(capture=PlannedCapture(percent=100, url=url)))
        captured = CapturedRequest(b"e", self.made, planned, planned.members(answer), asked, answer, 0.0, 0.0)
        self.made += 1
        self.row_bytes = captured.weigh() // rows
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
        return [(batch.url, events_in(batch.body())) for batch in self.batches.full]


def test_rows_are_sent_in_the_order_in_which_they_came() -> None:
    kept = Kept()
    for rows in (1, 3, 1, 200, 1):
        kept.add(rows)
    kept.slices()
    ((url, events),) = kept.sent()
    assert url == "http://one"
    assert [event["id"] for event in events] == [
        f"e-{number}-{row}" for number, rows in enumerate((1, 3, 1, 200, 1)) for row in range(rows)
    ]


def test_a_large_request_is_written_in_slices_and_small_ones_together() -> None:
    kept = Kept(batch_events=1_000_000)
    kept.add(10_000)
    slices = kept.slices()
    assert len(slices) > 10
    assert sum(slices) == 10_000
    assert max(slices) * kept.row_bytes <= SLICE_BYTES
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
    kept = Kept(batch_bytes=5_000)
    for _ in range(100):
        kept.add(10)
    kept.slices()
    sent = kept.sent()
    assert len(sent) > 3
    assert sum(len(events) for _, events in sent) == 1000


def test_no_batch_has_more_rows_than_the_limit() -> None:
    kept = Kept(batch_events=100)
    for rows in (70, 70, 200):
        kept.add(rows)
    kept.slices()
    sent = [events for _, events in kept.sent()]
    assert [len(events) for events in sent] == [100, 100, 100, 40]
    assert len({event["id"] for events in sent for event in events}) == 340


def test_what_is_held_is_counted() -> None:
    kept = Kept()
    for _ in range(500):
        kept.add(1)
    assert kept.batches.waiting_bytes == 500 * kept.row_bytes
    kept.slices()
    assert kept.batches.waiting_bytes == 0
    assert kept.batches.written_bytes == sum(len(batch.body()) for batch in kept.batches.full) - 5
    kept.batches.forget()
    assert kept.batches.written_bytes == 0
