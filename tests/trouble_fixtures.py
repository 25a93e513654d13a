"""Pods that hang, drip, crash or talk nonsense, as raw servers; TROUBLE lists them with what a forward calls the failure."""

import asyncio
import json
from typing import Any

import pytest

from podium_serving.exchange import Fallback
from traffic_fixtures import Talk


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def crash_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def crash_mid_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nPodium-Version: neural-net-1\r\n\r\n{")
    await writer.drain()
    writer.transport.abort()


async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xffSSH-2.0-nonsense\r\n\r\n" * 10)
    await writer.drain()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nPodium-Version: neural-net-1\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\nPodium-Version: neural-net-1\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


def answers(text: bytes, version: bytes = b"neural-net-1") -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nPodium-Version: %s\r\n\r\n"
        writer.write(head % (len(text), version) + text)
        await writer.drain()

    return talk


def output(**changes: Any) -> bytes:
    tensor = {"name": "score", "datatype": "FP32", "shape": [1, 1], "data": [30.0], **changes}
    return json.dumps({"model_name": "churn", "model_version": "neural-net-1", "outputs": [tensor]}).encode()


TROUBLE: list[Any] = [  # parameters of tests: what a challenger does, and what that is called
    pytest.param(hang, Fallback.TIMEOUT, id="hangs"),
    pytest.param(drip, Fallback.TIMEOUT, id="drips"),
    pytest.param(crash_at_once, Fallback.ERROR, id="crashes"),
    pytest.param(crash_mid_answer, Fallback.ERROR, id="crashes-mid-answer"),
    pytest.param(talk_nonsense, Fallback.ERROR, id="speaks-no-http"),
    pytest.param(pour, Fallback.BAD_ANSWER, id="never-ends"),
    pytest.param(answers(b"<html>"), Fallback.BAD_ANSWER, id="no-json"),
    pytest.param(answers(b"[" * 100_000), Fallback.BAD_ANSWER, id="nested-beyond-reason"),
    pytest.param(answers(b"\xff\xfe"), Fallback.BAD_ANSWER, id="no-utf8"),
    pytest.param(answers(b"{}"), Fallback.BAD_ANSWER, id="no-outputs"),
    pytest.param(answers(output(), b"neural-net-2"), Fallback.BAD_ANSWER, id="another-version"),
    pytest.param(answers(output(name="other")), Fallback.BAD_ANSWER, id="another-output"),
    pytest.param(answers(output(datatype="FP64")), Fallback.BAD_ANSWER, id="another-datatype"),
    pytest.param(answers(output(shape=[2, 1], data=[1.0, 2.0])), Fallback.BAD_ANSWER, id="too-many-rows"),
    pytest.param(answers(output(shape=[1, 2], data=[1.0, 2.0])), Fallback.BAD_ANSWER, id="too-wide"),
    pytest.param(answers(output(data=[])), Fallback.BAD_ANSWER, id="shape-without-numbers"),
    pytest.param(answers(output(data=["30"])), Fallback.BAD_ANSWER, id="a-string-for-a-number"),
    pytest.param(answers(output(data=[None])), Fallback.BAD_ANSWER, id="null-for-a-number"),
    pytest.param(answers(output(data=[1e300])), Fallback.BAD_ANSWER, id="beyond-the-datatype"),
    pytest.param(answers(output(shape=[])), Fallback.BAD_ANSWER, id="no-shape"),
    pytest.param(answers(output(shape=[-1, -1])), Fallback.BAD_ANSWER, id="negative-shape"),
]
