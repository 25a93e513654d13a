"""The recorder against a real collector that comes, goes and refuses: every row is accounted for, no request waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp import web

from capture_fixtures import events_in
from podium_crds.plan import Plan, PlannedCapture
from podium_serving.capture.limits import CaptureLimits
from podium_serving.capture.recorder import Recorder
from podium_serving.capture.sender import Reply, Verdict, reply_to
from podium_serving.exchange import Answer, Fallback
from podium_serving.oip.rows import RunTexts
from podium_serving.traffic.mirror import Shadowed
from ports import free_port
from traffic_fixtures import metrics, plan, request, route, settings, until

pytestmark = pytest.mark.process

QUICK = CaptureLimits(
    batch_events=500, linger_seconds=0.01, first_pause_seconds=0.01, longest_pause_seconds=0.05, close_seconds=60.0
)


@dataclass
class Collector:
    """What came in. `statuses` are answered first, one per batch; then 200."""

    events: list[dict[str, Any]] = field(default_factory=list)
    blocks: int = 0
    batches: list[int] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    down: int | None = None

    async def take(self, asked: web.Request) -> web.Response:
        body = await asked.read()
        content = events_in(body)
        self.headers.append(dict(asked.headers))
        status = self.down or (self.statuses.pop(0) if self.statuses else 200)
        if status != 200:
            return web.json_response({"error": "later"}, status=status, headers={"Retry-After": "0"})
        self.events += content
        self.blocks += len(msgspec.msgpack.decode(body))
        self.batches.append(len(content))
        return web.json_response({"accepted": len(content), "duplicates": 0})


@asynccontextmanager
async def collecting(port: int) -> AsyncIterator[Collector]:
    collector = Collector()
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post("/v1/events", collector.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield collector
    finally:
        await runner.cleanup()


class Capture:
    """A recorder and what it counted."""

    def __init__(self, limits: CaptureLimits = QUICK, percent: int = 100) -> None:
        self.port = free_port()
        self.metrics = metrics()
        self.recorder = Recorder(settings(), self.metrics, limits)
        self.plan: Plan = plan(capture=PlannedCapture(percent=percent, url=f"http://127.0.0.1:{self.port}/v1/events"))

    def predict(self, rows: int = 1) -> int | None:
        asked = request(*((float(row), 1.0) for row in range(rows)))
        columns = {"score": np.ones((rows, 1), dtype=np.float32)}
        return self.recorder.predicted(self.plan, asked, Answer("churn-3", "sha256:3", 1, columns))

    def counted(self) -> dict[str, float]:
        return {labels[0]: value.value for labels, value in self.metrics.capture_events.children.items()}


async def test_every_row_arrives_once_with_its_own_id() -> None:
    capture = Capture()
    async with collecting(capture.port) as collector:
        for rows in (1, 2, 1500, 3):
            assert capture.predict(rows)
        await until(lambda: len(collector.events) == 1506)
        await capture.recorder.close()
    assert len({event["id"] for event in collector.events}) == 1506
    assert capture.counted() == {"Accepted": 1506}
    assert max(collector.batches) <= QUICK.batch_events
    assert collector.headers[0]["Authorization"] == "Bearer capture-token"
    assert collector.headers[0]["Podium-Source"] == "shop/churn/uid-1"
    assert collector.headers[0]["Content-Type"] == "application/vnd.podium.rows.v1+msgpack"
    assert "Content-Encoding" not in collector.headers[0]


async def test_a_collector_that_is_away_and_comes_back_gets_everything() -> None:
    capture = Capture()
    for _ in range(100):
        capture.predict()
    await asyncio.sleep(0.1)  # some tries against a port where nobody listens
    async with collecting(capture.port) as collector:
        collector.down = 503
        await until(lambda: len(collector.headers) > 3)
        for _ in range(100):
            capture.predict()
        collector.down = None
        await until(lambda: len(collector.events) == 200)
        await capture.recorder.close()
    assert capture.counted() == {"Accepted": 200}
    assert len({event["id"] for event in collector.events}) == 200


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
async def test_a_batch_is_sent_again_with_the_same_ids(status: int) -> None:
    capture = Capture()
    async with collecting(capture.port) as collector:
        collector.statuses = [status, status]
        number = capture.predict()
        await until(lambda: len(collector.events) == 1)
        await capture.recorder.close()
    assert len(collector.headers) == 3
    assert collector.events[0]["id"] == f"{capture.recorder.stem.decode()}-{number:x}-0"


async def test_what_the_collector_will_never_take_is_counted_and_the_next_goes_on() -> None:
    capture = Capture()
    async with collecting(capture.port) as collector:
        collector.statuses = [400]
        capture.predict(2)
        await until(lambda: capture.counted() == {"Refused": 2})
        capture.predict(3)
        await until(lambda: len(collector.events) == 3)
        await capture.recorder.close()
    assert capture.counted() == {"Refused": 2, "Accepted": 3}


async def test_a_full_buffer_drops_and_counts_and_never_waits() -> None:
    capture = Capture(CaptureLimits(max_events=100, linger_seconds=0.01, close_seconds=0.05))
    kept = [capture.predict() is not None for _ in range(1000)]
    assert kept == [True] * 100 + [False] * 900
    assert capture.predict(1) is None
    await capture.recorder.close()
    assert capture.counted() == {"Dropped": 901, "Abandoned": 100}


async def test_bytes_are_bounded_too() -> None:
    capture = Capture(CaptureLimits(max_bytes=10_000, close_seconds=0.05))
    assert capture.predict(10)
    assert capture.predict(100) is None
    await capture.recorder.close()
    assert capture.counted() == {"Dropped": 100, "Abandoned": 10}


async def test_the_buffer_is_free_again_after_it_was_sent() -> None:
    capture = Capture(CaptureLimits(max_events=50, linger_seconds=0.0, close_seconds=60))
    async with collecting(capture.port) as collector:
        for turn in range(1, 6):
            assert capture.predict(50)
            await until(lambda: len(collector.events) == turn * 50)  # noqa: B023  awaited before the next turn
            await until(lambda: capture.counted().get("Accepted") == turn * 50)  # noqa: B023
        await capture.recorder.close()
    assert capture.counted() == {"Accepted": 250}


async def test_closing_sends_what_is_left() -> None:
    capture = Capture(CaptureLimits(linger_seconds=600, close_seconds=60))
    async with collecting(capture.port) as collector:
        for _ in range(10):
            capture.predict()
        async with asyncio.timeout(30):
            await capture.recorder.close()
        assert len(collector.events) == 10
    assert capture.counted() == {"Accepted": 10}
    assert capture.predict() is None


async def test_closing_waits_for_a_collector_no_longer_than_its_bound() -> None:
    capture = Capture(CaptureLimits(close_seconds=0.1))
    capture.predict()
    async with asyncio.timeout(30):
        await capture.recorder.close()
    assert capture.counted() == {"Abandoned": 1}


async def test_a_share_of_the_requests_is_sampled() -> None:
    capture = Capture(percent=10)
    async with collecting(capture.port):
        sampled = [capture.predict() is not None for _ in range(1000)]
        await capture.recorder.close()
    assert sampled.count(True) == 100


@pytest.mark.parametrize("asked", [PlannedCapture(percent=0, url="http://x"), PlannedCapture(percent=100, url="")])
async def test_capture_that_is_off_costs_nothing(asked: PlannedCapture) -> None:
    capture = Capture()
    capture.plan = plan(capture=asked)
    assert capture.predict() is None
    await capture.recorder.close()
    assert capture.counted() == {}


async def test_a_shadows_answer_follows_its_prediction() -> None:
    capture = Capture()
    async with collecting(capture.port) as collector:
        number = capture.predict(2)
        assert number is not None
        shadow = route("boosting", "host", mode="Shadow")
        capture.recorder.shadowed(capture.plan, shadow, number, 2, Shadowed({"score": np.ones((2, 1))}))
        await until(lambda: len(collector.events) == 4)
        await capture.recorder.close()
    assert collector.events[3]["data"]["prediction_id"] == collector.events[1]["id"]


async def test_values_that_json_cannot_hold_end_capture_for_nobody_else() -> None:
    capture = Capture()
    async with collecting(capture.port) as collector:
        asked = request((1, 2))
        asked.columns = {"odd": np.array([[object()]], dtype=object)}
        assert capture.recorder.predicted(capture.plan, asked, Answer("churn-3", "sha256:3", 1, {}))
        capture.predict()
        await until(lambda: len(collector.events) == 1)
        await capture.recorder.close()
    assert capture.counted() == {"Dropped": 1, "Accepted": 1}


async def test_requests_get_their_turns_while_a_large_batch_is_written() -> None:
    capture = Capture()
    turns = 0
    async with collecting(capture.port):
        assert capture.predict(10_000)
        while capture.counted().get("Accepted") != 10_000:
            await asyncio.sleep(0)
            turns += 1
        await capture.recorder.close()
    assert turns > 20


class Runs(Capture):
    """Answers of rows that ran together."""

    def run(
        self, rows: int, *, answered: int | None = None, plan_of: Plan | None = None, instead: int | None = None
    ) -> list[int | None]:
        """The numbers of its requests. `instead`: the row that the champion answered in a challenger's place."""
        columns = {"score": np.arange(rows, dtype=np.float32).reshape(rows, 1)}
        asked = [request((float(row), 1.0)) for row in range(rows)]
        joined = {name: np.concatenate([one.columns[name] for one in asked]) for name in asked[0].columns}
        texts = RunTexts(rows, joined, columns)
        answers = [Answer("churn-3", "sha256:3", 1, columns, texts=texts, row=row) for row in range(rows)]
        if instead is not None:
            answers[instead].arm_assigned, answers[instead].fallback = "neural-net", Fallback.TIMEOUT
        return [
            self.recorder.predicted(plan_of or self.plan, asked[row], answers[row])
            for row in range(rows if answered is None else answered)
        ]


