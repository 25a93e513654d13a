"""Whether a second version fits beside the serving one, before it is loaded: the kernel's answer would be a killed pod.

The operator decided by measured peaks already; this is the last look, with the memory that this process has now.
"""

import ctypes
import mmap
from pathlib import Path

from podium_serving import processes
from podium_serving.swap.faults import PreparationFailed

TREES_FACTOR = 13
"""Bytes of memory per byte of file at the worst moment of loading. ONNX writes tree nodes as small integers and words, ONNX
Runtime holds each as 8 bytes or more: 200 random trees of 12.6 MB take 162 MB, 1,000 boosted ones of 4.7 MB 69 MB."""
WEIGHTS_FACTOR = 3
"""Matrices lie in the file as in memory, and are there twice while loading: 36 MB take 81 MB."""
_BASE_BYTES = 16 * 1024 * 1024
_TREES = b"TreeEnsemble"


def resident_bytes() -> int:
    """Memory of this process and of the processes that run user code for it."""
    return processes.resident_bytes() + sum(processes.private_bytes(child) for child in processes.children())


def loading_bytes(model_file: Path) -> int:
    """About what loading the model takes at its worst moment. Blocks: it reads the file."""
    size = model_file.stat().st_size
    if size == 0:
        return _BASE_BYTES
    with model_file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        factor = TREES_FACTOR if content.find(_TREES) >= 0 else WEIGHTS_FACTOR
    return _BASE_BYTES + factor * size


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
