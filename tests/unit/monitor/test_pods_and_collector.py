"""A pod's recorder and the real collector: what was predicted is in the lake, once, and counted the same on both sides."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor_fixtures import KEY, CollectorProcess, rows, running, until
from podium_crds.capture import capture_token
from podium_crds.plan import PlannedCapture
from podium_serving.capture.limits import CaptureLimits
from podium_serving.capture.recorder import Recorder
from podium_serving.exchange import Answer
from podium_serving.settings import Secrets, Settings
from podium_serving.traffic.mirror import Shadowed
from traffic_fixtures import metrics, plan, request, route

pytestmark = pytest.mark.process

LIMITS = CaptureLimits(linger_seconds=0.05, first_pause_seconds=0.05, longest_pause_seconds=0.2, close_seconds=60)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from running(tmp_path)


async def test_counts_are_equal_although_the_collector_is_killed_meanwhile(collector: CollectorProcess) -> None:
    counts = metrics()
    token = capture_token(KEY, "shop/churn/uid-1")
    settings = Settings("shop", "churn", "uid-1", secrets=Secrets(salt=b"s", token="t", capture_token=token))
    recorder = Recorder(settings, counts, LIMITS)
    captured = plan(capture=PlannedCapture(percent=100, url=f"{collector.url}/v1/events"))
    shadow = route("boosting", "host", mode="Shadow")
    outputs = {"score": np.array([[1.5], [np.nan]], dtype=np.float32)}

    def predict(requests: int) -> None:
        for _ in range(requests):
            number = recorder.predicted(captured, request((1, 2), (3, 4)), Answer("churn-3", "sha256:3", 1, outputs))
            assert number is not None
            recorder.shadowed(captured, shadow, number, 2, Shadowed(outputs))

    predict(100)  # before the collector is up
    await collector.ready()
    await until(lambda: bool(counts.capture_events.children))
    predict(100)
    collector.kill()
    predict(100)
    collector.start()
    await collector.ready()
    await recorder.close()

    assert {labels[0]: value.value for labels, value in counts.capture_events.children.items()} == {"Accepted": 1200}
    predictions = {row["event_id"]: row for row in rows(collector.lake)}
    shadows = rows(collector.lake, "shadows")
    assert len(predictions) == len(rows(collector.lake)) == len(shadows) == 600
    assert {row["prediction_id"] for row in shadows} == predictions.keys()
    first = next(iter(predictions.values()))
    assert (first["input.number.x0"], first["input.number.x1"], first["output.number.score"]) == (1.0, 2.0, 1.5)
    assert (first["namespace"], first["deployment"], first["deployment_uid"]) == ("shop", "churn", "uid-1")
