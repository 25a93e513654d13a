"""What is decided without processes: figures of many as one, the status of a pod, the word that all see, who is ill."""

import os
from collections.abc import Sequence

import pytest

from podium_crds.plan import ControlStatus, Flip
from podium_serving.exposition import Family, text
from podium_serving.metrics import Metrics
from podium_serving.workers.messages import Hold, Packet, Report, packet_bytes, read_packet
from podium_serving.workers.status import pod_status
from podium_serving.workers.totals import ended, merged
from podium_serving.workers.words import Words


def process(requests: int, epoch: int, seconds: Sequence[float] = ()) -> list[Family]:
    metrics = Metrics("ns", "churn", process=False)
    metrics.requests.labels("v1", "champion", "200").inc(requests)
    metrics.plan_epoch.labels().set(epoch)
    metrics.model_loaded.labels("v1").set(1)
    for value in seconds:
        metrics.request_seconds.labels("v1", "champion").observe(value)
    return metrics.families()


def lines(of: Sequence[Family]) -> set[str]:
    return set(text(of).decode().splitlines())


def test_counters_and_histograms_add_up_and_gauges_say_what_is_true_of_the_pod() -> None:
    said = lines(merged([process(3, 7, [0.001, 0.5]), process(4, 6, [0.001]), []]))
    arm = 'deployment="churn",namespace="ns",role="champion",version="v1"'
    assert f'podium_requests_total{{code="200",{arm}}} 7.0' in said
    assert f"podium_request_duration_seconds_count{{{arm}}} 3.0" in said
    assert f"podium_request_duration_seconds_sum{{{arm}}} 0.502" in said
    assert (
        f'podium_request_duration_seconds_bucket{{deployment="churn",le="+Inf",{arm[arm.index("namespace") :]}}} 3.0' in said
    )
    assert 'podium_plan_epoch{deployment="churn",namespace="ns"} 6.0' in said, "the one that is furthest behind"
    assert 'podium_model_loaded{deployment="churn",namespace="ns",version="v1"} 1.0' in said


def test_of_a_process_that_ended_stays_what_only_grows() -> None:
    kinds = {family.kind for family in ended(process(3, 7, [0.1]))}
    assert kinds == {"counter", "histogram"}
    assert ended([Family("process_cpu_seconds", "", "counter", [])]) == []


def report(epoch: int = 2, *, ready: bool = True, **changes: object) -> Report:
    known: dict[str, object] = {
        "open_requests": {epoch: 1},
        "admissions": {1: (10.0, 20.0), 2: (20.5, 21.0)},
        "private_bytes": 50,
        "shared_bytes": 30,
    }
    return Report(epoch=epoch, ready=ready, **{**known, **changes})  # type: ignore[arg-type]


def status(*, ready: bool = True) -> ControlStatus:
    flip = Flip(from_epoch=1, to_epoch=2, flipped_at=20.2)
    return ControlStatus(pod_uid="p", process_id="x", pool="a", ready=ready, flip=flip)


def test_a_pod_is_ready_while_one_worker_is_and_its_requests_and_memory_are_those_of_all() -> None:
    later = report(ready=False, open_requests={1: 2, 2: 3}, admissions={1: (None, None), 2: (20.4, 22.0)}, shared_bytes=40)
    pod = pod_status(status(), [report(), later], supervisor_bytes=100)
    assert (pod.ready, pod.open_requests, pod.memory_bytes) == (True, {1: 2, 2: 4}, 100 + 40 + 50 + 50)
    assert pod.flip == Flip(from_epoch=1, to_epoch=2, flipped_at=20.2, last_admitted_old=20.0, first_admitted_new=20.4)


@pytest.mark.parametrize(
    ("of_plans", "reports"),
    [(status(ready=False), [report()]), (status(), [report(ready=False)]), (status(), [])],
    ids=["behind-or-draining", "no-worker-is", "no-worker"],
)
def test_a_pod_is_not_ready(of_plans: ControlStatus, reports: list[Report]) -> None:
    assert not pod_status(of_plans, reports, 0).ready


def test_what_one_process_writes_into_the_words_another_reads() -> None:
    words = Words.create()
    other = Words(os.dup(words.descriptor))
    assert (other.epoch, other.behind) == (0, False)
    words.epoch, words.behind = 2**53, True
    assert (other.epoch, other.behind) == (2**53, True)
    other.close()
    words.close()


def test_an_epoch_that_takes_the_place_of_one_that_was_behind_is_not_behind_from_its_first_moment() -> None:
    words = Words.create()
    words.epoch = 1
    words.behind = True
    words.epoch = 2
    assert not words.behind
    words.close()


def test_messages_come_out_as_they_went_in() -> None:
    packet = Packet(3, False, Hold("{}", folder="/cache", descriptor=b"\xff"))
    assert read_packet(packet_bytes(packet)) == packet
