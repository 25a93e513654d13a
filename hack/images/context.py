"""The build context: exactly the files that an image is made of, and the tag that says which they were.

Made in memory, with fixed times and owners, so that the same files are the same bytes on every machine: the tag is the hash
of them and of the base image. Where packages come from (pip.conf, CA bundle) is not part of it, because the requirements
are pinned by hash: another index gives the same image or none.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

PARTS = ("operator", "serving", "monitor")
SHARED = {"monitor": (Path("evaluation/podium_evaluation"), Path("pages/podium_pages"))}
"""Packages of ours that a part's image has beside `podium_crds` and its own."""
COMPILED = {"serving": ("hack/compiled/building.py", "hack/compiled/modules.txt", "requirements/compile.txt")}
"""By what a part's package is compiled."""


def image_files(root: Path, part: str) -> Iterator[Path]:
    """Paths below `root` that make up the part's image, sorted. All parts share one context but not one tag."""
    yield from (Path("Dockerfile"), Path("hack/images/install.sh"), Path(f"requirements/{part}.txt"))
    yield from map(Path, COMPILED.get(part, ()))
    for package in (Path("crds/podium_crds"), *SHARED.get(part, ()), Path(part) / f"podium_{part}"):
        yield from sorted(
            path.relative_to(root)
            for path in (root / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )


def image_tag(root: Path, part: str, base_image: str) -> str:
    """16 hexadecimal digits over the base image's name and the names and contents of the part's files."""
    found = hashlib.sha256(base_image.encode())
    for path in image_files(root, part):
        content = (root / path).read_bytes()
        found.update(f"\n{path.as_posix()} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:16]


def context(root: Path, pip_files: Mapping[str, bytes]) -> bytes:
    """The tar that is sent to the Docker Engine. `pip_files` are pip.conf and ca.crt, as far as they are given."""
    files = {path.as_posix(): (root / path).read_bytes() for part in PARTS for path in image_files(root, part)}
    files |= {f".build/pip/{name}": content for name, content in pip_files.items()}
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()
