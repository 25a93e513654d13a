"""`podium evaluate`, run as a user runs it, on rows with planted trouble."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cli_fixtures import podium

pytestmark = pytest.mark.process

run = partial(podium, "evaluate")
GOOD = ["--score", "score", "--target", "churn"]


def rows(chance: np.random.Generator, count: int, unit: float = 1.0, *, without_b: bool = False) -> Any:
    """The score follows minutes and contract; `unit` multiplies minutes, which the model takes as they come."""
    minutes, noise = chance.exponential(30, count), chance.normal(size=count)
    contract = chance.choice(["a", "b", "c"], count, p=[0.5, 0.3, 0.2])
    truth = 1 / (1 + np.exp(1 - 0.04 * minutes - (contract == "b") - 0.5 * noise))
    if without_b:
        contract = np.where(contract == "b", "a", contract)
    frame = pd.DataFrame({"minutes": minutes * unit, "contract": contract, "noise": noise})
    frame["sex"] = chance.choice(["f", "m"], count)
    frame["score"] = 1 / (1 + np.exp(1 - 0.04 * frame["minutes"] - (frame["contract"] == "b") - 0.5 * noise))
    frame["churn"] = (chance.uniform(size=count) < truth).astype(int)
    return frame


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """reference.csv; current.csv: two good chunks of 3,000, one in hours, one in hours and without contract b."""
    folder = tmp_path_factory.mktemp("rows")
    chance = np.random.default_rng(1)
    rows(chance, 40_000).to_csv(folder / "reference.csv", index=False)
    parts = [rows(chance, 3000), rows(chance, 3000), rows(chance, 3000, 1 / 60), rows(chance, 3000, 1 / 60, without_b=True)]
    current = pd.concat(parts, ignore_index=True)
    current.insert(0, "customer", np.arange(len(current)))
    current["at"] = pd.Timestamp("2026-01-01T00:00:00Z") + pd.to_timedelta(
        np.arange(len(current)) // 3000 * 86_400, unit="s"
    )
    current.to_csv(folder / "current.csv", index=False)
    return folder


def evaluated(files: Path, *arguments: str) -> Any:
    done = run(
        "--reference", str(files / "reference.csv"), "--current", str(files / "current.csv"), *arguments, "--json", "-"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_unit_error_and_a_lost_category_are_found_named_and_dated(files: Path) -> None:
    found = evaluated(files, *GOOD, "--id", "customer", "--chunk-by", "at:1D", "--protected", "sex", "--segment", "contract")
    chunks = found["chunks"]
    assert [chunk["rows"] for chunk in chunks] == [3000] * 4
    assert [chunk["drift"]["minutes"]["alert"] for chunk in chunks] == [False, False, True, True]
    assert [chunk["drift"]["contract"]["alert"] for chunk in chunks] == [False, False, False, True]
    assert not any(chunk["drift"]["noise"]["alert"] for chunk in chunks)
    assert [chunk["performance"]["auc"]["alert"] for chunk in chunks] == [False, False, True, True]
    assert chunks[3]["drift"]["contract"]["chi2"]["p_value"] < 1e-9
    assert set(chunks[0]["segments"]) == {"contract=a", "contract=b", "contract=c"}
    assert chunks[0]["fairness"]["sex"]["selection_rate_ratio"]["interval"][1] > 0.9
    low, high = chunks[0]["estimated"]["accuracy"]["interval"]
    assert low <= chunks[0]["performance"]["accuracy"]["value"] <= high
    said = " ".join(found["diagnosis"])
    assert "'minutes' drifted from the window of 2026-01-03T00:00:00Z on" in said
    assert "1/60 times what they were" in said
    assert "category 'b' vanished" in said


def test_a_reference_shorter_than_three_windows_still_tells_what_is_usual(files: Path, tmp_path: Path) -> None:
    rows(np.random.default_rng(2), 2500).to_csv(tmp_path / "reference.csv", index=False)
    (tmp_path / "current.csv").symlink_to(files / "current.csv")
    chunks = evaluated(tmp_path, *GOOD, "--id", "customer", "--chunk-by", "at:1D")["chunks"]
    assert [chunk["performance"]["auc"]["alert"] for chunk in chunks] == [False, False, True, True]


def test_the_page_tells_what_the_table_tells_and_holds_no_script(files: Path, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    current = pd.read_csv(files / "current.csv")
    current.loc[current["contract"] == "c", "contract"] = hostile
    current.to_csv(tmp_path / "current.csv", index=False)
    (tmp_path / "reference.csv").symlink_to(files / "reference.csv")
    page = tmp_path / "page.html"
    evaluated(
        tmp_path, *GOOD, "--id", "customer", "--chunk-by", "at:1D", *("--protected", "sex"), "--segment", "contract",
        "--html", str(page),
    )  # fmt: skip
    text = page.read_text()
    assert "as between minutes and hours" in text
    assert "Selection rate" in text
    assert "perfectly calibrated" in text
    assert hostile not in text
    assert "&lt;script&gt;alert(1)" in text
    by_rows = tmp_path / "rows.html"
    evaluated(files, *GOOD, "--id", "customer", "--chunk-rows", "3000", "--html", str(by_rows))
    assert "chunk 3" in by_rows.read_text()


def test_labels_that_come_apart_are_joined_and_the_newest_counts(files: Path, tmp_path: Path) -> None:
    current = pd.read_csv(files / "current.csv")
    known = current[["customer", "churn"]].iloc[:3000]
    wrong = known.assign(churn=1 - known["churn"])
    pd.concat([wrong, known]).to_parquet(tmp_path / "labels.parquet")
    current.drop(columns="churn").to_csv(tmp_path / "current.csv", index=False)
    found = evaluated(
        files, *GOOD, "--current", str(tmp_path / "current.csv"), "--labels", str(tmp_path / "labels.parquet"),
        "--id", "customer", "--chunk-rows", "3000",
    )  # fmt: skip
    assert [chunk["labelled"] for chunk in found["chunks"]] == [3000, 0, 0, 0]
    assert found["chunks"][0]["performance"]["auc"]["value"] > 0.7
    assert found["chunks"][1]["performance"] == {}
    assert found["chunks"][1]["estimated"]["auc"]["value"] > 0.7


def test_rows_without_a_label_a_decision_or_a_finite_number_leave_figures_of_the_others(files: Path, tmp_path: Path) -> None:
    """And truths may be words, groups may be numbers."""
    for name in ("reference", "current"):
        frame = pd.read_csv(files / f"{name}.csv").iloc[:6000]
        frame["churn"] = frame["churn"].map({0: "No", 1: "Yes"})
        frame["decided"] = (frame["score"] > 0.3).astype(float)
        frame["area"] = np.arange(len(frame)) % 2
        if name == "current":
            frame.loc[::3, "churn"] = None
            frame.loc[::7, "decided"] = np.nan
            frame.loc[5, "noise"], frame.loc[6, "noise"] = np.inf, -np.inf
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    found = evaluated(
        tmp_path, *GOOD, "--id", "customer", "--chunk-rows", "6000",
        "--prediction", "decided", "--protected", "area", "--segment", "area",
    )  # fmt: skip
    [chunk] = found["chunks"]
    assert chunk["labelled"] == 4000
    assert set(chunk["segments"]) == {"area=0", "area=1"}
    assert chunk["fairness"]["area"]["equal_opportunity_difference"]["value"] is not None
    current = pd.read_csv(tmp_path / "current.csv").dropna(subset=["churn", "decided"])
    right = (current["churn"] == "Yes") == (current["decided"] == 1)
    assert chunk["performance"]["accuracy"]["value"] == pytest.approx(right.mean())
    assert chunk["estimated"]["accuracy"]["value"] == pytest.approx(right.mean(), abs=0.03)


def test_numbers_that_are_not_finite_are_left_out_of_a_regressions_errors(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    for name in ("reference", "current"):
        said = chance.normal(size=3000)
        frame = pd.DataFrame({"said": said, "truth": said + chance.normal(size=3000)})
        if name == "current":
            frame.loc[3, "said"], frame.loc[4, "truth"] = np.inf, -np.inf
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    [chunk] = evaluated(tmp_path, "--score", "said", "--target", "truth", "--chunk-rows", "3000")["chunks"]
    assert chunk["performance"]["rmse"]["value"] == pytest.approx(1.0, abs=0.1)
    assert chunk["performance"]["rmse"]["alert"] is False


def test_labels_whose_ids_are_written_otherwise_are_told(files: Path, tmp_path: Path) -> None:
    pd.DataFrame({"customer": ["a1", "a2"], "churn": [0, 1]}).to_csv(tmp_path / "labels.csv", index=False)
    done = run(
        "--reference", str(files / "reference.csv"), "--current", str(files / "current.csv"), *GOOD,
        "--labels", str(tmp_path / "labels.csv"), "--id", "customer",
    )  # fmt: skip
    assert done.returncode == 2
    assert "no row can have a label" in done.stderr + done.stdout


def test_the_table_marks_what_is_alarming(files: Path) -> None:
    done = run(
        "--reference", str(files / "reference.csv"), "--current", str(files / "current.csv"), *GOOD, "--chunk-rows", "3000"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" !") >= 6
    assert "a unit changed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--score", "scores"], "--score is 'scores', but", id="no-such-column"),
        pytest.param([*GOOD, "--chunk-rows", "10", "--chunk-by", "at:1D"], "exclude each other", id="two-ways"),
        pytest.param([*GOOD, "--chunk-by", "at:1Y"], "write a number and m, h, D, W or M", id="period"),
        pytest.param([*GOOD, "--chunk-by", "contract:1D"], "is no time; write ISO 8601 times", id="no-time"),
        pytest.param([*GOOD, "--chunk-by", "customer:1D"], "is a number, not a time", id="number-as-time"),
        pytest.param([*GOOD, "--chunk-by", "when:1D"], "--chunk-by names 'when', but", id="no-time-column"),
        pytest.param(["--score", "score", "--target", "chrun"], "--target is 'chrun', which neither file has", id="target"),
        pytest.param([*GOOD, "--id", "client"], "--id is 'client', which neither file has", id="identity"),
        pytest.param(
            ["--score", "score", "--target", "churn", "--prediction", "contract"], "have no class in common", id="classes"
        ),
        pytest.param(["--score", "score", "--target", "score"], "given as --score or --prediction too", id="twice"),
        pytest.param([*GOOD, "--json", "/nowhere/found.json"], "there is no /nowhere", id="no-folder"),
        pytest.param([*GOOD, "--labels", "x.csv"], "--labels needs --id", id="labels-alone"),
        pytest.param(["--score", "contract", "--target", "churn"], "holds 'a', which is no number", id="text-as-score"),
    ],
)
def test_what_cannot_be_evaluated_is_said(files: Path, arguments: list[str], says: str) -> None:
    done = run("--reference", str(files / "reference.csv"), "--current", str(files / "current.csv"), *arguments)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())


def written(folder: Path, **frames: Any) -> Path:
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_every_chunk_has_the_rows_that_were_asked_for_and_the_last_one_what_remains(files: Path) -> None:
    chunks = evaluated(files, *GOOD, "--id", "customer", "--chunk-rows", "5000")["chunks"]
    assert [(chunk["index"], chunk["rows"]) for chunk in chunks] == [(0, 5000), (1, 5000), (2, 2000)]


def test_a_small_window_is_judged_by_small_ones_of_the_reference(tmp_path: Path) -> None:
    """And a window of which few rows are labelled by as many: the whole one's band would alarm at chance."""
    chance = np.random.default_rng(4)
    current = rows(chance, 4000)
    current["churn"] = current["churn"].astype(float).where(np.arange(4000) < 2060)
    chunks = evaluated(written(tmp_path, reference=rows(chance, 40_000), current=current), *GOOD, "--chunk-rows", "2000")
    whole, few = chunks["chunks"]
    assert (whole["labelled"], few["labelled"]) == (2000, 60)
    spread = [chunk["usual"]["auc"]["standard_deviation"] for chunk in (whole, few)]
    assert spread[1] > 4 * spread[0]
    assert chunks["reference"]["usual"]["auc"]["standard_deviation"] in spread


