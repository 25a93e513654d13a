"""An image's tag names its contents: the same files have the same tag anywhere, another file has another."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from images.context import PARTS, context, image_files, image_tag
from images.registry import speaks_plain_http

REPOSITORY = Path(__file__).parents[3]
BASE = "python:3.11-slim-bookworm"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of all images, copied: other times, another folder."""
    for part in PARTS:
        for path in image_files(REPOSITORY, part):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / path, tmp_path / path)
    return tmp_path


@pytest.mark.parametrize("part", PARTS)
def test_the_same_files_have_the_same_tag_and_context_elsewhere(checkout: Path, part: str) -> None:
    assert image_tag(checkout, part, BASE) == image_tag(REPOSITORY, part, BASE)
    assert context(checkout, {}) == context(REPOSITORY, {})


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ("Dockerfile", {"operator", "serving", "monitor"}),
        ("crds/podium_crds/names.py", {"operator", "serving", "monitor"}),
        ("serving/podium_serving/__init__.py", {"serving"}),
        ("requirements/monitor.txt", {"monitor"}),
        ("requirements/compile.txt", {"serving"}),
        ("hack/compiled/building.py", {"serving"}),
        ("hack/compiled/modules.txt", {"serving"}),
    ],
)
def test_a_changed_file_changes_the_tags_of_the_images_that_hold_it(checkout: Path, changed: str, parts: set[str]) -> None:
    with (checkout / changed).open("a") as file:
        file.write("\n# changed\n")
    assert {part for part in PARTS if image_tag(checkout, part, BASE) != image_tag(REPOSITORY, part, BASE)} == parts


def test_another_base_image_is_another_image() -> None:
    assert image_tag(REPOSITORY, "serving", BASE) != image_tag(REPOSITORY, "serving", "python:3.12-slim-bookworm")


def test_the_context_holds_only_what_an_image_is_made_of() -> None:
    with tarfile.open(fileobj=io.BytesIO(context(REPOSITORY, {"pip.conf": b"[global]\n"}))) as archive:
        names = archive.getnames()
    tops = {name.rsplit("/", 1)[0] if "/" not in name else name.split("/")[0] for name in names}
    packages = {"crds", "evaluation", "pages", "operator", "serving", "monitor"}
    assert tops == packages | {"Dockerfile", "requirements", "hack", ".build"}
    assert [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".pem", ".key"))] == []


@pytest.mark.parametrize(
    ("registry", "plain"),
    [
        ("10.244.0.1:5000", True),
        ("127.0.0.1:5000", True),
        ("localhost:5000", True),
        ("registry.example.com", False),
        ("registry.example.com:5000", False),
        ("8.8.8.8:5000", False),
    ],
)
def test_only_registries_at_private_addresses_are_spoken_to_by_plain_http(registry: str, plain: bool) -> None:
    assert speaks_plain_http(registry) is plain
