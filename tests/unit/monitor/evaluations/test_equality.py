"""An hour through the lake, the summaries and the document says what the pure evaluation of the same rows says."""

from pathlib import Path

import numpy as np
import pytest

from evaluation_fixtures import HOUR, LakeFolder, Rows, evaluations_of, rows, watched
from podium_evaluation.chunks import Chunk
from podium_evaluation.columns import column
from podium_evaluation.documents import Window
from podium_evaluation.evaluate import evaluate_window
from podium_evaluation.performance import calibration
from podium_evaluation.tables import Table


def table(found: Rows) -> Table:
    columns = {name: column(name, np.asarray(found.frame[name], dtype=object)) for name in found.frame}
    truth = np.where(np.arange(len(found)) % 4 == 0, np.nan, found.truth)  # a quarter has no label
    columns |= {"score": column("score", found.score), "target": column("target", truth)}
    return Table(
        columns,
        score="score",
        target="target",
        protected=["region"],
        segments=["region"],
        features=["tenure", "charge", "region"],
    )


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Window, Rows, Rows]:
    lake = LakeFolder(tmp_path_factory.mktemp("lake"))
    reference, current = rows(4000, 1), rows(3000, 2, unit=1.4)
    current.frame.loc[::10, "tenure"] = np.nan
    current.frame.loc[::50, "region"] = "moon"
    lake.put_reference(reference)
    keys = lake.put_predictions(current)
    labels = ["yes" if one else "no" for one in current.truth]
    labelled = [index for index in range(3000) if index % 4]
    lake.put_labels([keys[index] for index in labelled], [labels[index] for index in labelled], HOUR)
    with evaluations_of(lake) as evaluate:
        document = evaluate(watched(segments=["region"], fairness={"protected": ["region"]}))
    assert document is not None
    [arm] = document.arms
    [hour] = arm.hours
    assert arm.role == "Champion"
    return hour, reference, current


def test_counts_and_distances_are_equal_and_the_sketch_keeps_its_error(windows: tuple[Window, Rows, Rows]) -> None:
    hour, reference, current = windows
    pure = evaluate_window(Chunk(0, np.arange(len(current))), table(current), table(reference), {}, "Binary")
    assert (hour.rows, hour.labelled) == (pure.rows, pure.labelled)
    for name, exact in pure.drift.items():
        if name == "score":
            continue
        found = hour.drift[name]
        assert found.psi == pytest.approx(exact.psi)
        assert found.psi_threshold == pytest.approx(exact.psi_threshold)
        assert found.severity == exact.severity.value
        assert found.jensen_shannon == pytest.approx(exact.jensen_shannon)
        if name == "tenure":  # a tenth is missing, none was
            assert found.alert
            assert found.p_value is not None
            assert found.p_value < 1e-9
        if exact.ks is not None and found.statistic is not None:
            assert 0 <= exact.ks.statistic - found.statistic + 1e-12 <= 0.0051
            assert found.wasserstein == pytest.approx(exact.wasserstein, abs=0.02)
        elif exact.chi2 is not None:
            assert (found.statistic, found.p_value) == pytest.approx((exact.chi2.statistic, exact.chi2.p_value))
    for name, quality in pure.quality.items():
        if name != "score":
            assert hour.quality[name].missing == pytest.approx(quality.missing)
            assert hour.quality[name].out_of_range == pytest.approx(quality.out_of_range)
            assert hour.quality[name].unseen == pytest.approx(quality.unseen)


def test_performance_is_equal_but_for_the_stated_error_of_the_binned_auc(windows: tuple[Window, Rows, Rows]) -> None:
    hour, _, current = windows
    pure = evaluate_window(Chunk(0, np.arange(len(current))), table(current), table(current), {}, "Binary")
    for name in ("accuracy", "balanced_accuracy", "f1", "log_loss", "brier"):
        assert hour.performance[name].value == pytest.approx(pure.performance[name].value)
    for name in ("accuracy", "log_loss", "brier"):
        assert (hour.performance[name].low, hour.performance[name].high) == pytest.approx(pure.performance[name].interval)
    assert hour.performance["auc"].value == pytest.approx(pure.performance["auc"].value, abs=1e-3)
    assert hour.estimated["accuracy"].value == pytest.approx(pure.estimated["accuracy"].value)
    assert hour.estimated["auc"].value == pytest.approx(pure.estimated["auc"].value, abs=1e-3)
    known = np.arange(3000) % 4 > 0
    exact = calibration(current.truth[known].astype(float), current.score[known]).expected_error
    assert hour.performance["calibration_error"].value == pytest.approx(exact, abs=0.01)


