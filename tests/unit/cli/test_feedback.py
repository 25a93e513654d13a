"""`podium feedback`, run as a user runs it, against a real collector."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from cli_fixtures import podium
from label_fixtures import asked
from monitor_fixtures import KEY, SOURCE, CollectorProcess, running
from podium_crds.capture import capture_token, hash_key, hashed, label_token
from ports import free_port

pytestmark = pytest.mark.process

Feedback = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = [sys.executable, "-m", "podium_cli", "feedback"]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    folder = tmp_path / "collector"
    folder.mkdir()
    yield from running(folder)


@pytest.fixture
def feedback(collector: CollectorProcess) -> Feedback:
    asyncio.run(collector.ready())
    return against(collector.url)


def against(url: str) -> Feedback:
    def run(*words: object, token: str = label_token(KEY, SOURCE)) -> "subprocess.CompletedProcess[str]":
        return podium("feedback", *words, environment={"PODIUM_LABELS_URL": url, "PODIUM_LABEL_TOKEN": token})

    return run


def test_one_label_with_its_outcomes(feedback: Feedback, collector: CollectorProcess) -> None:
    words = ["--key", "007", "--label", "yes", "--outcome", "value=12.5", "--outcome", "why=price", "--labelled-by", "Zoë"]
    for said in ("recorded", "it was there already"):
        done = feedback(*words, "--time", "2026-09-01T02:00:00+02:00")
        assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr
    [row] = asked(collector, "select join_key, label, outcomes, labelled_by, epoch(time) from labels")
    said_by = "token shop/churn/uid-1, claimed Zoë"
    assert row == ("007", '"yes"', '{"value":12.5,"why":"price"}', said_by, datetime(2026, 9, 1, tzinfo=UTC).timestamp())


def test_a_value_is_a_number_or_a_boolean_where_it_looks_like_one_and_a_text_in_quotes(
    feedback: Feedback, collector: CollectorProcess
) -> None:
    for number, value in enumerate(["1", "true", "null", '"1"', "1.50", "no"]):
        assert feedback("--key", number, "--label", value).returncode == 0
    found = asked(collector, "select label from labels order by join_key")
    assert found == [("1",), ("true",), ("null",), ('"1"',), ("1.5",), ('"no"',)]


def test_a_csv_file_in_batches_and_once_more(feedback: Feedback, collector: CollectorProcess, tmp_path: Path) -> None:
    rows = 45_000
    frame = pd.DataFrame(
        {"customer": [f"{index:06}" for index in range(rows)], "left": [index % 2 for index in range(rows)]}
    )
    frame["value"] = [None if index % 3 else index / 4 for index in range(rows)]
    frame["seen"] = "2026-09-01 12:00:00"
    frame.to_csv(tmp_path / "labels.csv", index=False)
    words = [
        tmp_path / "labels.csv",
        "--key",
        "customer",
        "--label",
        "left",
        "--outcome",
        "value",
        "--time",
        "seen",
        "--utc",
    ]
    done = feedback(*words)
    assert done.returncode == 0, done.stderr
    assert "45000 labels recorded, 0 were there already (45000 rows, 3 batches)" in done.stdout
    counted = "select count(*), count(distinct join_key), sum(label::int), min(join_key) from labels"
    assert asked(collector, counted) == [(rows, rows, rows // 2, "000000")]
    assert asked(collector, "select outcomes from labels where join_key in ('000003', '000004') order by join_key") == [
        ('{"value":0.75}',),
        ("{}",),
    ]
    done = feedback(*words)
    assert "0 labels recorded, 45000 were there already" in done.stdout


def test_parquet_and_json_lines(feedback: Feedback, collector: CollectorProcess, tmp_path: Path) -> None:
    frame = pd.DataFrame({"k": [7, 8], "y": ["yes", "no"], "at": pd.to_datetime(["2026-09-01", "2026-09-02"], utc=True)})
    frame.to_parquet(tmp_path / "labels.parquet")
    (tmp_path / "labels.jsonl").write_text('{"k": "9", "y": true}\n\n{"k": "10", "y": 1.5}\n')
    for name, more in (("labels.parquet", ["--time", "at"]), ("labels.jsonl", [])):
        done = feedback(tmp_path / name, "--key", "k", "--label", "y", "--deployment", "shop/churn", *more)
        assert done.returncode == 0, done.stderr
        assert "2 labels recorded" in done.stdout
    found = asked(collector, "select join_key, label from labels order by join_key::int")
    assert found == [("7", '"yes"'), ("8", '"no"'), ("9", "true"), ("10", "1.5")]


def test_keys_are_hashed_where_the_deployment_hashes_them(feedback: Feedback, collector: CollectorProcess) -> None:
    assert feedback("--key", "customer-7", "--label", "yes", "--hash-keys").returncode == 0
    kept = hashed(hash_key(capture_token(KEY, SOURCE)), b"customer-7")
    assert asked(collector, "select join_key from labels") == [(kept,)]


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        ("k,y\na,1\nb,\n", [], "row 2 (the first is 1): there is no label in column 'y'; --missing Skip"),
        ("k,y\na,1\n,1\n", [], "row 2 (the first is 1): there is no join key in column 'k'"),
        ("k,y,t\na,1,2026-09-01\n", ["--time", "t"], "has no offset, as in 2026-11-21T13:05:00Z; --utc takes"),
        ("k,y,t\na,1,soon\n", ["--time", "t"], "row 1 (the first is 1): the time 'soon' is no RFC 3339 time"),
        ("k,z\na,1\n", [], "--label is 'y', but"),
        ("k,y\na,1\n", ["--outcome", "value"], "--outcome is 'value', but"),
        ("k,y\na,1\n", ["--missing", "Guess"], "--missing 'Guess' is none of Refuse, Skip, Withdraw"),
        ("", [], "cannot be read as .csv"),
        ("k,y\na,inf\n", [], "row 1 (the first is 1): inf is no number"),
    ],
)
def test_a_wrong_file_is_told_before_anything_is_sent(content: str, more: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(content)
    done = against("http://127.0.0.1:1")(tmp_path / "labels.csv", "--key", "k", "--label", "y", *more)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_row_that_the_collector_refuses_is_named_as_it_is_in_the_file(
    feedback: Feedback, collector: CollectorProcess, tmp_path: Path
) -> None:
    rows = [f"c{index},1" for index in range(20_010)]
    rows[20_004] = "c," + "x" * 2000
    (tmp_path / "labels.csv").write_text("k,y\nskipped,\n" + "\n".join(rows) + "\n")
    done = feedback(tmp_path / "labels.csv", "--key", "k", "--label", "y", "--missing", "Skip")
    assert done.returncode == 2
    assert "row 20006 (the first is 1): label has 2000 characters" in done.stderr
    assert "the 20000 labels of the rows before 20002 are recorded" in done.stderr
    assert asked(collector, "select count(*) from labels") == [(20_000,)]


def test_rows_without_a_label_are_left_out_or_withdrawn(
    feedback: Feedback, collector: CollectorProcess, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_text("k,y\na,yes\nb,\n")
    words = [tmp_path / "labels.csv", "--key", "k", "--label", "y", "--missing"]
    assert (
        "1 labels recorded, 0 were there already, 1 rows without a label left out (2 rows" in feedback(*words, "Skip").stdout
    )
    assert "2 labels recorded" in feedback(*words, "Withdraw").stdout
    assert asked(collector, "select label from labels where join_key = 'b'") == [("null",)]


@pytest.mark.parametrize(
    ("token", "more", "says"),
    [
        ("", [], "there is no label token: name a file with --token-file or set PODIUM_LABEL_TOKEN"),
        ("secret", [], "PODIUM_LABEL_TOKEN holds no label token"),
        (label_token(KEY, SOURCE), ["--deployment", "shop/fraud"], "but the token of PODIUM_LABEL_TOKEN is of shop/churn"),
        (label_token(KEY, SOURCE), ["--url", "podium:8090"], "--url 'podium:8090' is no address"),
        (label_token(KEY, SOURCE), ["--outcome", "value"], "must be <name>=<value>"),
        (label_token(KEY, SOURCE), ["--token-file", "/nowhere"], "/nowhere: No such file"),
    ],
)
def test_what_cannot_be_sent_is_told(token: str, more: list[str], says: str) -> None:
    done = against("http://127.0.0.1:1")("--key", "k", "--label", "1", *more, token=token)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_wrong_token_is_refused_at_once(feedback: Feedback) -> None:
    done = feedback("--key", "k", "--label", "1", token=label_token(b"other" * 8, SOURCE))
    assert done.returncode == 2
    assert "must be Bearer with the label token" in done.stderr


def test_nobody_there_is_another_exit_code() -> None:
    done = against(f"http://127.0.0.1:{free_port()}")("--key", "k", "--label", "1", "--retry-seconds", "3")
    assert done.returncode == 3
    assert "did not answer" in done.stderr
    assert "trying again in 0.5 s" in done.stderr


def test_a_collector_that_is_killed_meanwhile_has_every_label_once(
    feedback: Feedback, collector: CollectorProcess, tmp_path: Path
) -> None:
    rows = 100_000
    pd.DataFrame({"k": range(rows), "y": 1}).to_parquet(tmp_path / "labels.parquet")
    environment = {**os.environ, "PODIUM_LABEL_TOKEN": label_token(KEY, SOURCE)}
    command = [*COMMAND, str(tmp_path / "labels.parquet"), "--url", collector.url, "--key", "k", "--label", "y"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(2):
            before, end = files(collector), time.monotonic() + 120
            while files(collector) <= before and process.poll() is None and time.monotonic() < end:
                time.sleep(0.001)
            collector.kill()
            collector.start()
        out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "(100000 rows, 5 batches)" in out
    counted = "select count(*), count(distinct event_id), count(distinct join_key) from labels"
    assert asked(collector, counted) == [(rows, rows, rows)]


def files(collector: CollectorProcess) -> int:
    return len(list(collector.lake.glob("labels/**/*.parquet")))
