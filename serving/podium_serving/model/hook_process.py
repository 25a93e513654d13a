"""The process that imports transform.py and calls its hooks, one call at a time.

`python -m podium_serving.model.hook_process <file descriptor> <transform.py>`: reads length-prefixed calls from a socket
and writes replies. It has no token, no key and no environment of Podium's; what it prints goes to the pod's log.
"""

import importlib.util
import socket
import struct
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from podium_serving.model.wire import Call, Reply, packed_columns, unpacked_columns

HOOKS = ("before", "after")
_LENGTH = struct.Struct("<I")


def main(descriptor: int, path: Path) -> None:
    """Answers calls until the other end closes. The first reply says whether the import succeeded."""
    connection = socket.socket(fileno=descriptor)
    try:
        module = _imported(path)
    except BaseException as error:
        _send(connection, Reply(error=f"{path.name} cannot be imported: {_where(error, path)}"))
        return
    _send(connection, Reply(columns={name: None for name in HOOKS if callable(getattr(module, name, None))}))
    while (message := _receive(connection)) is not None:
        _send(connection, _answered(module, msgspec.msgpack.decode(message, type=Call), path))


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("transform", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["transform"] = module
    spec.loader.exec_module(module)
    return module


def _answered(module: ModuleType, call: Call, path: Path) -> Reply:
    try:
        columns = unpacked_columns(call.columns)
        arguments = (columns,) if call.inputs is None else (columns, unpacked_columns(call.inputs))
        result: Any = getattr(module, call.hook)(*arguments)
        return Reply(columns=packed_columns({str(name): np.asarray(value) for name, value in result.items()}))
    except Exception as error:
        return Reply(error=f"{call.hook}() of {path.name} raised {_where(error, path)}")


def _where(error: BaseException, path: Path) -> str:
    """`ValueError: no such plan (transform.py, line 12)`: the innermost line of the user's own file."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        place = f" ({path.name}, line {error.lineno})"
    else:
        place = f" ({path.name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}"[:500] + place


def _receive(connection: socket.socket) -> bytes | None:
    head = _exactly(connection, _LENGTH.size)
    return None if head is None else _exactly(connection, _LENGTH.unpack(head)[0])


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _send(connection: socket.socket, reply: Reply) -> None:
    message = msgspec.msgpack.encode(reply)
    connection.sendall(_LENGTH.pack(len(message)) + message)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