def test_a_performance_alert_is_three_deviations_over_reference_chunks_of_the_size(files: Path) -> None:
    found = evaluated(files, *GOOD, "--chunk-rows", "3000")
    reference = pd.read_csv(files / "reference.csv")
    of_chunks = []
    for start in range(0, 39_000, 3000):  # the remaining 1,000 rows are no chunk of this size
        part = reference.iloc[start : start + 3000]
        of_chunks.append(float(((part["score"] >= 0.5) == (part["churn"] == 1)).mean()))
    mean, deviation = np.mean(of_chunks), np.std(of_chunks, ddof=1)
    assert found["reference"]["usual"]["accuracy"]["mean"] == pytest.approx(mean)
    assert found["reference"]["usual"]["accuracy"]["standard_deviation"] == pytest.approx(deviation)
    for chunk in found["chunks"]:
        accuracy = chunk["performance"]["accuracy"]
        assert accuracy["alert"] == (abs(accuracy["value"] - mean) > 3 * deviation)


def test_calibration_roc_and_lift_are_told(files: Path) -> None:
    chunk = evaluated(files, *GOOD, "--chunk-rows", "3000")["chunks"][0]
    rates = chunk["roc"]
    area = np.trapezoid(rates["true_positive_rate"], rates["false_positive_rate"])
    assert area == pytest.approx(chunk["performance"]["auc"]["value"], abs=0.005)
    assert chunk["lift"]["share"][-1] == chunk["lift"]["lift"][-1] == 1.0
    assert sum(one["rows"] for one in chunk["calibration"]) == 3000
    assert all(one["observed"]["interval"][0] <= one["observed"]["value"] for one in chunk["calibration"])


