"""What a pod learns without being told: at its start, and slowly ever after.

It asks its peers and reads the mounted record; a higher signed commit is handed to the swapper. A pod that has not answered
anything yet begins only after `clearance`: with the highest epoch that anybody committed, and not while a peer holds a newer
preparation, for that one may be committed at this moment without this pod's knowledge.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from pydantic import ValidationError

from podium_crds.names import RECORD_KEY
from podium_crds.plan import Commit, Envelope, MessageRefused
from podium_serving.fetch.peers import PeerAnswers, Peers, PeersUnknown
from podium_serving.swap.surroundings import MessageLower
from podium_serving.swap.swapper import Swapper

logger = logging.getLogger(__name__)

SILENT_PEERS_SECONDS = 5.0
"""How long a start waits for peers that do not answer: one of them may hold a higher epoch than the record shows."""
NEWER_PREPARATION_SECONDS = 300.0
"""How long a start waits for the outcome of a peer's preparation. Preparations lapse before; beyond it an outage is worse
than a late answer, and the next round of asking corrects it."""
STEADY_SECONDS = 10.0
STARTING_SECONDS = (0.2, 0.4, 0.8, 1.5)
PEERS_PER_ROUND = 8
"""Peers asked in a steady round. A starting pod asks all."""
_MAX_RECORD_BYTES = 1024 * 1024

OpenCommit = Callable[[Envelope], Commit]
"""The commit inside an envelope, if it is signed and for this pod. Raises MessageRefused."""


@dataclass(frozen=True, slots=True)
class Clear:
    """The pod may begin to answer."""


@dataclass(frozen=True, slots=True)
class Wait:
    why: str


def may_begin(epoch: int, own_preparing: int, answers: PeerAnswers | None, waited_seconds: float) -> Clear | Wait:
    """Whether a pod that answered nothing yet may begin with the committed `epoch`.

    `answers` is None when nobody could say who the peers are. A pod that takes part in the newer preparation itself need not
    wait: the operator knows of it, and the commit is sent to it as to all others.
    """
    if (answers is None or answers.silent) and waited_seconds < SILENT_PEERS_SECONDS:
        return Wait("peers do not answer")
    preparing = max((state.preparing_epoch or 0 for state in answers.states), default=0) if answers else 0
    if preparing > max(epoch, own_preparing) and waited_seconds < NEWER_PREPARATION_SECONDS:
        return Wait(f"a peer prepares epoch {preparing}")
    return Clear()


class Learner:
    """Asks and reads in turns. Hands every higher commit to the swapper, which decides."""

    def __init__(self, peers: Peers | None, record_dir: Path, open_commit: OpenCommit) -> None:
        self._peers = peers
        self._record = record_dir / RECORD_KEY
        self._open_commit = open_commit
        self._swapper: Swapper | None = None

    async def run(self, swapper: Swapper, ready: Callable[[], bool]) -> None:
        """Until cancelled."""
        self._swapper = swapper
        turn = 0
        while True:
            starting = not ready()
            try:
                await self.learn(all_peers=starting)
            except Exception:
                # A pod that stopped learning would serve for ever what others left: the next round is the remedy.
                logger.exception("a round of asking peers failed")
            pause = STARTING_SECONDS[min(turn, len(STARTING_SECONDS) - 1)] if starting else STEADY_SECONDS
            turn = turn + 1 if starting else 0
            # Jitter: the pods of a deployment start together and must not ask together for ever.
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311

    async def learn(self, *, all_peers: bool) -> PeerAnswers | None:
        """One round. The peers' answers, None when it is unknown who they are."""
        answers = await self._ask(all_peers=all_peers)
        record = await asyncio.to_thread(read_record, self._record)
        envelopes = [state.committed for state in answers.states if state.committed is not None] if answers else []
        self._take(([record] if record is not None else []) + envelopes)
        return answers

    async def clearance(self, epoch: int) -> None:
        """Returns when the pod may begin to answer with `epoch`, or when the swapper has a higher one."""
        began = time.monotonic()
        assert self._swapper is not None
        for turn in count():
            answers = await self.learn(all_peers=True)
            if self._swapper.committed_epoch > epoch:
                return
            own = self._swapper.preparing_epoch
            verdict = may_begin(epoch, own, answers, time.monotonic() - began)
            if isinstance(verdict, Clear):
                return
            if turn % len(STARTING_SECONDS) == 0:
                logger.info("epoch %d waits to begin: %s", epoch, verdict.why)
            await asyncio.sleep(STARTING_SECONDS[min(turn, len(STARTING_SECONDS) - 1)])

    async def _ask(self, *, all_peers: bool) -> PeerAnswers | None:
        if self._peers is None:
            return PeerAnswers()
        try:
            addresses = await self._peers.addresses()
        except PeersUnknown as error:
            logger.warning("peers are not asked: %s", error)
            return None
        return await self._peers.ask(addresses if all_peers else addresses[:PEERS_PER_ROUND])

    def _take(self, envelopes: Sequence[Envelope]) -> None:
        assert self._swapper is not None
        newest: tuple[Envelope, Commit] | None = None
        for envelope in envelopes:
            try:
                commit = self._open_commit(envelope)
            except MessageRefused as error:
                logger.warning("a commit is not believed: %s", error)
                continue
            if newest is None or commit.plan.order > newest[1].plan.order:
                newest = (envelope, commit)
        if newest is not None and newest[1].plan.epoch > self._swapper.committed_epoch:
            try:
                self._swapper.act(*newest)
            except MessageLower as error:
                logger.warning("a commit that was found is refused: %s", error)


def read_record(path: Path) -> Envelope | None:
    """The mounted record. The kubelet may bring it late, and changes it by swapping a link: a reader sees old or new."""
    try:
        with path.open("rb") as stream:
            return Envelope.model_validate_json(stream.read(_MAX_RECORD_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        logger.warning("the record %s is not read: %s", path, type(error).__name__)
        return None
