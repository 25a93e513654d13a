"""From counters to shares."""

import pytest

from podium_crds.v1alpha1.model_deployment import TrafficShare
from podium_operator.deployments.traffic import Arm, Observation, Page, growth, quantile, read_page, shares, shown, summary

CHAMPION, CANARY = Arm("churn-3", "champion"), Arm("churn-5", "challenger")

PAGE = """# HELP podium_requests_total Answered requests.
# TYPE podium_requests_total counter
podium_requests_total{deployment="churn",version="churn-3",role="champion",code="200"} 90.0
podium_requests_total{deployment="churn",version="churn-3",role="champion",code="500"} 1.0
podium_requests_total{deployment="churn",version="churn-5",role="challenger",code="200"} 10.0
# TYPE podium_request_duration_seconds histogram
podium_request_duration_seconds_bucket{version="churn-3",role="champion",le="0.01"} 80
podium_request_duration_seconds_bucket{version="churn-3",role="champion",le="+Inf"} 91
podium_inference_duration_seconds_count{version="churn-4",role="shadow"} 33
podium_inference_duration_seconds_count{version="churn-3",role="champion"} 91
podium_capture_events_total{outcome="dropped"} 7
"""


def test_a_page_gives_requests_and_latency_per_arm() -> None:
    page = read_page(PAGE)
    assert page.requests == {
        (CHAMPION, "200"): 90.0,
        (CHAMPION, "500"): 1.0,
        (CANARY, "200"): 10.0,
        (Arm("churn-4", "shadow"), ""): 33.0,
    }
    assert page.buckets == {(CHAMPION, "0.01"): 80.0, (CHAMPION, "+Inf"): 91.0}


def test_a_counter_that_fell_was_reset_and_shows_its_growth() -> None:
    key = (CHAMPION, "200")
    assert growth({key: 100.0}, {key: 130.0}) == {key: 30.0}
    assert growth({key: 100.0}, {key: 7.0}) == {key: 7.0}
    assert growth({}, {key: 5.0}) == {key: 5.0}


def page(champion: float, canary: float = 0.0, errors: float = 0.0) -> Page:
    return Page({(CHAMPION, "200"): champion, (CHAMPION, "503"): errors, (CANARY, "200"): canary})


def test_the_first_look_only_sets_the_start() -> None:
    observation = Observation()
    observation.take({"a": page(1_000_000)}, ["a"], now=0.0)
    assert observation.figures() == {}
    observation.take({"a": page(1_000_030, 10, errors=3)}, ["a"], now=15.0)
    found = observation.figures()
    assert (found[CHAMPION].requests, found[CHAMPION].errors, found[CANARY].requests) == (33, 3, 10)
    assert found[CHAMPION].per_second == pytest.approx(33 / 15)


def test_a_new_pod_counts_from_its_start_and_a_gone_one_is_forgotten() -> None:
    observation = Observation()
    observation.take({"a": page(100)}, ["a"], now=0.0)
    observation.take({"a": page(100), "b": page(40)}, ["a", "b"], now=15.0)
    assert observation.figures()[CHAMPION].requests == 40
    observation.take({"b": page(40)}, ["b"], now=30.0)
    assert observation.pages.keys() == {"b"}


def test_a_pod_that_did_not_answer_once_loses_nothing() -> None:
    observation = Observation()
    observation.take({"a": page(100)}, ["a"], now=0.0)
    observation.take({}, ["a"], now=15.0)
    observation.take({"a": page(160)}, ["a"], now=30.0)
    assert observation.figures()[CHAMPION].requests == 60


def test_the_window_slides() -> None:
    observation = Observation()
    for index in range(20):
        observation.take({"a": page(100 * index)}, ["a"], now=15.0 * index)
    assert observation.figures()[CHAMPION].requests == 400
    assert len(observation.window) == 4


@pytest.mark.parametrize(
    ("buckets", "q", "seconds"),
    [
        pytest.param({}, 0.5, None, id="no observation, no quantile"),
        pytest.param({0.1: 0.0, float("inf"): 0.0}, 0.5, None, id="empty buckets"),
        pytest.param({0.1: 100.0, float("inf"): 100.0}, 0.5, 0.05, id="linear inside a bucket"),
        pytest.param({0.1: 50.0, 0.2: 100.0, float("inf"): 100.0}, 0.75, 0.15, id="in the second bucket"),
        pytest.param({0.1: 10.0, float("inf"): 100.0}, 0.99, 0.1, id="beyond the last edge: that edge"),
    ],
)
def test_a_quantile_from_buckets(buckets: dict[float, float], q: float, seconds: float | None) -> None:
    assert quantile(buckets, q) == (None if seconds is None else pytest.approx(seconds))


def share(version: str, percent: int, role: str = "champion") -> TrafficShare:
    return TrafficShare(version=version, role=role, percent=percent)


def test_shares_are_whole_percents_that_add_up_and_leave_shadows_out() -> None:
    observation = Observation()
    shadow = Arm("churn-4", "shadow")
    observation.take({"a": Page()}, ["a"], now=0.0)
    counts = {(CHAMPION, "200"): 2.0, (CANARY, "200"): 1.0, (shadow, ""): 3.0}
    observation.take({"a": Page(counts)}, ["a"], now=15.0)
    found = shares(observation.figures())
    assert found == [share("churn-3", 67), share("churn-5", 33, "challenger")]
    assert summary(found) == "churn-3 67%, churn-5 33%"


OLD = [share("churn-3", 90), share("churn-5", 10, "challenger")]


@pytest.mark.parametrize(
    ("observed", "moved"),
    [
        pytest.param([share("churn-3", 91), share("churn-5", 9, "challenger")], False, id="one point is noise"),
        pytest.param([share("churn-3", 88), share("churn-5", 12, "challenger")], True, id="two points are news"),
        pytest.param([share("churn-3", 100)], True, id="an arm is gone"),
        pytest.param([], False, id="silence leaves what was"),
    ],
)
def test_standing_traffic_writes_nothing(observed: list[TrafficShare], moved: bool) -> None:
    assert shown(OLD, observed, {"churn-3", "churn-5"}) == (observed if moved else OLD)


def test_shares_of_a_version_that_left_are_not_shown_in_silence() -> None:
    assert shown(OLD, [], {"churn-3"}) == []
