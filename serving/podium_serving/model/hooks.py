"""Runs transform.py's hooks in a process of their own, so that user code can neither stall the loop nor take it down.

One process, one call at a time. It is killed when a call takes too long and made anew when it died; a call that it took
down with it fails, the next one finds a new process. Only descriptors that say `transform: true` get here.
"""

import asyncio
import contextlib
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from podium_crds.package import TRANSFORM_FILE, TensorSpec
from podium_serving.exchange import Columns, HookFailed
from podium_serving.model.hook_process import HOOKS
from podium_serving.model.wire import Call, Reply, packed_columns, unpacked_columns
from podium_serving.oip.tensors import TensorSchema, tensor_schema

_LENGTH = struct.Struct("<I")
_KEPT_ENVIRONMENT = (
    *("PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "LD_LIBRARY_PATH", "OMP_NUM_THREADS"),
    *("HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ"),
)
_ARGUMENTS = {"before": "before(columns)", "after": "after(outputs, inputs)"}


class _Process:
    """A running hook process and the socket to it."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self.reader = reader
        self.writer = writer

    @classmethod
    async def start(cls, path: Path) -> Self:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "podium_serving.model.hook_process",
                str(theirs.fileno()),
                str(path),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ},
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return cls(process, reader, writer)

    async def reply(self) -> Reply:
        """Raises EOFError when the process died."""
        (size,) = _LENGTH.unpack(await self.reader.readexactly(_LENGTH.size))
        return msgspec.msgpack.decode(await self.reader.readexactly(size), type=Reply)

    def send(self, call: Call) -> None:
        message = msgspec.msgpack.encode(call)
        self.writer.write(_LENGTH.pack(len(message)) + message)

    async def stop(self) -> None:
        """Kills: user code has no state worth waiting for."""
        self.writer.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


class Hooks:
    """before(columns) -> columns and after(outputs, inputs) -> outputs; a hook that transform.py lacks changes nothing."""

    def __init__(self, path: Path, inputs: list[TensorSpec], outputs: list[TensorSpec], call_seconds: float) -> None:
        self._path = path
        self._schemas = {
            "before": [tensor_schema(spec, "input") for spec in inputs],
            "after": [tensor_schema(spec, "output") for spec in outputs],
        }
        self._call_seconds = call_seconds
        self._start_seconds = call_seconds
        self._process: _Process | None = None
        self._turn = asyncio.Lock()
        self._exchanges: set[asyncio.Task[Columns]] = set()
        self._closed = False
        self.present: frozenset[str] = frozenset()

    @classmethod
    async def start(
        cls,
        path: Path,
        inputs: list[TensorSpec],
        outputs: list[TensorSpec],
        *,
        start_seconds: float,
        call_seconds: float,
    ) -> Self:
        """Imports transform.py. Raises HookFailed when that fails, takes too long, or it has no hook."""
        hooks = cls(path, inputs, outputs, call_seconds)
        hooks._start_seconds = start_seconds
        await hooks._running()
        if not hooks.present:
            await hooks.close()
            raise HookFailed(f"{TRANSFORM_FILE} has neither {_ARGUMENTS['before']} nor {_ARGUMENTS['after']}")
        return hooks

    async def before(self, columns: Columns, rows: int) -> Columns:
        """Raises HookFailed naming hook, file and line."""
        return await self._called("before", columns, None, rows) if "before" in self.present else columns

    async def after(self, outputs: Columns, inputs: Columns, rows: int) -> Columns:
        """Raises HookFailed naming hook, file and line."""
        return await self._called("after", outputs, inputs, rows) if "after" in self.present else outputs

    async def close(self) -> None:
        self._closed = True
        async with self._turn:
            await self._stop()

    async def _called(self, hook: str, columns: Columns, inputs: Columns | None, rows: int) -> Columns:
        call = Call(hook, packed_columns(columns), None if inputs is None else packed_columns(inputs))
        # Shielded: a caller that gives up must leave the socket between two messages, not within one.
        exchange = asyncio.create_task(self._exchanged(call, rows))
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._forget)
        return await asyncio.shield(exchange)

    def _forget(self, exchange: asyncio.Task[Columns]) -> None:
        self._exchanges.discard(exchange)
        if not exchange.cancelled():
            exchange.exception()  # its caller may be gone: then nobody else looks

    async def _exchanged(self, call: Call, rows: int) -> Columns:
        async with self._turn:
            process = await self._running()
            try:
                async with asyncio.timeout(self._call_seconds):
                    process.send(call)
                    reply = await process.reply()
            except TimeoutError as error:
                await self._stop()
                raise HookFailed(
                    f"{call.hook}() of {TRANSFORM_FILE} took longer than {self._call_seconds:g} s and was stopped"
                ) from error
            except (EOFError, OSError) as error:
                code = await process.process.wait()
                await self._stop()
                raise HookFailed(f"the process of {TRANSFORM_FILE} died in {call.hook}() with exit code {code}") from error
        if reply.columns is None:
            raise HookFailed(reply.error)
        try:
            return _fitted(self._schemas[call.hook], unpacked_columns(reply.columns), call.hook, rows)
        except ValueError as error:
            raise HookFailed(f"{call.hook}() of {TRANSFORM_FILE} returned what does not fit: {error}") from error

    async def _running(self) -> _Process:
        """The process, started if there is none. Only under `_turn`, or before anyone else knows this object."""
        if self._closed:
            raise HookFailed(f"{TRANSFORM_FILE} is being put away")
        if self._process is not None and self._process.process.returncode is None:
            return self._process
        await self._stop()
        process = self._process = await _Process.start(self._path)
        try:
            async with asyncio.timeout(self._start_seconds):
                reply = await process.reply()
        except TimeoutError as error:
            await self._stop()
            raise HookFailed(f"{TRANSFORM_FILE} was not imported within {self._start_seconds:g} s") from error
        except EOFError as error:
            code = await process.process.wait()
            await self._stop()
            raise HookFailed(f"the process of {TRANSFORM_FILE} died while importing it, exit code {code}") from error
        if reply.columns is None:
            await self._stop()
            raise HookFailed(reply.error)
        self.present = frozenset(reply.columns) & set(HOOKS)
        return process

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.stop()


def _fitted(schemas: list[TensorSchema], columns: Columns, hook: str, rows: int) -> Columns:
    """`columns` in the schema's types. Raises ValueError naming the first that does not fit."""
    fitted: Columns = {}
    for schema in schemas:
        array = columns.get(schema.name)
        if array is None:
            raise ValueError(f"'{schema.name}' is missing; it returned {', '.join(sorted(columns)) or 'nothing'}")
        fitted[schema.name] = _cast(schema, array)
        shape = array.shape
        tail_fits = len(shape) == 1 + len(schema.tail) and all(
            want in (-1, got) for got, want in zip(shape[1:], schema.tail, strict=True)
        )
        if not tail_fits or shape[0] != rows:
            raise ValueError(f"'{schema.name}' has shape {list(shape)} for {rows} rows, must be {schema.takes}")
    extra = columns.keys() - fitted.keys()
    if extra:
        raise ValueError(f"'{min(extra)}' is none of the model's {'inputs' if hook == 'before' else 'outputs'}")
    return fitted


def _cast(schema: TensorSchema, array: Any) -> Any:
    if schema.dtype.kind == "O" and array.dtype.kind == "O":
        return array
    if array.dtype == schema.dtype:
        return array
    if array.dtype.kind in "iuf" and np.can_cast(array.dtype, schema.dtype, casting="same_kind"):
        return array.astype(schema.dtype)
    raise ValueError(f"'{schema.name}' has numpy type {array.dtype}, must be {schema.takes}")
