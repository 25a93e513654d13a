"""Blocks of rows that no pod of ours would send are refused with what is wrong; tests of good ones are the pods'."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from capture_fixtures import SOURCE
from podium_crds.rows import TEXT, Block, Column, Predictions, Shadows, body_of
from podium_monitor.compact import expanded
from podium_monitor.events import InvalidBatch, TooLarge

MEMBERS = b'{"arm_assigned":"champion"}'


def column(**changes: Any) -> Column:
    content = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32).tobytes()
    return msgspec.structs.replace(Column("x", "<f4", [2, 2], content), **changes)


def predictions(**changes: Any) -> Predictions:
    block = Predictions(b"e", 10, None, 2, MEMBERS, [1.0, 2.0], [0.5, 0.5], ["a", "b"], None, [column()], [])
    return msgspec.structs.replace(block, **changes)


def shadows(**changes: Any) -> Shadows:
    return msgspec.structs.replace(Shadows(b"e", 10, 0, 2, "boosting", b'{"version":"b-1"}', 1.0, [column()]), **changes)


def read(*blocks: Block, max_events: int = 100, max_bytes: int = 100_000) -> list[dict[str, Any]]:
    body = body_of([msgspec.msgpack.encode(block) for block in blocks])
    events: list[dict[str, Any]] = json.loads(expanded(body, SOURCE, max_events, max_bytes))
    return events


def test_blocks_of_all_kinds_become_one_batch() -> None:
    of_one_request = predictions(start=3, times=[1.0], latencies=[0.5], request_ids=["a"], join_keys=["k", "l"])
    big_endian = column(form=">f4", content=np.array([[1.0, 2.0], [3.0, 4.0]], ">f4").tobytes())
    events = read(predictions(), of_one_request, shadows(), shadows(outputs=None), predictions(inputs=[big_endian]))
    assert [event["id"] for event in events] == [
        *["e-a-0", "e-b-0", "e-a-3", "e-a-4"], *["e-a-0-boosting", "e-a-1-boosting"] * 2, *["e-a-0", "e-b-0"],
    ]  # fmt: skip
    assert [event["data"].get("join_key") for event in events[:4]] == ["a", "b", "k", "l"]
    assert events[1]["data"]["inputs"] == events[9]["data"]["inputs"] == {"x": [3.0, 4.0]}
    assert (events[5]["data"]["outputs"], events[7]["data"]["outputs"]) == ({"x": [3.0, 4.0]}, None)


def test_an_empty_body_of_blocks_is_an_empty_batch() -> None:
    assert read() == []


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (predictions(rows=3), "must have 3"),
        (predictions(rows=-1), "must have -1"),
        (predictions(times=[1.0]), "must have 2"),
        (predictions(join_keys=["one"]), "must have 2"),
        (predictions(times=[-1.0, 1.0]), "Unix seconds"),
        (predictions(times=[float("nan"), 1.0]), "NaN"),
        (predictions(times=[1e300, 1.0]), "Unix seconds"),
        (predictions(members=b"{}"), "no JSON object"),
        (predictions(stem=b"\xff"), "ascii"),
        (predictions(inputs=[column(shape=[2, 3])]), "do not fit"),
        (predictions(inputs=[column(shape=[1, 4])]), "the shape"),
        (predictions(inputs=[column(shape=[2, -1, -2])]), "the shape"),
        (predictions(inputs=[column(shape=[])]), "the shape"),
        (predictions(inputs=[column(form="O")]), "the form"),
        (predictions(inputs=[column(form="nothing")]), "nothing"),
        (predictions(inputs=[column(form=TEXT, content=b"[1]")]), "must have 2"),
        (predictions(inputs=[column(form=TEXT, content=b"[1,")]), "truncated"),
        (shadows(rows=-5), "does not fit"),
    ],
)
def test_a_block_that_does_not_fit_is_refused_and_named(block: Block, said: str) -> None:
    with pytest.raises(InvalidBatch, match=f"block 1 does not fit.*{said}|block 1.*{said}"):
        read(predictions(), block)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xdd\x00\x00\x00\x02\x90", b"\xdd\xff\xff\xff\xff", b"\x91\x91\xa1x"])
def test_what_is_no_array_of_blocks_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidBatch, match=r"no array|not an array"):
        expanded(body, SOURCE, 100, 100_000)


def test_more_rows_or_bytes_than_are_taken_are_refused_before_they_are_made() -> None:
    with pytest.raises(TooLarge, match="4 rows, at most 3"):
        read(predictions(), predictions(), max_events=3)
    with pytest.raises(TooLarge, match="more than 300 bytes"):
        read(predictions(), predictions(), max_bytes=300)
    with pytest.raises(TooLarge, match="at most 100"):
        read(shadows(rows=2**40, outputs=None))
