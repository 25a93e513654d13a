"""Asks the monitor for the evidence of each deployment, every minute, apart from all reconciles.

A monitor that is slow or gone delays nobody: a reconcile takes what was answered last. Requests are spread over the
interval, few run at once, and none may take long or bring much. What a silence means is for `evidence` to say.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import aiohttp
from pydantic import ValidationError

from podium_crds.evidence import DeploymentEvidence
from podium_operator.deployments.bounded import bounded_body
from podium_operator.deployments.evidence import UNREACHABLE_SECONDS, Monitored, outline, said
from podium_operator.kinds import Key
from podium_operator.runtime.metrics import Metrics

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 5.0
_AT_ONCE = 8
_LOOK_SECONDS = 1.0
_FIGURES_INTERVALS = 5
"""Figures that alone have changed are taken each fifth time: status is not written with every label."""
_MOST_BYTES = 8 * 2**20
"""Ten challengers with 300 looks each are a tenth of it."""


class _NoAnswer(Exception):
    """The monitor said nothing that could be read. The text says what happened."""


@dataclass
class _Asked:
    """One deployment. Times are monotonic seconds."""

    uid: str
    next_at: float
    heard_at: float
    """Of the last answer, or since it is asked for."""
    monitored: Monitored
    taken_at: float


class MonitorReader:
    """`run` in the leader; `wanted`, `forget` and `monitored` any time, from the same loop."""

    def __init__(
        self, url: str, token: str, metrics: Metrics, clock: Callable[[], float], interval_seconds: float = 60.0
    ) -> None:
        """`url` is the monitor's base address; empty: there is none, and nothing is asked."""
        self._url = url.rstrip("/")
        self._token = token
        self._metrics = metrics
        self._clock = clock
        self._interval = interval_seconds
        self._asked: dict[Key, _Asked] = {}

    def monitored(self, key: Key, uid: str, *, captured: bool) -> Monitored | None:
        """What is known now, and from now on it is asked for. None: there is no monitor, or nothing is captured."""
        if not self._url or not captured:
            self.forget(key)
            return None
        found = self._asked.get(key)
        if found is None or found.uid != uid:
            now = self._clock()
            # By name: all deployments of a starting operator at once would be one burst a minute for ever.
            delay = self._interval * _fraction(key)
            found = self._asked[key] = _Asked(uid, now + delay, now, Monitored(), now)
        return found.monitored

    def forget(self, key: Key) -> None:
        self._asked.pop(key, None)

    async def run(self, notice: Callable[[Key], None]) -> NoReturn:
        """Until cancelled. `notice` is called for each deployment of which status would say something new."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                await self.round(session, notice)
                await asyncio.sleep(min(_LOOK_SECONDS, self._interval))

    async def round(self, session: aiohttp.ClientSession, notice: Callable[[Key], None]) -> None:
        """Asks for all that are due."""
        now = self._clock()
        due = [(key, asked) for key, asked in self._asked.items() if asked.next_at <= now]
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(key: Key, asked: _Asked) -> None:
            async with limit:
                changed = await self._ask(session, key, asked)
            if changed and self._asked.get(key) is asked:
                notice(key)

        await asyncio.gather(*(one(key, asked) for key, asked in due))

    async def _ask(self, session: aiohttp.ClientSession, key: Key, asked: _Asked) -> bool:
        """Whether what is known says something new."""
        try:
            evidence = await self._evidence(session, key)
        except _NoAnswer as error:
            log.debug("no evidence of %s: %s", key, error)
            self._metrics.monitor_requests.labels("Failed").inc()
            found = self._silent(asked, str(error))
        else:
            own = evidence if evidence is not None and evidence.uid == asked.uid else None
            self._metrics.monitor_requests.labels("Answered" if own else "Unknown").inc()
            asked.heard_at = self._clock()
            found = Monitored(own, nothing_known=own is None)
        asked.next_at = self._clock() + self._interval
        return self._take(asked, found)

    def _take(self, asked: _Asked, found: Monitored) -> bool:
        now, before = self._clock(), asked.monitored
        figures_are_due = now - asked.taken_at >= _FIGURES_INTERVALS * self._interval
        if outline(found) == outline(before) and not (figures_are_due and said(found) != said(before)):
            return False
        asked.monitored, asked.taken_at = found, now
        return True

    def _silent(self, asked: _Asked, why: str) -> Monitored:
        if self._clock() - asked.heard_at <= UNREACHABLE_SECONDS:
            return asked.monitored
        message = f"the monitor at {self._url} has not answered for more than ten minutes: {why}"
        return Monitored(asked.monitored.evidence, unreachable=message)

    async def _evidence(self, session: aiohttp.ClientSession, key: Key) -> DeploymentEvidence | None:
        """None: the monitor does not know the deployment. Raises _NoAnswer."""
        url = f"{self._url}/v1/namespaces/{key.namespace}/deployments/{key.name}/evidence"
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            async with session.get(url, headers=headers, allow_redirects=False) as response:
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise _NoAnswer(f"it answers {response.status}")
                return DeploymentEvidence.model_validate_json(await bounded_body(response, _MOST_BYTES))
        except TimeoutError as error:
            raise _NoAnswer(f"nothing came within {_ANSWER_SECONDS:.0f} s") from error
        except ValidationError as error:
            raise _NoAnswer(f"what it answers cannot be read: {error.errors()[0]['msg']}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _NoAnswer(str(error) or type(error).__name__) from error


def _fraction(key: Key) -> float:
    """From 0 to below 1, the same for the same deployment."""
    return zlib.crc32(f"{key.namespace}/{key.name}".encode()) / 2**32