async def test_rows_of_runs_arrive_with_their_own_values_and_ids() -> None:
    capture = Runs()
    async with collecting(capture.port) as collector:
        alone = [*capture.run(3), *capture.run(1)]
        both = capture.predict(2)
        alone += [*capture.run(5, answered=2), *capture.run(4)]
        await until(lambda: len(collector.events) == 12)
        await capture.recorder.close()
    stem = capture.recorder.stem.decode()
    places = [(number, 0, score) for number, score in zip(alone, [0, 1, 2, 0, 0, 1, 0, 1, 2, 3], strict=True)]
    assert {event["id"]: event["data"]["outputs"]["score"] for event in collector.events} == {
        f"{stem}-{number:x}-{row}": score for number, row, score in [*places, (both, 0, 1), (both, 1, 1)]
    }
    assert capture.counted() == {"Accepted": 12}


async def test_answers_of_two_kinds_in_one_run_gather_apart() -> None:
    """Else a canary of 10 % would make ten blocks where one is enough, and a block costs as much as many rows."""
    capture = Runs()
    async with collecting(capture.port) as collector:
        numbers = [number for _ in range(20) for number in capture.run(10, instead=3)]
        await until(lambda: len(collector.events) == 200)
        await capture.recorder.close()
    stem = capture.recorder.stem.decode()
    by_id = {event["id"]: event["data"] for event in collector.events}
    rows = [by_id[f"{stem}-{number:x}-0"] for number in numbers]
    assert [row["outputs"]["score"] for row in rows] == [*range(10)] * 20
    assert [row["inputs"]["x0"] for row in rows] == [*range(10)] * 20
    assert [row["fallback"] for row in rows] == [*[""] * 3, "Timeout", *[""] * 6] * 20
    assert collector.blocks == 3  # 128 and 52 rows of one kind, 20 of the other


