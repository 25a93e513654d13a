"""Blocks of rows: what becomes a row, and what no pod of ours would send is refused with what is wrong."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from podium_crds.rows import TEXT, Block, Column, Predictions, Shadows, body_of
from podium_monitor.compact import rows_of_blocks
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, InvalidBatch, TooLarge
from podium_monitor.lake.tables import SCHEMAS, Place, Rows, Table

CHURN = Source("shop", "churn", "uid-1")
CLOCK = Clock(datetime(1970, 1, 1, tzinfo=UTC), timedelta(days=2), timedelta(hours=1))
TABLES: list[Table] = ["predictions", "shadows"]

MEMBERS = json.dumps(
    {"arm_assigned": "champion", "arm_answered": "", "fallback": "", "epoch": 1, "version": "churn-3", "digest": "sha256:3"}
).encode()
SHADOW_MEMBERS = b'{"version":"b-1","digest":"sha256:b"}'


def column(**changes: Any) -> Column:
    content = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32).tobytes()
    return msgspec.structs.replace(Column("x", "<f4", [2, 2], content), **changes)


def predictions(**changes: Any) -> Predictions:
    block = Predictions(b"e", 10, None, 2, MEMBERS, [1.0, 2.0], [0.5, 0.5], ["a", "b"], None, [column()], [])
    return msgspec.structs.replace(block, **changes)


def shadows(**changes: Any) -> Shadows:
    return msgspec.structs.replace(Shadows(b"e", 10, 0, 2, "boosting", SHADOW_MEMBERS, 1.0, [column()]), **changes)


def read(*blocks: Block, max_rows: int = 100, max_bytes: int = 100_000) -> list[Rows]:
    body = body_of([msgspec.msgpack.encode(block) for block in blocks])
    return rows_of_blocks(body, CHURN, CLOCK, max_rows, max_bytes)


def test_blocks_of_all_kinds_become_rows_of_both_tables() -> None:
    of_one_request = predictions(start=3, times=[1.0], latencies=[0.5], request_ids=["a"], join_keys=["k", "l"])
    big_endian = column(form=">f4", content=np.array([[1.0, 2.0], [3.0, 4.0]], ">f4").tobytes())
    found = read(predictions(), of_one_request, shadows(), shadows(outputs=None), predictions(inputs=[big_endian]))
    assert [rows.place for rows in found] == [Place(table, "shop", "churn", CLOCK.received_at) for table in TABLES]
    asked, mirrored = (rows.columns for rows in found)
    assert asked["event_id"] == ["e-a-0", "e-b-0", "e-a-3", "e-a-4", "e-a-0", "e-b-0"]
    assert asked["join_key"] == ["a", "b", "k", "l", "a", "b"]
    assert (asked["row"], asked["epoch"], asked["sampled"]) == ([0, 0, 3, 4, 0, 0], [1] * 6, [True] * 6)
    assert asked["time"][:2] == [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)]
    assert found[0].values["input.numbers.x"].to_pylist() == [[1.0, 2.0], [3.0, 4.0]] * 3
    assert mirrored["event_id"] == ["e-a-0-boosting", "e-a-1-boosting"] * 2
    assert mirrored["prediction_id"] == ["e-a-0", "e-a-1"] * 2
    assert found[1].values["output.numbers.x"].to_pylist() == [[1.0, 2.0], [3.0, 4.0], None, None]
    assert {name for rows in found for name in rows.columns} == {name for table in TABLES for name in SCHEMAS[table].names}


def test_the_split_is_said_once_for_all_rows_and_sticky_keys_are_per_row() -> None:
    members = MEMBERS[:-1] + b',"split":{"champion":{"percent":90,"digest":"a"}}}'
    (rows,) = read(predictions(members=members, unit_keys=["k", None]), predictions())
    assert rows.columns["split"] == ['{"champion":{"percent":90,"digest":"a"}}'] * 2 + [None] * 2
    assert rows.columns["unit_key"] == ["k", None, None, None]


def test_a_block_of_an_older_pod_has_no_sticky_keys() -> None:
    older = msgspec.msgpack.decode(msgspec.msgpack.encode(predictions()))[:-1]
    assert older[-1] == []  # its outputs
    (rows,) = rows_of_blocks(body_of([msgspec.msgpack.encode(older)]), CHURN, CLOCK, 100, 100_000)
    assert rows.columns["unit_key"] == [None, None]


def test_cells_keep_their_form() -> None:
    columns = [
        column(name="wide", form="<i8", shape=[2, 1, 2], content=np.arange(4, dtype=np.int64).tobytes()),
        column(name="yes", form="|b1", shape=[2], content=np.array([True, False]).tobytes()),
        column(name='50% "off"', form="<f4", shape=[2], content=np.array([0.1, np.nan], np.float32).tobytes()),
        column(name="half", form="<f2", shape=[2], content=np.array([0.5, np.inf], np.float16).tobytes()),
        column(name="none", form="<f4", shape=[2, 0], content=b""),
        column(name="text", form=TEXT, shape=[2], content='["é", {"base64": "/w=="}]'.encode()),
    ]
    (rows,) = read(predictions(inputs=columns))
    assert {name: values.to_pylist() for name, values in rows.values.items()} == {
        "input.json.wide": ["[[0,1]]", "[[2,3]]"],
        "input.truth.yes": [True, False],
        'input.number.50% "off"': [0.1, None],
        "input.number.half": [0.5, None],
        "input.numbers.none": [[], []],
        "input.text.text": ["é", None],
        "input.json.text": [None, '{"base64":"/w=="}'],
    }


def test_an_empty_body_of_blocks_is_an_empty_batch() -> None:
    assert read() == []


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (predictions(rows=3), "must have 3"),
        (predictions(rows=-1), "must have -1"),
        (predictions(times=[1.0]), "must have 2"),
        (predictions(join_keys=["one"]), "must have 2"),
        (predictions(unit_keys=["one"]), "must have 2"),
        (predictions(times=[-1.0, 1.0]), "Unix seconds"),
        (predictions(times=[float("nan"), 1.0]), "NaN"),
        (predictions(times=[1e300, 1.0]), "Unix seconds"),
        (predictions(members=b"{}"), "missing required field `arm_assigned`"),
        (predictions(stem=b"\xff"), "ascii"),
        (predictions(stem=b"e" * 300), "an event id of 304 characters"),
        (predictions(first=-1), "counts 2 from -1"),
        (predictions(latencies=[0.1, float("inf")]), "not finite"),
        (predictions(members=b"[]"), "Expected `object`"),
        (shadows(start=2**31), "stay below 2147483648"),
        (predictions(inputs=[column(shape=[2, 3])]), "do not fit"),
        (predictions(inputs=[column(shape=[1, 4])]), "the shape"),
        (predictions(inputs=[column(shape=[2, -1, -2])]), "the shape"),
        (predictions(inputs=[column(shape=[])]), "the shape"),
        (predictions(inputs=[column(form="O")]), "the form"),
        (predictions(inputs=[column(form="nothing")]), "nothing"),
        (predictions(inputs=[column(form=TEXT, content=b"[1]")]), "must have 2"),
        (predictions(inputs=[column(form=TEXT, content=b"[1,")]), "truncated"),
        (shadows(rows=-5), "does not fit"),
        (predictions(times=[1.0, float("inf")]), "infinity"),
        (shadows(time=float("-inf")), "infinity"),
        (predictions(inputs=[column(form="(1,f4,")]), "the form"),
        (predictions(inputs=[column(form="f4,f4")]), "the form"),
        (predictions(inputs=[column(shape=[2, *[2**62] * 100_000])]), "the shape"),
        (predictions(inputs=[column(form=TEXT, content=b"[" * 100_000 + b"]" * 100_000)]), "recursion"),
    ],
)
def test_a_block_that_does_not_fit_is_refused_and_named(block: Block, said: str) -> None:
    with pytest.raises(InvalidBatch, match=f"block 1 does not fit.*{said}|block 1.*{said}"):
        read(predictions(), block)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xdd\x00\x00\x00\x02\x90", b"\xdd\xff\xff\xff\xff", b"\x91\x91\xa1x"])
def test_what_is_no_array_of_blocks_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidBatch, match=r"no array|not an array"):
        rows_of_blocks(body, CHURN, CLOCK, 100, 100_000)


def test_more_rows_or_bytes_than_are_taken_are_refused_before_they_are_made() -> None:
    with pytest.raises(TooLarge, match="4 rows, at most 3"):
        read(predictions(), predictions(), max_rows=3)
    with pytest.raises(TooLarge, match="more than 300 bytes"):
        read(predictions(), predictions(), max_bytes=300)
    with pytest.raises(TooLarge, match="more than 10000 names"):
        read(predictions(inputs=[column(name=f"x{number}") for number in range(10_001)]))
    of_1000 = {"rows": 1000, "times": [1.0] * 1000, "latencies": [0.5] * 1000, "request_ids": ["a"] * 1000}
    truth = column(form="|b1", shape=[1000], content=bytes(1000))
    wide = [[msgspec.structs.replace(truth, name=f"{one}{number}") for number in range(1100)] for one in "ab"]
    with pytest.raises(TooLarge, match="2000 rows times 2200 names"):
        read(*[predictions(inputs=inputs, **of_1000) for inputs in wide], max_rows=2000, max_bytes=10**9)
    with pytest.raises(TooLarge, match="more than 100000 bytes"):
        read(shadows(rows=100, outputs=None, name="n" * 10_000))
    with pytest.raises(TooLarge, match="at most 100"):
        read(*[shadows(rows=0)] * 101)
    with pytest.raises(TooLarge, match="at most 100"):
        read(shadows(rows=2**40, outputs=None))


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        pytest.param([1, 2**40, 0], b"", id="lists-of-nothing-without-end"),
        pytest.param([1, 2000, *[1] * 29, 1], bytes(2000), id="each-byte-in-thirty-lists"),
    ],
)
def test_brackets_that_no_content_pays_for_are_counted_before_they_are_made(shape: list[int], content: bytes) -> None:
    one = column(form="|i1", shape=shape, content=content)
    block = predictions(rows=1, times=[1.0], latencies=[0.5], request_ids=["a"], inputs=[one])
    with pytest.raises(TooLarge, match="more than 100000 bytes"):
        read(block)


def test_arrays_of_many_dimensions_keep_their_form() -> None:
    columns = [
        column(name="cube", form="<f4", shape=[2, 2, 1, 2], content=np.arange(8, dtype=np.float32).tobytes()),
        column(name="half", form="<f2", shape=[2, 1, 2], content=np.array([0.1, 1, np.nan, 2], np.float16).tobytes()),
        column(name="boxes", form="<f4", shape=[2, 0, 4], content=b""),
        column(name="empties", form="<f4", shape=[2, 3, 0], content=b""),
    ]
    (rows,) = read(predictions(inputs=columns))
    assert {name: [json.loads(text) for text in values.to_pylist()] for name, values in rows.values.items()} == {
        "input.json.cube": [[[[0, 1]], [[2, 3]]], [[[4, 5]], [[6, 7]]]],
        "input.json.half": [[[0.0999755859375, 1]], [[None, 2]]],
        "input.json.boxes": [[], []],
        "input.json.empties": [[[], [], []], [[], [], []]],
    }