def test_scores_that_are_no_probabilities_lead_to_no_decision(tmp_path: Path) -> None:
    """Of percents 0.5 is no threshold; with decisions of their own all is told that needs no probability."""
    chance = np.random.default_rng(5)
    frames = {name: rows(chance, 3000) for name in ("reference", "current")}
    for frame in frames.values():
        frame["decided"] = (frame["score"] >= 0.5).astype(int)
        frame["score"] *= 100
    folder = written(tmp_path, **frames)
    [chunk] = evaluated(folder, *GOOD, "--chunk-rows", "3000", "--protected", "sex")["chunks"]
    assert set(chunk["performance"]) == {"auc", "gini", "lift"}
    assert (chunk["fairness"], chunk["estimated"]) == ({}, {})
    done = run("--reference", folder / "reference.csv", "--current", folder / "current.csv", *GOOD)
    assert "no decision follows from them" in " ".join(done.stderr.split())
    [chunk] = evaluated(
        folder, *GOOD, "--chunk-rows", "3000", "--protected", "sex", "--prediction", "decided"
    )["chunks"]  # fmt: skip
    assert {"accuracy", "f1", "auc"} <= set(chunk["performance"])
    assert "log_loss" not in chunk["performance"]
    assert chunk["fairness"] != {}
    assert "decided" in chunk["drift"]


