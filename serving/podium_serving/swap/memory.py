"""Whether a second version fits beside the serving one, before it is loaded: the kernel's answer would be a killed pod.

The operator decided by measured peaks already; this is the last look, with the memory that this process has now.
"""

import ctypes
import os
from pathlib import Path

from podium_crds.package import MODEL_FILE
from podium_serving.swap.faults import PreparationFailed

LOADING_FACTOR = 3
"""ONNX Runtime holds the file's bytes, the parsed graph and its own tensors at once while it loads.

Gradient-boosted trees of 40 MB peak at 2.6 times the file (tests/bench). """
_BASE_BYTES = 16 * 1024 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def loading_bytes(folder: Path) -> int:
    """About what loading the package takes at its worst moment."""
    return _BASE_BYTES + LOADING_FACTOR * (folder / MODEL_FILE).stat().st_size


def check_fits(resident: int, needed: int, limit: int) -> None:
    """Raises PreparationFailed with OutOfMemory. `limit` 0: there is none."""
    if limit and resident + needed > limit:
        raise PreparationFailed(
            "OutOfMemory",
            f"loading takes about {_mebibytes(needed)} beside {_mebibytes(resident)} in use, "
            f"the limit is {_mebibytes(limit)}: raise the memory limit in serving.template.resources",
        )


def return_free_pages() -> None:
    """Gives freed heap pages back to the kernel; without it the next look would count the dropped version. Blocks for ms."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc has it, musl does not.
        trim(0)


def _mebibytes(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MiB"
