"""For tests of a pod with several workers: clients that watch the order of epochs over all connections."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from serving_lane_fixtures import infer_body


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
