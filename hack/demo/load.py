"""A steady load of inference requests, and what came back: the demo and the tests judge promises by it.

Open loop: requests leave at a fixed rate whether or not earlier ones were answered, so a stall shows as late answers and
not as fewer requests. Connections are pooled and kept alive as stock clients do. Bounded in rate, count and time.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from types import TracebackType
from typing import Self

import aiohttp

MAX_REQUESTS = 2_000_000


@dataclass(slots=True, frozen=True)
class Question:
    """One request body with the headers that go with it."""

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Outcome:
    """One request. Times are Unix seconds; `status` 0 means that no complete answer came."""

    sent_at: float
    done_at: float
    status: int
    version: str = ""
    epoch: int = 0
    arm: str = ""
    fallback: str = ""
    key: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def milliseconds(self) -> float:
        return (self.done_at - self.sent_at) * 1000


@dataclass
class Load:
    """`async with Load(url, questions, rate=50) as load: ...` sends until the block ends."""

    url: str | Callable[[], str]
    """Where to; a function is asked anew for each request (no address yet: it may raise LookupError)."""
    questions: Sequence[Question]
    rate: float = 50.0
    """Requests per second."""
    connections: int = 16
    key_header: str = ""
    """The header that is noted as the sticky key of each outcome."""
    timeout_seconds: float = 10.0
    once: bool = False
    """Each question once; else over and over."""
    outcomes: list[Outcome] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _sender: asyncio.Task[None] | None = None
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.connections, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=self.timeout_seconds),
        )
        self._sender = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._sender is not None
        assert self._session is not None
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def sent(self) -> None:
        """Returns when each question was sent; never, unless `once`."""
        assert self._sender is not None
        await asyncio.shield(self._sender)

    async def _send_all(self) -> None:
        start = time.monotonic()
        questions = self.questions if self.once else _forever(self.questions)
        for number, question in zip(range(MAX_REQUESTS), questions, strict=False):
            wait = start + number / self.rate - time.monotonic()
            await asyncio.sleep(max(wait, 0))
            task = asyncio.create_task(self._send(question))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, question: Question) -> None:
        assert self._session is not None
        headers = dict(question.headers)
        outcome = Outcome(sent_at=time.time(), done_at=0.0, status=0, key=headers.get(self.key_header, ""))
        headers["Content-Type"] = "application/json"
        try:
            url = self.url if isinstance(self.url, str) else self.url()
            async with self._session.post(url, data=question.body, headers=headers) as response:
                text = await response.read()
                outcome.status = response.status
                outcome.version = response.headers.get("Podium-Version", "")
                outcome.epoch = int(response.headers.get("Podium-Epoch", "0"))
                outcome.arm = response.headers.get("Podium-Arm", "")
                outcome.fallback = response.headers.get("Podium-Fallback", "")
                if response.status != 200:
                    outcome.error = text[:300].decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError, LookupError) as error:
            outcome.error = repr(error)
        outcome.done_at = time.time()
        self.outcomes.append(outcome)


@dataclass(slots=True, frozen=True)
class LoadFigures:
    """What a person wants to know of a load."""

    sent: int
    failed: int
    p50_milliseconds: float
    p99_milliseconds: float
    versions: dict[str, int]
    arms: dict[str, int]
    fallbacks: dict[str, int]
    first_errors: tuple[str, ...]


def figures(outcomes: Iterable[Outcome]) -> LoadFigures:
    seen = list(outcomes)
    times = sorted(outcome.milliseconds for outcome in seen if outcome.ok)
    return LoadFigures(
        sent=len(seen),
        failed=sum(not outcome.ok for outcome in seen),
        p50_milliseconds=quantile(times, 0.5),
        p99_milliseconds=quantile(times, 0.99),
        versions=_counts(outcome.version for outcome in seen if outcome.ok),
        arms=_counts(outcome.arm for outcome in seen if outcome.ok),
        fallbacks=_counts(outcome.fallback for outcome in seen if outcome.fallback),
        first_errors=tuple(f"{outcome.status} {outcome.error}" for outcome in seen if not outcome.ok)[:5],
    )


def between(outcomes: Iterable[Outcome], start: float, end: float) -> list[Outcome]:
    """Those sent in [start, end), Unix seconds."""
    return [outcome for outcome in outcomes if start <= outcome.sent_at < end]


def quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank quantile of sorted values; 0 where there are none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def inconsistent_keys(outcomes: Iterable[Outcome]) -> list[str]:
    """Sticky keys that were answered by more than one arm without a fallback."""
    arms: dict[str, set[str]] = {}
    for outcome in outcomes:
        if outcome.ok and not outcome.fallback and outcome.key:
            arms.setdefault(outcome.key, set()).add(outcome.arm)
    return sorted(key for key, seen in arms.items() if len(seen) > 1)


def _counts(values: Iterable[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for value in values:
        counted[value] = counted.get(value, 0) + 1
    return dict(sorted(counted.items()))


def _forever(questions: Sequence[Question]) -> Iterator[Question]:
    if not questions:
        raise ValueError("a load needs at least one question")
    return cycle(questions)


class BackgroundLoad:
    """A Load in a thread of its own, for callers that block: `with BackgroundLoad(load) as outcomes: ...`."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> list[Outcome]:
        self._thread.start()
        return self._load.outcomes

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(self._load.timeout_seconds + 30)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        async def run() -> None:
            async with self._load:
                await self._stop.wait()

        try:
            self._loop.run_until_complete(run())
        except Exception as failure:
            self._failure = failure
        finally:
            self._loop.close()
