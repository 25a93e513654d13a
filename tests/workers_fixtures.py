"""For tests of a pod with several workers: clients that watch the order of epochs over all connections, and its answers.

Its answers are asked for until they say what a test waits for: they come after some seconds whether all workers were heard
or not.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from podium_crds.plan import Commit, Plan
from serving_lane_fixtures import infer_body
from serving_process_fixtures import Process
from swap_fixtures import eventually, prepare


@dataclass
class Watch:
    """Clients that keep their connections, and some that open a new one each time."""

    url: str
    newest: int = 0
    """The highest epoch in any answer that was received."""
    answers: Counter[int] = field(default_factory=Counter)
    """By epoch."""
    failed: list[str] = field(default_factory=list)
    backwards: list[str] = field(default_factory=list)
    """Answers of a lower epoch than had been received when their request was sent."""
    wrong: list[str] = field(default_factory=list)
    """Answers whose content is not their epoch's."""
    stopped: bool = False
    worth: dict[int, float] = field(default_factory=dict)
    """The right answer by epoch."""
    pause_seconds: float = 0.0
    """Between two requests of a client."""

    @property
    def count(self) -> int:
        return self.answers.total()

    async def client(self, *, keep: bool) -> None:
        while not self.stopped:
            async with aiohttp.ClientSession() as session:
                for _ in range(1_000_000 if keep else 1):
                    if self.stopped or not await self.ask(session):
                        break

    async def ask(self, session: aiohttp.ClientSession) -> bool:
        """Whether the connection is good."""
        floor = self.newest
        try:
            async with session.post(self.url, data=infer_body(1, 2)) as response:
                body = await response.json()
                if response.status != 200:
                    self.failed.append(f"{response.status} {body}")
                    return True
        except (aiohttp.ClientError, OSError) as error:
            self.failed.append(repr(error))
            return False
        epoch = int(response.headers["Podium-Epoch"])
        self.answers[epoch] += 1
        if epoch < floor:
            self.backwards.append(f"sent after an answer of epoch {floor}, answered by {epoch}")
        if body["outputs"][0]["data"][0] != self.worth.get(epoch, body["outputs"][0]["data"][0]):
            self.wrong.append(f"epoch {epoch}: {body}")
        self.newest = max(self.newest, epoch)
        await asyncio.sleep(self.pause_seconds)
        return True

    @contextlib.asynccontextmanager
    async def running(self, keeping: int = 12, coming: int = 3) -> AsyncIterator["Watch"]:
        async with asyncio.TaskGroup() as group:
            for number in range(keeping + coming):
                group.create_task(self.client(keep=number < keeping))
            try:
                yield self
            finally:
                self.stopped = True


def children_of(pid: int) -> list[int]:
    """The workers of a supervisor."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return sorted(int(number) for number in text.split())


async def prepared(pod: Process, to: Plan) -> bool:
    """Sends it once more: one answer comes after 5 s at the latest, done or not."""
    status = await pod.send(prepare(to))
    assert status.failure is None, status.failure
    return status.prepared is not None


async def committed(pod: Process, to: Plan) -> bool:
    """Sends it once more. What is prepared is so at once; new routes are when all workers have them."""
    status = await pod.send(Commit(plan=to))
    return status.committed is not None and status.committed.epoch == to.epoch


@dataclass
class Flip:
    last_admitted_old: float
    first_admitted_new: float


async def flip_seen_by_all(pod: Process, to: Plan) -> Flip:
    """A worker that is not heard within a second tells with the next answer."""
    seen: list[Flip] = []

    async def is_told() -> bool:
        flip = (await pod.send(Commit(plan=to))).flip
        assert flip is not None
        if flip.last_admitted_old is not None and flip.first_admitted_new is not None:
            seen.append(Flip(flip.last_admitted_old, flip.first_admitted_new))
        return bool(seen)

    await eventually(is_told)
    return seen[0]


async def is_idle(pod: Process, last: Plan) -> bool:
    return (await pod.send(Commit(plan=last))).open_requests == {last.epoch: 0}


async def loaded_versions(pod: Process, count: int) -> bool:
    async with pod.session.get(pod.url("/metrics", 1)) as response:
        return (await response.text()).count("podium_model_loaded{") == count


async def members(pod: Process, count: int) -> bool:
    async with pod.session.get(pod.url("/metrics", 1)) as response:
        text = await response.text()
    return f'podium_workers{{deployment="churn",namespace="retention"}} {count}.0' in text


async def counted(pod: Process, requests: int, port: int) -> bool:
    """Of a worker that is not heard within a second, what it said before counts."""
    async with pod.session.get(pod.url("/metrics", port)) as response:
        return metric(await response.text(), "podium_requests_total{", 'code="200"') == requests


def metric(text: str, *parts: str) -> float:
    (line,) = (line for line in text.splitlines() if line.startswith(parts[0]) and all(part in line for part in parts))
    return float(line.rpartition(" ")[2])


async def answered_late(pod: Process, requests: int, workers: int) -> bool:
    """A worker looks at the plan first, and then whether it is behind: of each, one request may fall between the two."""
    async with pod.session.get(pod.url("/metrics", 1)) as response:
        return requests - workers <= metric(await response.text(), "podium_late_requests_total{") <= requests