def test_segments_and_groups_are_equal(windows: tuple[Window, Rows, Rows]) -> None:
    hour, _, current = windows
    pure = evaluate_window(Chunk(0, np.arange(len(current))), table(current), table(current), {}, "Binary")
    assert {f"region={one.value}" for one in hour.segments} == set(pure.segments)
    for one in hour.segments:
        exact = pure.segments[f"region={one.value}"]
        if one.labelled >= 30:
            assert one.performance["accuracy"].value == pytest.approx(exact["accuracy"].value)
    [fair] = hour.fairness
    exact_fairness = pure.fairness["region"]
    assert fair.selection_rate_ratio.value == pytest.approx(exact_fairness.selection_rate_ratio.value)
    assert fair.equalized_odds_difference.value == pytest.approx(exact_fairness.equalized_odds_difference.value)
    assert [one.name for one in fair.groups] == [one.group for one in exact_fairness.groups]
    for group, rates in zip(fair.groups, exact_fairness.groups, strict=True):
        for name in ("selection_rate", "true_positive_rate", "false_positive_rate"):
            assert getattr(group, name).value == pytest.approx(getattr(rates, name).value)


def test_a_day_in_hours_and_in_repeated_files_is_that_day(tmp_path: Path) -> None:
    whole, parts = LakeFolder(tmp_path / "whole"), LakeFolder(tmp_path / "parts")
    reference, current = rows(2000, 1), rows(1200, 3)
    for lake in (whole, parts):
        lake.put_reference(reference)
    keys = whole.put_predictions(current)
    whole.put_labels(keys, current.truth.tolist(), HOUR)
    for part in range(3):
        rows_of_part = np.arange(part * 400, part * 400 + 400)
        cut = Rows(
            current.frame.iloc[rows_of_part].reset_index(drop=True), current.score[rows_of_part], current.truth[rows_of_part]
        )
        hour = HOUR.replace(hour=10 + part)
        for _ in range(2):  # every event twice
            cut_keys = parts.put_predictions(cut, hour, key=f"p{part}")
        parts.put_labels(cut_keys, cut.truth.tolist(), hour)
    days = []
    for lake in (whole, parts):
        with evaluations_of(lake) as evaluate:
            document = evaluate(watched())
        assert document is not None
        [day] = document.arms[0].days
        days.append(day)
    one, other = days
    assert (one.rows, one.labelled) == (other.rows, other.labelled) == (1200, 1200)
    assert one.drift == other.drift
    for name, figure in one.performance.items():
        assert figure.value == pytest.approx(other.performance[name].value)


@pytest.mark.parametrize("parameters", [None, 4])
def test_aic_and_bic_are_told_where_the_package_says_its_parameters(tmp_path: Path, parameters: int | None) -> None:
    lake, current = LakeFolder(tmp_path), rows(800, 2)
    lake.put_reference(rows(2000, 1), parameters=parameters)
    lake.put_labels(lake.put_predictions(current), current.truth.tolist(), HOUR)
    with evaluations_of(lake) as evaluate:
        document = evaluate(watched())
    assert document is not None
    figures = document.arms[0].days[0].performance
    if parameters is None:
        assert not {"aic", "bic"} & set(figures)
        return
    likelihood = np.log(np.where(current.truth, current.score, 1 - current.score)).sum()
    assert figures["aic"].value == pytest.approx(2 * 4 - 2 * likelihood)
    assert figures["bic"].value == pytest.approx(4 * np.log(800) - 2 * likelihood)
    assert not figures["aic"].alert, "it grows with the rows: a chunk of the reference has no say in it"
