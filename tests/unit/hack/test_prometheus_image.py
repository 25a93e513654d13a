"""The image of the machine's Prometheus: what it is linked to comes along, and its pages as files."""

import tarfile
from pathlib import Path

import pytest

from cluster import prometheus

LINKED = """\
\tlinux-vdso.so.1 (0x00007f8384ed1000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f8384cde000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f8384ed3000)
"""


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        (LINKED, [Path("/lib/x86_64-linux-gnu/libc.so.6"), Path("/lib64/ld-linux-x86-64.so.2")]),
        ("\tnot a dynamic executable\n", []),
    ],
    ids=["linked", "static"],
)
def test_libraries_are_those_that_ldd_finds(said: str, needed: list[Path]) -> None:
    assert prometheus.libraries(said) == needed


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A program, and pages of which one is a link into another package."""
    (tmp_path / "program").write_bytes(b"elf")
    (tmp_path / "program").chmod(0o755)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "jquery.js").write_text("//")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "alerts.html").write_text("<h1>")
    (tmp_path / "web" / "jquery").symlink_to(tmp_path / "package")
    return tmp_path


def test_the_layer_holds_program_and_pages_and_no_links(machine: Path) -> None:
    image = prometheus.image_of(machine / "program", [], machine / "web", machine / "cache")
    pages = str(machine / "web").lstrip("/")
    with tarfile.open(image.layer) as archive:
        assert {entry.name: (entry.type, entry.mode) for entry in archive} == {
            "bin/prometheus": (tarfile.REGTYPE, 0o755),
            f"{pages}/alerts.html": (tarfile.REGTYPE, 0o644),
            f"{pages}/jquery/jquery.js": (tarfile.REGTYPE, 0o644),
        }


def test_another_program_is_another_image(machine: Path) -> None:
    first = prometheus.image_of(machine / "program", [], machine / "web", machine / "cache")
    (machine / "program").write_bytes(b"elf 2")
    second = prometheus.image_of(machine / "program", [], machine / "web", machine / "cache")
    assert first.tag != second.tag
    assert first.repository == second.repository == "podium/prometheus"
