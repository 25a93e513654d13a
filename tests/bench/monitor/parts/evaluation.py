"""What it costs to evaluate: a day of many rows with labels, an hour more, and many small deployments; beside pandas,
scikit-learn and scipy, asked for the same figures of the same files.

Each part runs in a process of its own: its peak of memory is its own, and CPU seconds are of all its threads.
"""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from bench.serving.judgement import Row
from evaluation_fixtures import DIGEST, HOUR, NAME, NAMESPACE, OUTPUTS, LakeFolder, rows, watched
from podium_cli.columns import infer_columns
from podium_cli.profiles import profile_bytes, reference_bytes
from podium_crds.package import Descriptor, InputSpec
from podium_monitor.evaluations.assembling import MOST_DAYS
from podium_monitor.evaluations.evaluating import Evaluations
from podium_monitor.lake.merging import ROW_GROUP_ROWS, write_options
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.tables import Place, Table, new_name
from podium_monitor.references import folder_of_reference

DAY_ROWS = 10_000_000
HOURS = 24
NUMBERS, TEXTS = 26, 4
CATEGORIES = ("alpha", "beta", "gamma", "delta")
MUST_SECONDS, MUST_BYTES = 30.0, 2 * 1024**3
DEPLOYMENTS = 200
MUST_DEPLOYMENTS_SECONDS = 60.0
MUST_RATIO = 1.25
"""Of ten weeks more."""
T = TypeVar("T")
_MIDNIGHT = HOUR.replace(hour=0)


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float
    peak_bytes: int
    rows: int


def run(folder: Path, quick: bool) -> list[Row]:
    per_hour = DAY_ROWS // HOURS // (10 if quick else 1)
    day = folder / "day"
    make_day(day, per_hour, HOURS)
    ours = _apart(_evaluate_day, day)
    naive_day = folder / "naive"
    make_day(naive_day, min(per_hour, 200_000), 1)
    naive = _apart(_naive, naive_day)
    per_row = (naive.cpu / naive.rows) / (ours.cpu / ours.rows)
    scale = DAY_ROWS / ours.rows
    note = f"{per_row:.1f} times as many rows per CPU second as pandas, scikit-learn and scipy"
    found = [
        Row("evaluation", f"naive: {naive.rows:,} rows", _shown(naive)),
        Row(
            "evaluation",
            f"a day of {ours.rows:,} rows x {NUMBERS + TEXTS} features with labels, two cores",
            _shown(ours),
            f"{MUST_SECONDS:.0f} s for {DAY_ROWS:,}",
            MUST_SECONDS / (ours.wall * scale),
            "reached" if ours.wall * scale <= MUST_SECONDS else "missed",
            note,
            vars(ours),
        ),
        Row(
            "evaluation",
            "its memory",
            f"{ours.peak_bytes / 1024**2:,.0f} MiB",
            "2,048 MiB",
            MUST_BYTES / ours.peak_bytes,
            "reached" if ours.peak_bytes <= MUST_BYTES else "missed",
        ),
    ]
    return [*found, *_hourly(folder, quick), *_many(folder, quick)]


def _hourly(folder: Path, quick: bool) -> list[Row]:
    """The same hours added to short histories and to a long one: all that an hour costs, the turn of older dates, and labels
    that are looked for in all of history, included. And a round in which nothing happened."""
    days = (1, 7, 14) if quick else (1, 7, 30, 90)
    found: dict[int, tuple[float, float]] = _apart(_evaluate_hours, folder / "history", days)
    hours, rounds = ([found[each][kind] * 1000 for each in days] for kind in (0, 1))
    ratio = hours[-1] / hours[1]
    note = f"beyond the first week {ratio:.2f} times as much; in the first days fewer dates are listed"
    return [
        Row(
            "evaluation",
            f"an hour more, after {_listed(days)} days (ms of CPU)",
            _listed(f"{one:.0f}" for one in hours),
            f"<= {MUST_RATIO} times that after {days[1]} days",
            ratio / MUST_RATIO,
            "reached" if ratio <= MUST_RATIO else "missed",
            note,
            {"hours": hours, "rounds": rounds, "days": list(days)},
        ),
        Row(
            "evaluation",
            f"a round without news, after {_listed(days)} days (ms of CPU)",
            _listed(f"{one:.1f}" for one in rounds),
        ),
    ]


