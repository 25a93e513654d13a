"""Runs beside the batches: they wait for nobody, fail in words, and hold nothing once the version is put away."""

import asyncio
import threading

import numpy as np
import pytest

from podium_serving.exchange import Columns, NotServing, ServingError
from podium_serving.model.aside import Aside


def column(*values: float) -> Columns:
    return {"x": np.array([[value] for value in values], np.float32)}


async def test_a_run_happens_in_a_thread_of_its_own() -> None:
    threads: list[str] = []

    def run(columns: Columns) -> Columns:
        threads.append(threading.current_thread().name)
        return {"y": columns["x"] * 2}

    aside = Aside(run)
    assert (await aside.run(column(1, 2)))["y"].tolist() == [[2], [4]]
    assert threads[0].startswith("aside")
    await aside.close()


async def test_what_the_runtime_raises_is_told_as_the_models_failure() -> None:
    def run(columns: Columns) -> Columns:
        raise ValueError("no such category")

    aside = Aside(run)
    with pytest.raises(ServingError, match="the model failed: no such category"):
        await aside.run(column(1))
    await aside.close()


async def test_closing_waits_for_the_run_that_is_under_way_and_takes_no_other() -> None:
    entered, held = threading.Event(), threading.Event()

    def run(columns: Columns) -> Columns:
        entered.set()
        held.wait(60)
        return columns

    aside = Aside(run)
    running = asyncio.create_task(aside.run(column(1)))
    await asyncio.to_thread(entered.wait, 60)
    closing = asyncio.create_task(aside.close())
    done, _ = await asyncio.wait([closing], timeout=0.05)
    assert not done
    with pytest.raises(NotServing):
        await aside.run(column(2))
    held.set()
    assert (await running)["x"].tolist() == [[1]]
    await closing