def test_more_than_two_classes_are_judged_by_the_decided_one(tmp_path: Path) -> None:
    chance = np.random.default_rng(6)
    frames = {}
    for name in ("reference", "current"):
        decided, sure = chance.choice(["cat", "dog", "owl"], 4000), chance.uniform(0.4, 1, 4000)
        truth = np.where(chance.random(4000) < sure, decided, "cow")
        frames[name] = pd.DataFrame({"decided": decided, "score": sure, "truth": truth})
    found = evaluated(
        written(tmp_path, **frames), "--score", "score", "--target", "truth", "--prediction", "decided",
        "--chunk-rows", "4000",
    )  # fmt: skip
    [chunk] = found["chunks"]
    right = (frames["current"]["truth"] == frames["current"]["decided"]).mean()
    assert chunk["performance"]["accuracy"]["value"] == pytest.approx(right)
    assert chunk["performance"]["accuracy"]["alert"] is False
    low, high = chunk["estimated"]["accuracy"]["interval"]
    assert low < right < high


def test_rows_without_an_id_have_no_label_of_another_and_keep_the_truth_of_their_file(tmp_path: Path) -> None:
    frame = rows(np.random.default_rng(7), 1000)
    frame["customer"] = np.where(np.arange(1000) < 400, np.nan, np.arange(1000.0))
    labels = frame.loc[390:599, ["customer", "churn"]]
    current = frame.assign(churn=frame["churn"].astype(float).where(np.arange(1000) >= 900))
    labels.to_csv(tmp_path / "labels.csv", index=False)
    found = evaluated(
        written(tmp_path, reference=frame, current=current), *GOOD, "--labels", str(tmp_path / "labels.csv"),
        "--id", "customer", "--chunk-rows", "1000",
    )  # fmt: skip
    assert found["chunks"][0]["labelled"] == 300  # 200 by label, 100 by their own file


def test_columns_that_one_file_has_not_are_named(tmp_path: Path) -> None:
    frame = rows(np.random.default_rng(8), 1000)
    folder = written(tmp_path, reference=frame, current=frame.drop(columns="noise").assign(colour="red"))
    said = evaluated(folder, *GOOD)["diagnosis"]
    assert said == [
        "not in the current rows, so not compared: 'noise'",
        "not in the reference, so not compared: 'colour'",
    ]


def test_ids_that_grow_are_no_change_of_a_unit(tmp_path: Path) -> None:
    frame = rows(np.random.default_rng(9), 4000).assign(row=np.arange(1.0, 4001.0))
    folder = written(tmp_path, reference=frame, current=frame.iloc[:2000])
    [said] = evaluated(folder, *GOOD, "--chunk-rows", "2000")["diagnosis"]
    assert "'row' drifted" in said
    assert "unit" not in said
    assert "the middle half of its values from 1001..3000 to 501..1500" in said


def test_without_a_target_drift_and_estimates_are_told(files: Path) -> None:
    chunk = evaluated(files, "--score", "score", "--id", "customer", "--chunk-rows", "3000")["chunks"][2]
    assert (chunk["labelled"], chunk["performance"]) == (0, {})
    assert chunk["drift"]["minutes"]["alert"] is True
    assert chunk["estimated"]["auc"]["value"] > 0.6