async def test_kinds_of_answers_without_end_keep_little_waiting() -> None:
    capture = Runs()
    async with collecting(capture.port) as collector:
        for version in range(100):
            texts = RunTexts(1, {"x0": np.ones((1, 1))}, {"score": np.ones((1, 1))})
            answer = Answer(f"churn-{version}", "sha256:3", 1, texts.said, texts=texts)
            assert capture.recorder.predicted(capture.plan, request((1, 2)), answer)
        await until(lambda: len(collector.events) == 100)
        await capture.recorder.close()
    assert {event["data"]["version"] for event in collector.events} == {f"churn-{version}" for version in range(100)}


async def test_the_last_run_is_sent_though_no_other_follows_it() -> None:
    capture = Runs()
    async with collecting(capture.port) as collector:
        capture.run(3)
        await until(lambda: len(collector.events) == 3)
        await capture.recorder.close()


async def test_a_plan_that_changes_within_a_run_divides_it() -> None:
    capture = Runs()
    other = plan(epoch=2, capture=capture.plan.capture)
    async with collecting(capture.port) as collector:
        capture.run(2)
        capture.run(2, plan_of=other)
        await until(lambda: len(collector.events) == 4)
        await capture.recorder.close()
    assert len({event["id"] for event in collector.events}) == 4


