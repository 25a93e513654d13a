"""The machine's own Prometheus as an image in the cluster's registry, for whoever wants alerts to fire in a real one.

Not part of `up`: the cluster goes without it. Debian links the program to the C library and keeps its pages in files, so
both come along; a program that is linked to nothing is taken alone. It starts as the public image does: /bin/prometheus.
"""

import os
import re
import subprocess
import tarfile
from pathlib import Path

from cluster import debian, found, images
from cluster.build import exclusive, fingerprint
from cluster.console import Failure, step
from cluster.images import Image
from cluster.layout import Paths

PROGRAM = "prometheus"
PACKAGE = "prometheus"
PAGES = Path("/usr/share/prometheus/web")
ENTRYPOINT = "/bin/prometheus"


def publish(paths: Paths) -> str:
    """Pushes the image to the cluster, which must be up. Returns its reference. Installs the package if it is missing."""
    if os.geteuid() != 0:
        raise Failure("this needs root, as `up` did")
    with exclusive(paths.cache / "cluster.lock"):
        if found.load(paths) is None:
            raise Failure("no cluster is there; `python3 hack/cluster up` makes one")
        if debian.find_program(PROGRAM) is None:
            debian.install([PACKAGE], paths.cache)
        program = debian.find_program(PROGRAM)
        if program is None:
            raise Failure(f"the package {PACKAGE} was installed but brought no program {PROGRAM}")
        with step("Prometheus into the registry"):
            image = image_of(Path(program), libraries(listed(program)), PAGES, paths.cache)
            images.push(image)
    return image.reference


def image_of(program: Path, needed: list[Path], pages: Path, cache: Path) -> Image:
    """Program, libraries and pages in one layer; its tag says which they are."""
    files = contents(program, needed, pages)
    tag = fingerprint([part for name, file in files.items() for part in (name.encode(), file.read_bytes())])
    layer = cache / f"prometheus-{tag}" / "layer.tar.gz"

    def fill(archive: tarfile.TarFile) -> None:
        for name, file in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = file.stat().st_size, 0o755 if file.stat().st_mode & 0o111 else 0o644
            with file.open("rb") as content:
                archive.addfile(entry, content)

    images.write_layer(layer, fill)
    return Image("podium/prometheus", tag, layer, {"Entrypoint": [ENTRYPOINT], "User": "65534:65534"})


def contents(program: Path, needed: list[Path], pages: Path) -> dict[str, Path]:
    """Names in the image and the files behind them, sorted. Links of the pages lead into other packages: files, then."""
    inside = {ENTRYPOINT: program, **{str(library): library for library in needed}}
    for folder, _, names in os.walk(pages, followlinks=True):
        inside |= {str(Path(folder, name)): Path(folder, name) for name in names}
    return {name.lstrip("/"): file.resolve() for name, file in sorted(inside.items())}


def listed(program: str) -> str:
    """What `ldd` says. Of a program that is linked to nothing it says so, and fails."""
    return subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout


def libraries(said: str) -> list[Path]:
    """`libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and the loader alone: `/lib64/ld-linux-x86-64.so.2 (0x…)`."""
    return [Path(path) for path in re.findall(r"(/\S+) \(0x[0-9a-f]+\)", said)]
