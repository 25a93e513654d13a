"""The metrics' names, labels and buckets as a scraper reads them."""

from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from podium_serving import __version__
from podium_serving.exposition import Family, process_families, text
from podium_serving.metrics import DURATION_EDGES, MAX_CHILDREN, Metrics

ODD = (0.1, -2.5, 1e300, 12345678.0, float("inf"), float("-inf"), float("nan"))


def test_a_scraper_reads_names_labels_and_counts() -> None:
    metrics = Metrics("retention", "churn", process=False)
    metrics.requests.labels("churn-3", "champion", "200").inc()
    metrics.request_seconds.labels("churn-3", "champion").observe(0.003)
    metrics.plan_epoch.labels().set(7)
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    (requests,) = families["podium_requests"].samples
    assert (requests.name, requests.value) == ("podium_requests_total", 1)
    assert requests.labels == {
        "namespace": "retention",
        "deployment": "churn",
        "version": "churn-3",
        "role": "champion",
        "code": "200",
    }
    assert families["podium_plan_epoch"].samples[0].value == 7
    buckets = [sample for sample in families["podium_request_duration_seconds"].samples if sample.name.endswith("_bucket")]
    assert [sample.value for sample in buckets] == sorted(sample.value for sample in buckets)
    assert {sample.value for sample in buckets if float(sample.labels["le"]) < 0.003} == {0}
    assert {sample.value for sample in buckets if float(sample.labels["le"]) >= 0.003} == {1}
    assert buckets[-1].labels["le"] == "+Inf"


def test_late_answers_are_told_before_there_is_one() -> None:
    """An alert is about their increase, and a counter that begins with its first event never increased."""
    metrics = Metrics("retention", "churn", process=False)
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    (late,) = families["podium_late_requests"].samples
    assert (late.name, late.value) == ("podium_late_requests_total", 0)


def test_whatever_a_label_says_it_is_read_back() -> None:
    odd = 'a "quoted" back\\slash\nand a new line, é'
    said = text([Family("family", "first\nsecond \\ third", "gauge", [("family", {"label": odd}, value) for value in ODD])])
    (family,) = text_string_to_metric_families(said.decode())
    assert family.documentation == "first\nsecond \\ third"
    assert [sample.labels["label"] for sample in family.samples] == [odd] * len(ODD)
    assert [repr(sample.value) for sample in family.samples] == [repr(value) for value in ODD]


def test_a_process_tells_what_clients_of_prometheus_agree_on() -> None:
    theirs = CollectorRegistry()
    ProcessCollector(registry=theirs)
    PlatformCollector(registry=theirs)
    ours = {family.name: family for family in process_families()}
    for family in theirs.collect():
        mine = ours[family.name]
        assert (mine.kind, mine.text) == (family.type, family.documentation)
        (sample,), (own_name, own_labels, own) = family.samples, mine.samples[0]
        assert (own_name, own_labels) == (sample.name, sample.labels)
        assert own == pytest.approx(sample.value, rel=0.05, abs=2.0), family.name


def test_a_process_tells_which_podium_it_is_and_that_it_runs_its_sources() -> None:
    (family,) = [family for family in process_families() if family.name == "podium_build_info"]
    assert family.samples == [("podium_build_info", {"compiled": "false", "version": __version__}, 1.0)]


def test_all_families_of_the_contract_are_there() -> None:
    metrics = Metrics("retention", "churn")
    names = {family.name for family in text_string_to_metric_families(metrics.exposition().decode())}
    assert names >= {
        "podium_requests",
        "podium_request_duration_seconds",
        "podium_queue_duration_seconds",
        "podium_inference_duration_seconds",
        "podium_forward_duration_seconds",
        "podium_rows",
        "podium_batch_rows",
        "podium_fallbacks",
        "podium_shadow_requests",
        "podium_capture_events",
        "podium_plan_epoch",
        "podium_model_loaded",
        "podium_forwarded_requests",
        "process_resident_memory_bytes",
    }


def test_buckets_are_at_most_ten_percent_apart_where_a_p99_is_compared() -> None:
    assert DURATION_EDGES[0] == 0.0002
    assert DURATION_EDGES[-1] >= 2
    assert max(high / low for low, high in pairwise(DURATION_EDGES)) <= 1.1


def test_versions_that_come_and_go_do_not_fill_the_memory() -> None:
    metrics = Metrics("retention", "churn", process=False)
    for number in range(MAX_CHILDREN + 5):
        metrics.rows.labels(f"v{number}", "champion").inc()
    assert len(metrics.rows.children) == MAX_CHILDREN
    assert ("v0", "champion") not in metrics.rows.children


def test_a_wrong_number_of_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="podium_rows has the labels version, role; got 1 values"):
        Metrics("retention", "churn", process=False).rows.labels("v1")
