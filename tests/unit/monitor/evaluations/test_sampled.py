"""What `capture.always` kept beyond the sample moves no figure: with or without it the documents say the same."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation_fixtures import HOUR, LakeFolder, evaluations_of, rows, watched

WISHES: dict[str, Any] = {
    "segments": ["region"],
    "fairness": {"protected": ["region"]},
    "business": [{"name": "profit", "expression": 'if(label == "yes", 1, 0)'}],
}


def evaluated(lake: LakeFolder) -> Any:
    with evaluations_of(lake) as evaluate:
        document = evaluate(watched(**WISHES))
    assert document is not None
    return msgspec.to_builtins(msgspec.structs.replace(document, evaluated_at=HOUR))


def a_sample(folder: Path) -> tuple[LakeFolder, list[str]]:
    lake, found = LakeFolder(folder), rows(800, 2)
    lake.put_reference(rows(2000, 1))
    keys = lake.put_predictions(found, sampled=[True] * 800)
    lake.put_shadows(found, [f"k-{HOUR:%d%H}-{index}" for index in range(800)])
    lake.put_labels(keys, found.truth.tolist(), HOUR)
    return lake, keys


@pytest.mark.parametrize("together", [False, True], ids=["in a file of their own", "in one file with the sample"])
def test_rows_kept_by_a_rule_move_no_figure_of_any_arm(tmp_path: Path, together: bool) -> None:
    alone, _ = a_sample(tmp_path / "alone")
    both, _ = a_sample(tmp_path / "both")
    strange = rows(2000, 3, unit=60.0, noise=0.5)
    strange.frame["region"] = "moon"
    kept = both.put_predictions(strange, key="kept", sampled=[False] * 2000, fallback="Timeout", latency_seconds=9.0)
    both.put_shadows(strange, [f"kept-{HOUR:%d%H}-{index}" for index in range(2000)])
    both.put_labels(kept, strange.truth.tolist(), HOUR)
    if together:
        files = sorted(both.path.glob("predictions/**/*.parquet"))
        whole = pq.ParquetFile(files[1]).read(), pq.ParquetFile(files[0]).read()
        pq.write_table(_interleaved(*whole), files[0], row_group_size=300)
        files[1].unlink()
    assert evaluated(both) == evaluated(alone)


def test_files_that_know_no_sample_are_counted_whole(tmp_path: Path) -> None:
    alone, _ = a_sample(tmp_path / "alone")
    old, _ = a_sample(tmp_path / "old")
    for path in old.path.glob("predictions/**/*.parquet"):
        pq.write_table(pq.ParquetFile(path).read().drop_columns(["sampled"]), path)
    assert evaluated(old) == evaluated(alone)


def test_an_hour_of_nothing_but_rows_kept_by_a_rule_says_nothing(tmp_path: Path) -> None:
    lake = LakeFolder(tmp_path)
    lake.put_reference(rows(2000, 1))
    lake.put_predictions(rows(300, 2), sampled=[False] * 300)
    assert "arms" not in evaluated(lake)


def _interleaved(one: Any, other: Any) -> Any:
    """By time, as compaction writes an hour."""
    return pa.concat_tables([one, other]).sort_by("time")
