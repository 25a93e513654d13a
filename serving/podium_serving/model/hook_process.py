"""The process that imports transform.py and calls its hooks, one call at a time.

`python -m podium_serving.model.hook_process <file descriptor> <transform.py>`: reads framed calls from a socket and
writes replies. It has no token, no key and no environment of Podium's; what it prints goes to the pod's log.
"""

import contextlib
import importlib.util
import socket
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from podium_serving.frames import Frames
from podium_serving.model.wire import Call, Reply, frame, packed, read_call, unpacked
from podium_serving.processes import die_with_parent

HOOKS = ("before", "after")
_RECEIVED_BYTES = 1 << 18
_FIRST_TO_DIE = "500"
"""Added to what the kernel thinks of this process when memory runs out: user code before the server."""


def main(descriptor: int, path: Path) -> None:
    """Answers calls until the other end closes. The first reply says whether the import succeeded."""
    die_with_parent()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_DIE, encoding="ascii")
    connection = socket.socket(fileno=descriptor)
    try:
        module = _imported(path)
    except BaseException as error:
        connection.sendall(frame(Reply(error=f"{path.name} cannot be imported: {_where(error, path)}")))
        return
    connection.sendall(frame(Reply(hooks=[name for name in HOOKS if callable(getattr(module, name, None))])))
    frames = Frames()
    while data := connection.recv(_RECEIVED_BYTES):
        for message in frames.fed(data):
            connection.sendall(_answered(module, read_call(message), path))


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("transform", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["transform"] = module
    spec.loader.exec_module(module)
    return module


def _answered(module: ModuleType, call: Call, path: Path) -> bytes:
    try:
        columns = unpacked(call.columns)
        arguments = (columns,) if call.inputs is None else (columns, unpacked(call.inputs))
        result: Any = getattr(module, call.hook)(*arguments)
        return frame(Reply(columns=packed([{str(name): np.asarray(value) for name, value in result.items()}])))
    except Exception as error:
        return frame(Reply(error=f"{call.hook}() of {path.name} raised {_where(error, path)}"))


def _where(error: BaseException, path: Path) -> str:
    """`ValueError: no such plan (transform.py, line 12)`: the innermost line of the user's own file."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        place = f" ({path.name}, line {error.lineno})"
    else:
        place = f" ({path.name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}"[:500] + place


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