async def test_a_full_buffer_drops_runs_together_and_counts_their_rows() -> None:
    capture = Runs(CaptureLimits(max_events=200, linger_seconds=60, close_seconds=0.05))
    for _ in range(100):
        capture.run(4)
    await capture.recorder.close()
    assert capture.counted() == {"Dropped": 256, "Abandoned": 144}


async def test_runs_of_different_shapes_are_captured_apart() -> None:
    capture = Runs()
    async with collecting(capture.port) as collector:
        for width in (1, 2, 2, 1):
            said = {"score": np.full((2, width), width, np.float32)}
            texts = RunTexts(2, {"x0": np.ones((2, 1))}, said)
            for row in range(2):
                answer = Answer("churn-3", "sha256:3", 1, said, texts=texts, row=row)
                assert capture.recorder.predicted(capture.plan, request((1, 2)), answer)
        await until(lambda: len(collector.events) == 8)
        await capture.recorder.close()
    assert [event["data"]["outputs"]["score"] for event in collector.events] == [[1], [1], *[[2, 2]] * 4, [1], [1]]


@pytest.mark.parametrize(
    ("always", "fallback", "asked", "kept"),
    [
        (["Fallback"], Fallback.TIMEOUT, False, True),
        (["Fallback"], Fallback.NONE, True, False),
        (["Header"], Fallback.NONE, True, True),
        (["Header"], Fallback.TIMEOUT, False, False),
        ([], Fallback.TIMEOUT, True, False),
    ],
)
async def test_rules_keep_what_the_sample_leaves_out(always: list[Any], fallback: Fallback, asked: bool, kept: bool) -> None:
    capture = Capture()
    url = capture.plan.capture.url
    capture.plan = plan(capture=PlannedCapture(percent=0, url=url, always=always))
    one = request((1, 2), headers={"podium-capture": "Always"} if asked else {})
    answer = Answer("churn-3", "sha256:3", 1, {}, arm_assigned="neural-net" if fallback else "champion", fallback=fallback)
    async with collecting(capture.port) as collector:
        assert (capture.recorder.predicted(capture.plan, one, answer) is not None) is kept
        await capture.recorder.close()
    assert [event["data"]["sampled"] for event in collector.events] == [False] * kept


async def test_a_request_that_names_its_version_is_captured_as_one_that_was_not_split() -> None:
    capture = Capture()
    capture.plan = plan(
        route("neural-net", "host", percent=10), capture=PlannedCapture(percent=100, url=capture.plan.capture.url)
    )
    named = request((1, 2))
    named.pinned_version = "churn-3"
    async with collecting(capture.port) as collector:
        for one in (request((1, 2)), named):
            assert capture.recorder.predicted(capture.plan, one, Answer("churn-3", "sha256:3", 1, {}))
        await until(lambda: len(collector.events) == 2)
        await capture.recorder.close()
    assert ["split" in event["data"] for event in collector.events] == [True, False]


@pytest.mark.parametrize(
    ("status", "retry_after", "reply"),
    [
        (200, "", Reply(Verdict.ACCEPTED)),
        (400, "", Reply(Verdict.REFUSED, "HTTP 400: why")),
        (413, "", Reply(Verdict.REFUSED, "HTTP 413: why")),
        (429, "3", Reply(Verdict.LATER, "HTTP 429: why", 3.0)),
        (503, "soon", Reply(Verdict.LATER, "HTTP 503: why")),
        (403, "", Reply(Verdict.LATER, "HTTP 403: why")),
        (302, "", Reply(Verdict.LATER, "HTTP 302: why")),
    ],
)
def test_an_answer_of_the_collector_means(status: int, retry_after: str, reply: Reply) -> None:
    assert reply_to(status, retry_after, "" if status == 200 else "why") == reply
