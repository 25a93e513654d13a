"""The messages between the server and user code: what goes in comes out, and nonsense stays outside."""

import numpy as np
import pytest

from podium_serving.exchange import Columns
from podium_serving.frames import Frames
from podium_serving.model.wire import Block, Call, Reply, frame, packed, read_call, read_reply, unpacked


def test_columns_of_every_kind_come_out_as_they_went_in_and_can_be_written_to() -> None:
    columns: Columns = {
        "f": np.array([[1.5], [np.nan]]),
        "g": np.array([[-0.0], [np.inf]]),
        "i": np.array([[1, 2], [3, 4]], np.int64),
        "b": np.array([True, False]),
        "h": np.array([[1], [2]], np.float16),
        "big": np.array([1, 2], ">i4"),
        "s": np.array([["ä"], [""]], object),
        "u": np.array([["x"], ["yy"]]),
        "none": np.zeros((0, 3)),
    }
    (message,) = Frames().fed(frame(Call("before", packed([columns]))))
    got = unpacked(read_call(message).columns)
    assert got.keys() == columns.keys()
    for name, array in columns.items():
        assert got[name].shape == array.shape
        assert got[name].tolist() == array.tolist() or name == "f"
        got[name][...] = array
    assert np.isnan(got["f"][1, 0])


def test_callers_are_joined_along_their_rows() -> None:
    parts: list[Columns] = [
        {"x": np.array([[1.0]]), "s": np.array(["a"], object), "y": np.array([[2.0]])},
        {"x": np.array([[3.0], [5.0]]), "s": np.array(["b", "c"], object), "y": np.array([[4.0], [6.0]])},
    ]
    got = unpacked(packed(parts))
    assert {name: array.tolist() for name, array in got.items()} == {
        "x": [[1], [3], [5]],
        "s": ["a", "b", "c"],
        "y": [[2], [4], [6]],
    }


def test_a_stream_is_cut_into_messages_wherever_it_was_cut_before() -> None:
    stream = frame(Reply(error="one")) + frame(Reply(error="two"))
    frames = Frames()
    messages = [message for index in range(len(stream)) for message in frames.fed(stream[index : index + 1])]
    assert [read_reply(message).error for message in messages] == ["one", "two"]
    with pytest.raises(ValueError, match="4294967295 bytes is announced"):
        Frames().fed(b"\xff" * 8)


@pytest.mark.parametrize(
    "block",
    [
        Block(["x"], "O", [1], bytearray(b"12345678")),
        Block(["x"], "<f8", [2], bytearray(8)),
        Block(["x"], "<f8", [1], bytearray(7)),
        Block(["x"], "no type", [1], bytearray(8)),
        Block(["x", "y"], "<f8", [1], bytearray(8)),
        Block(["x"], "V8", [-7], bytearray(8)),
    ],
)
def test_blocks_that_are_no_columns_are_refused(block: Block) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpacked([block])


def test_arrays_of_types_that_no_tensor_has_are_refused() -> None:
    with pytest.raises(ValueError, match="arrays of numpy type datetime64"):
        packed([{"x": np.array(["2026-01-01"], "datetime64[D]")}])


def test_a_message_that_is_none_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        read_reply(b"\xff\xff")
