"""How often a model that does as it did raises an alarm, and how soon one that does not: docs/guide/monitoring.md tells."""

import numpy as np
import pytest
from scipy import stats

from evaluation_fixtures import HOUR, INPUTS, OUTPUTS, Rows, reference_of_rows, rows, watched
from podium_crds.package import Descriptor
from podium_evaluation.documents import Window
from podium_monitor.evaluations.batch import Batch, Texts
from podium_monitor.evaluations.subject import Subject, subject_of
from podium_monitor.evaluations.summarize import summarize
from podium_monitor.evaluations.usual import reference_batch, usual_of
from podium_monitor.evaluations.windows import window_of

RUNS = 100
WATCHED = watched()
DESCRIPTOR = Descriptor(name="churn", version="3", task="Classification", inputs=INPUTS, outputs=OUTPUTS)


def batch_of(found: Rows) -> Batch:
    regions = sorted(set(found.frame["region"]))
    nothing = np.full(len(found), np.nan)
    label = np.where(found.score >= 0.5, 1, 0)
    return Batch(
        rows=len(found),
        numbers={name: found.frame[name].to_numpy(dtype=np.float64) for name in ("tenure", "charge")},
        texts={"region": Texts(np.array([regions.index(one) for one in found.frame["region"]]), tuple(regions))},
        output_numbers={"probabilities[no]": 1 - found.score, "probabilities[yes]": found.score},
        output_texts={"label": Texts(label, ("no", "yes"))},
        latency=nothing,
        fallback=np.zeros(len(found), dtype=bool),
        truth=np.where(found.truth, "yes", "no").astype(object),
        delay=nothing,
        rank=np.arange(len(found), dtype=np.uint64),
    )


def window(reference_seed: int, found: Rows) -> Window:
    profile, table = reference_of_rows(rows(5000, reference_seed))
    sample = {name: table[name].to_pylist() for name in table.column_names}
    subject: Subject = subject_of(WATCHED.spec, "sha256:1", DESCRIPTOR, profile, sample)
    usual = usual_of(subject, reference_batch(table, subject), len(found))
    monitoring = WATCHED.spec.monitoring
    return window_of(summarize(batch_of(found), subject), subject, monitoring, usual, HOUR, HOUR)


@pytest.mark.parametrize("count", [200, 500])
def test_a_model_that_does_as_it_did_is_rarely_an_alarm(count: int) -> None:
    drifted = degraded = 0
    for run in range(RUNS):
        one = window(10_000 + run, rows(count, 20_000 + run))
        drifted += any(each.alert for each in (*one.drift.values(), *one.prediction_drift.values()))
        degraded += any(figure.worse for figure in one.performance.values())
    for found, rate in ((drifted, 0.05), (degraded, 0.02)):
        assert found <= stats.binom.ppf(0.995, RUNS, rate), (drifted, degraded)


def test_a_model_that_lost_a_fifth_of_its_truths_is_found_in_five_hundred_rows() -> None:
    found = sum(
        any(figure.worse for figure in window(10_000 + run, rows(500, 30_000 + run, noise=0.2)).performance.values())
        for run in range(20)
    )
    assert found >= 19
