"""The last look before a second version is loaded."""

from pathlib import Path

import pytest

from podium_serving.swap.faults import PreparationFailed
from podium_serving.swap.memory import check_fits, loading_bytes, resident_bytes, return_free_pages
from serving_fixtures import make_package

MIB = 1024 * 1024


@pytest.mark.parametrize(("resident", "needed", "limit"), [(100, 50, 0), (100, 50, 150), (100, 0, 100)])
def test_what_fits_is_let_through(resident: int, needed: int, limit: int) -> None:
    check_fits(resident, needed, limit)


def test_what_does_not_fit_says_all_three_numbers_and_what_to_raise() -> None:
    with pytest.raises(PreparationFailed) as caught:
        check_fits(resident=300 * MIB, needed=150 * MIB, limit=400 * MIB)
    assert caught.value.reason == "OutOfMemory"
    assert str(caught.value) == (
        "loading takes about 150 MiB beside 300 MiB in use, the limit is 400 MiB: "
        "raise the memory limit in serving.template.resources"
    )


def test_trees_take_more_than_their_file(tmp_path: Path) -> None:
    make_package(tmp_path)
    weights = loading_bytes(tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes() + bytes(1_000_000)
    (tmp_path / "weights.onnx").write_bytes(content)
    (tmp_path / "trees.onnx").write_bytes(content + b"TreeEnsembleRegressor")
    assert weights < loading_bytes(tmp_path / "weights.onnx") < 25_000_000
    assert loading_bytes(tmp_path / "trees.onnx") - loading_bytes(tmp_path / "weights.onnx") > 9_000_000


@pytest.mark.parametrize("before", [0, 256 * 1024 - 5, 256 * 1024, 3 * 256 * 1024 - 11])
def test_trees_are_found_wherever_they_stand(tmp_path: Path, before: int) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(bytes(before) + b"TreeEnsembleClassifier" + bytes(300_000))
    assert loading_bytes(file) == 16 * MIB + 13 * file.stat().st_size
    file.write_bytes(bytes(before) + b"TreeEnsembl" + bytes(300_000))
    assert loading_bytes(file) == 16 * MIB + 3 * file.stat().st_size


def test_this_process_knows_its_size() -> None:
    return_free_pages()
    assert resident_bytes() > 10 * MIB
