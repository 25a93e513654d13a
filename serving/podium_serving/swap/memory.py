"""Whether a second version fits beside the serving one, before it is loaded: the kernel's answer would be a killed pod.

The operator decided by measured peaks already; this is the last look, with the memory that this process has now.
"""

import ctypes
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
_PIECE_BYTES = 256 * 1024


def resident_bytes() -> int:
    """Memory of this process and of the processes that run user code for it."""
    return processes.resident_bytes() + sum(processes.private_bytes(child) for child in processes.children())


def loading_bytes(model_file: Path) -> int:
    """About what loading the model takes at its worst moment. Blocks: it reads the file."""
    size = model_file.stat().st_size
    return _BASE_BYTES + (TREES_FACTOR if _has_trees(model_file) else WEIGHTS_FACTOR) * size


def _has_trees(model_file: Path) -> bool:
    """In pieces: searching a mapped file holds the interpreter until its end, 27 ms per 100 MB."""
    end = b""
    with model_file.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            if _TREES in end + piece:
                return True
            end = piece[1 - len(_TREES) :]
    return False


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