def _listed(found: Iterable[object]) -> str:
    *others, last = map(str, found)
    return f"{', '.join(others)} and {last}"


def _many(folder: Path, quick: bool) -> list[Row]:
    count = DEPLOYMENTS // (10 if quick else 1)
    cost = _apart(_evaluate_many, folder / "many", count)
    seconds = cost.cpu * DEPLOYMENTS / count
    return [
        Row(
            "evaluation",
            f"{count} deployments, an hour each of 500 rows with labels",
            _shown(cost),
            f"{DEPLOYMENTS} in {MUST_DEPLOYMENTS_SECONDS:.0f} s of one core",
            MUST_DEPLOYMENTS_SECONDS / seconds,
            "reached" if seconds <= MUST_DEPLOYMENTS_SECONDS else "missed",
        )
    ]


def _shown(cost: Cost) -> str:
    return f"{cost.wall:.1f} s, {cost.cpu:.1f} s of CPU, {1e6 * cost.cpu / max(cost.rows, 1):.1f} µs of CPU per row"


def _apart(work: Callable[..., T], *arguments: Any) -> T:
    """In a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _cost(work: Callable[[], int]) -> Cost:
    wall, cpu = time.monotonic(), time.process_time()
    counted = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Cost(time.monotonic() - wall, time.process_time() - cpu, peak, counted)


def _evaluate_day(folder: Path) -> Cost:
    evaluations = Evaluations(FolderStore(folder), 90, threads=2, memory_bytes=768 * 1024**2)

    def work() -> int:
        at, counted = _MIDNIGHT + timedelta(hours=HOURS + 2), 0
        for _ in range(100):  # rounds of bounded time
            document = evaluations.evaluate(watched(), at)
            if document is None:
                continue
            counted = sum(window.rows for window in document.arms[0].days)
            if len(document.arms[0].hours) == HOURS:
                assert sum(window.labelled for window in document.arms[0].days) == counted
                return counted
        raise AssertionError("the day was not done")

    cost = _cost(work)
    evaluations.close()
    return cost


def _evaluate_hours(folder: Path, histories: Sequence[int]) -> dict[int, tuple[float, float]]:
    """CPU seconds of an hour more and of a round without news, by days of history: medians over a day, hour by hour in
    turns, so that a busy machine is busy for all."""
    lakes = {days: LakeFolder(folder / str(days)) for days in histories}
    known = {days: _with_history(lake, days) for days, lake in lakes.items()}
    hours: dict[int, list[float]] = {days: [] for days in histories}
    rounds: dict[int, list[float]] = {days: [] for days in histories}
    for more in range(HOURS):
        for days, evaluations in known.items():
            _put_hour(lakes[days], 24 * days + more)
            at = _MIDNIGHT + timedelta(days=days, hours=more + 1, minutes=1)
            hours[days].append(_cost(partial(_rows_now, evaluations, at)).cpu)
            rounds[days].append(_cost(partial(_rows_now, evaluations, at + timedelta(seconds=30))).cpu)
    for evaluations in known.values():
        evaluations.close()
    return {days: (statistics.median(hours[days]), statistics.median(rounds[days])) for days in histories}


def _with_history(lake: LakeFolder, days: int) -> Evaluations:
    lake.put_reference(rows(5000, 1))
    evaluations = Evaluations(lake.store, 2 * max(90, days), threads=1, memory_bytes=256 * 1024**2)
    for hour in range(24 * days):
        _put_hour(lake, hour)
    at = _MIDNIGHT + timedelta(days=days)
    while (document := evaluations.evaluate(watched(), at)) is None or sum(
        window.rows for window in document.arms[0].days
    ) < 24 * min(days, MOST_DAYS) * 500:
        pass
    return evaluations


def _evaluate_many(folder: Path, count: int) -> Cost:
    lakes = [LakeFolder(folder / str(index)) for index in range(count)]
    for index, lake in enumerate(lakes):
        lake.put_reference(rows(2000, 1))
        _put_hour(lake, index % 24)
    all_evaluations = [Evaluations(lake.store, 90, threads=1, memory_bytes=256 * 1024**2) for lake in lakes]

    def work() -> int:
        return sum(_rows_now(one, _MIDNIGHT + timedelta(hours=25)) for one in all_evaluations)

    cost = _cost(work)
    for one in all_evaluations:
        one.close()
    return cost


def _rows_now(evaluations: Evaluations, at: Any) -> int:
    document = evaluations.evaluate(watched(), at)
    assert document is not None
    return document.arms[0].hours[-1].rows


def _put_hour(lake: LakeFolder, hour: int) -> None:
    at, found = _MIDNIGHT + timedelta(hours=hour), rows(500, hour)
    lake.put_labels(lake.put_predictions(found, at, key=f"h{hour}"), found.truth.tolist(), at)


def _naive(folder: Path) -> Cost:
    return _cost(lambda: naive_figures(folder))


def naive_figures(folder: Path) -> int:
    """The same figures of one hour by the libraries that everybody uses: rows parsed one by one, joined by pandas."""
    from scipy import stats
    from sklearn import metrics

    predictions = pd.concat(pd.read_parquet(path) for path in folder.glob("predictions/**/*.parquet"))
    labels = pd.concat(pd.read_parquet(path) for path in folder.glob("labels/**/*.parquet"))
    reference = pd.read_parquet(next(folder.glob("references/**/reference.parquet")))
    named = {name.rpartition(".")[2]: name for name in predictions if name.startswith("input.")}
    inputs = pd.DataFrame({name: predictions[column].to_numpy() for name, column in named.items()})
    score = np.stack(predictions["output.numbers.probabilities"].to_numpy())[:, 1]
    newest = labels.sort_values(["time", "received_at"]).drop_duplicates("join_key", keep="last")
    joined = predictions[["join_key"]].reset_index(drop=True).assign(score=score).merge(newest, on="join_key")
    truth = (joined["label"] == '"yes"').to_numpy()
    decided = joined["score"] >= 0.5
    found = [
        metrics.roc_auc_score(truth, joined["score"]),
        metrics.log_loss(truth, joined["score"]),
        metrics.brier_score_loss(truth, joined["score"]),
        metrics.accuracy_score(truth, decided),
        metrics.balanced_accuracy_score(truth, decided),
        metrics.f1_score(truth, decided),
    ]
    for name in inputs:
        old, new = reference[name], inputs[name]
        if new.dtype == float:
            edges = np.unique(np.quantile(old, np.arange(1, 10) / 10))
            counts = [np.bincount(np.searchsorted(edges, one), minlength=len(edges) + 1) for one in (old, new)]
            found += [stats.ks_2samp(old, new).pvalue, stats.wasserstein_distance(old, new)]
        else:
            counts = [one.value_counts().reindex(CATEGORIES).to_numpy() for one in (old, new)]
            found.append(stats.chi2_contingency(np.stack(counts)).pvalue)
        shares = [one / one.sum() for one in counts]
        found.append(float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0]))))
    assert np.isfinite(found).all()
    return len(predictions)


def make_day(folder: Path, per_hour: int, hours: int) -> None:
    """Compacted files of a day, one an hour, as the collector leaves them; labels come an hour later."""
    store = FolderStore(folder)
    frame, score, truth = _drawn(10_000, 0)
    inputs = [
        InputSpec(
            name=name,
            datatype="BYTES" if name.startswith("text") else "FP64",
            shape=[-1],
            categories=list(CATEGORIES) if name.startswith("text") else None,
        )
        for name in frame
    ]
    descriptor = Descriptor(name=NAME, version="3", task="Classification", inputs=inputs, outputs=OUTPUTS)
    outputs = {
        "label": np.where(score >= 0.5, "yes", "no").astype(object),
        "probabilities": np.stack([1 - score, score], axis=1),
    }
    columns, place = infer_columns(frame, (), "FP64"), folder_of_reference(NAMESPACE, NAME, DIGEST)
    store.create(f"{place}/profile.json", profile_bytes(frame, columns, outputs, OUTPUTS))
    store.create(f"{place}/reference.parquet", reference_bytes(frame, columns, outputs, np.where(truth, "yes", "no")))
    store.create(f"{place}/podium.yaml", yaml.safe_dump(descriptor.model_dump(mode="json")).encode())
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "2GB"})
    connection.execute("SET TimeZone = 'UTC'")
    for hour in range(hours):
        frame, score, truth = _drawn(per_hour, hour + 1)
        _write_hour(connection, folder, hour, frame.assign(score=score, truth=truth, row=np.arange(per_hour)))
    connection.close()


def _drawn(count: int, seed: int) -> tuple[pd.DataFrame, Any, Any]:
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, NUMBERS)).round(5)
    columns: dict[str, Any] = {f"number_{index:02d}": values[:, index] for index in range(NUMBERS)}
    columns |= {f"text_{index}": np.array(CATEGORIES)[random.integers(0, 4, count)] for index in range(TEXTS)}
    score = 1 / (1 + np.exp(1 - values[:, 0] - values[:, 1]))
    return pd.DataFrame(columns), score, random.random(count) < score


def _write_hour(connection: Any, folder: Path, hour: int, frame: pd.DataFrame) -> None:
    at, later = (_MIDNIGHT + timedelta(hours=hour + more) for more in (0, 1))
    kinds = {name: name.partition("_")[0] for name in frame if name.startswith(("number", "text"))}
    inputs = ", ".join(f'{name} AS "input.{kind}.{name}"' for name, kind in kinds.items())
    connection.register("frame", frame)
    started, labelled = (f"TIMESTAMPTZ '{when:%Y-%m-%d %H}:00:00+00'" for when in (at, later))
    predictions = f"""SELECT md5('{hour}-' || row) AS event_id,
        {started} + to_microseconds((row * 3600e6 / {len(frame)})::BIGINT) AS time, {started} AS received_at,
        'uid-1' AS deployment_uid, 'r-{hour}-' || row AS request_id, 0::INT AS row, 'r-{hour}-' || row AS join_key,
        'champion' AS arm_assigned, 'champion' AS arm_answered, '' AS fallback, 1::BIGINT AS epoch,
        'churn-3' AS version, '{DIGEST}' AS digest, 0.01 + random() * 0.01 AS latency_seconds, true AS sampled,
        false AS join_key_hashed, {inputs}, CASE WHEN score >= 0.5 THEN 'yes' ELSE 'no' END AS "output.text.label",
        [1 - score, score] AS "output.numbers.probabilities" FROM frame"""
    labels = f"""SELECT md5('l{hour}-' || row) AS event_id, {labelled} AS time, {labelled} AS received_at,
        'uid-1' AS deployment_uid, 'r-{hour}-' || row AS join_key,
        CASE WHEN truth THEN '"yes"' ELSE '"no"' END AS label, '{{}}' AS outcomes, 'bench' AS labelled_by FROM frame"""
    tables: list[tuple[Table, Any, str]] = [("predictions", at, predictions), ("labels", later, labels)]
    for table, when, sql in tables:
        place = folder / Place(table, NAMESPACE, NAME, when).folder
        place.mkdir(parents=True, exist_ok=True)
        found = connection.sql(sql).to_arrow_table()
        options = write_options(found.schema)
        pq.write_table(found, place / new_name(when, merged=True), row_group_size=ROW_GROUP_ROWS, **options)
    connection.unregister("frame")
