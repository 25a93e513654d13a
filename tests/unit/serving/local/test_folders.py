"""Which packages are found, by the names that they give themselves."""

from pathlib import Path

import pytest

from podium_serving.local.folders import Folders
from podium_serving.model.package import InvalidPackage
from serving_fixtures import make_package


def test_packages_one_by_one_and_all_within_a_folder_are_found(tmp_path: Path) -> None:
    make_package(tmp_path / "alone", name="alone")
    for name in ("churn", "fraud"):
        make_package(tmp_path / "all" / f"{name}-folder", name=name)
    (tmp_path / "all" / "notes").mkdir()
    (tmp_path / "all" / "file").write_text("no folder")
    found = Folders([tmp_path / "alone"], tmp_path / "all").look()
    assert {name: folder.name for name, folder in found.packages.items()} == {
        "alone": "alone",
        "churn": "churn-folder",
        "fraud": "fraud-folder",
    }
    assert found.faults == {}


def test_a_folder_that_holds_no_package_is_named_and_hides_no_other(tmp_path: Path) -> None:
    make_package(tmp_path / "a", name="churn")
    make_package(tmp_path / "b", name="churn")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "podium.yaml").write_text("name: [")
    found = Folders([tmp_path / "missing"], tmp_path).look()
    assert list(found.packages) == ["churn"]
    assert found.faults.keys() == {"b", "c", "missing"}
    assert found.faults["b"].endswith("both hold a package named 'churn'")
    assert "podium.yaml is not YAML" in found.faults["c"]
    assert "cannot read podium.yaml in" in found.faults["missing"]


def test_a_package_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    folders = Folders([], tmp_path)
    assert folders.look().packages == {}
    make_package(tmp_path / "a", name="churn")
    assert list(folders.look().packages) == ["churn"]
    make_package(tmp_path / "a", name="fraud")
    assert list(folders.look().packages) == ["fraud"]


def test_a_repository_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidPackage, match="cannot look into"):
        Folders([], tmp_path / "nowhere").look()
