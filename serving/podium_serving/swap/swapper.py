"""Hot swap inside one pod: a prepared version takes the place of the serving one while requests run.

The shell around `decisions`: it carries actions out and then lets go of whatever `Held` no longer names. The flip is one
assignment to `state.current`, in a function without await. Whatever fails before it leaves the old version serving.
Not here: who may send (control), where files come from (fetch), what a starting pod believes (startup).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from itertools import chain, repeat

from podium_crds.plan import (
    Commit,
    ControlStatus,
    Credential,
    Envelope,
    Message,
    PeerState,
    Plan,
    Prepare,
    RegistryCredential,
)
from podium_crds.plan import Flip as FlipRecord
from podium_serving.model_interface import Model
from podium_serving.served import Serving
from podium_serving.state import ServingState
from podium_serving.swap import decisions
from podium_serving.swap.assembly import Assembled, Assembling
from podium_serving.swap.decisions import Begin, CatchUp, Flip, Held, Keep, Refuse, decide
from podium_serving.swap.faults import failure_of
from podium_serving.swap.memory import resident_bytes
from podium_serving.swap.report import Identity, control_status
from podium_serving.swap.retirement import Retirement
from podium_serving.swap.surroundings import Limits, MessageLower, Surroundings
from podium_serving.swap.tasks import TaskSet

logger = logging.getLogger(__name__)


class Swapper:
    """The only writer of `ServingState.current`, `.behind` and `.retired`. All methods run in the loop's thread."""

    def __init__(
        self,
        identity: Identity,
        state: ServingState,
        assembler: Assembling,
        surroundings: Surroundings,
        limits: Limits,
    ) -> None:
        self._limits = limits
        self._identity = identity
        self._state = state
        self._assembler = assembler
        self._surroundings = surroundings
        self._held = Held(pool=identity.pool)
        self._commit: Envelope | None = None
        self._making: tuple[str, asyncio.Task[None]] | None = None
        self._prepared: Assembled | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._lapse_timer: asyncio.TimerHandle | None = None
        self._late_timer: asyncio.TimerHandle | None = None
        self._credential: RegistryCredential | None = None
        self._credential_came = asyncio.Event()
        self._flip: FlipRecord | None = None
        self._last_digest = ""
        self._retirement = Retirement(state, self._models_in_use)
        self._background = TaskSet("after a flip")

    async def handle(self, envelope: Envelope, message: Message) -> ControlStatus:
        """Acts on a message whose signature was checked; a Prepare is waited for, 5 s at most. Raises MessageLower."""
        self.act(envelope, message)
        if isinstance(message, Prepare) and self._making is not None and self._making[0] == message.plan.digest:
            await asyncio.wait({self._making[1]}, timeout=self._limits.prepare_answer_seconds)
        return self.status()

    def act(self, envelope: Envelope, message: Message) -> None:
        """Everything that a message does at once, in one turn of the loop. Raises MessageLower."""
        self._take_credential(message)
        action, self._held = decide(self._held, message, time.monotonic())
        match action, message:
            case Refuse(why), _:
                self._let_go()
                raise MessageLower(why)
            case Begin(), Prepare():
                self._stop_making()
                self._making = (message.plan.digest, asyncio.create_task(self._make(message)))
            case Flip(), Commit():
                self._commit = envelope
                self._flip_or_reach(message.plan, envelope)
            case CatchUp(), Commit():
                self._commit = envelope
                self._be_behind()
                self._start_catching_up(message.plan, envelope)
            case _:
                assert isinstance(action, Keep)
        self._let_go()

    @property
    def committed_epoch(self) -> int:
        """The highest epoch known to be committed; 0 when none is."""
        return self._held.committed.epoch if self._held.committed else 0

    @property
    def preparing_epoch(self) -> int:
        """The epoch that is prepared or being prepared here; 0 when none is."""
        return self._held.preparation.plan.epoch if self._held.preparation else 0

    def peer_state(self) -> PeerState:
        return PeerState(committed=self._commit, preparing_epoch=self.preparing_epoch or None)

    def status(self) -> ControlStatus:
        return control_status(self._identity, self._held, self._state, self._flip, resident_bytes())

    async def close(self) -> None:
        """Ends all tasks and drops what is held. The caller has drained before."""
        _cancel(self._lapse_timer)
        _cancel(self._late_timer)
        tasks = [task for task in (self._making and self._making[1], self._catching_up) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self._background.cancel(), return_exceptions=True)
        if self._prepared is not None:
            self._drop_prepared()
        if self._state.current is not None:
            retired, self._state.current = self._state.current, None
            self._retirement.retire(retired)
        await self._retirement.settled()

    def _take_credential(self, message: Message) -> None:
        if isinstance(message, Credential | Prepare) and message.credential is not None:
            self._credential = message.credential
            self._credential_came.set()

    async def _make(self, prepare: Prepare) -> None:
        """A preparation from beginning to end. Its outcome lies in `Held`; nobody awaits its result."""
        digest = prepare.plan.digest
        try:
            assembled = await self._assemble(prepare.plan, prepare.memory_limit_bytes)
        except Exception as error:
            failure = failure_of(error, digest)
            logger.warning("epoch %d cannot be prepared: %s: %s", prepare.plan.epoch, failure.reason, failure.message)
            self._held = decisions.failed(self._held, failure)
        else:
            # A superseded making was cancelled, so this is the one that `Held` names.
            self._prepared = assembled
            self._held = decisions.prepared(self._held, digest, time.monotonic())
        self._making = None
        self._let_go()

    async def _assemble(self, plan: Plan, memory_limit_bytes: int = 0) -> Assembled:
        # What was let go frees its memory first, if it soon can.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._retirement.settled(), timeout=1.0)
        return await self._assembler.assemble(plan, self._state.current, self._credential, memory_limit_bytes)

    def _take_prepared(self, plan: Plan) -> Assembled | None:
        if self._prepared is None or self._prepared.plan != plan:
            return None
        taken, self._prepared = self._prepared, None
        return taken

    def _flip_or_reach(self, plan: Plan, envelope: Envelope) -> None:
        """Where other processes answer, even new routes take a moment to reach them: nobody is behind for that."""
        if (prepared := self._take_prepared(plan)) is not None:
            self._flip_to(prepared, envelope)
        elif self._assembler.reuses_at_once and self._state.current is not None:
            self._flip_to(self._assembler.reuse(plan, self._state.current), envelope)
        else:
            self._start_catching_up(plan, envelope)

    def _be_behind(self) -> None:
        if self._state.current is not None:
            self._state.behind = True
            if self._late_timer is None:
                self._late_timer = asyncio.get_running_loop().call_later(self._limits.late_answer_seconds, self._withdraw)

    def _start_catching_up(self, plan: Plan, envelope: Envelope) -> None:
        self._stop_catching_up()
        self._catching_up = asyncio.create_task(self._catch_up(plan, envelope))

    def _stop_catching_up(self) -> None:
        if self._catching_up is not None and self._catching_up is not asyncio.current_task():
            self._catching_up.cancel()
        self._catching_up = None

    async def _catch_up(self, plan: Plan, envelope: Envelope) -> None:
        """Gets what a committed plan needs, as long as it takes, then flips. Ended by a higher commit."""
        for pause in chain(self._limits.retry_seconds, repeat(self._limits.retry_seconds[-1])):
            self._credential_came.clear()
            try:
                assembled = await self._for_commit(plan)
            except Exception as error:
                failure = failure_of(error, plan.digest)
                logger.warning("epoch %d is committed and not here: %s: %s", plan.epoch, failure.reason, failure.message)
                self._held = decisions.failed(self._held, failure)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._credential_came.wait(), timeout=pause)
            else:
                if self._held.committed != plan:
                    # A higher commit was found while this one asked for clearance, and has its own task.
                    self._retirement.drop(assembled.responder, assembled.model)
                    return
                self._held = decisions.caught_up(self._held, plan.digest)
                self._flip_to(assembled, envelope)
                self._let_go()
                return

    async def _for_commit(self, plan: Plan) -> Assembled:
        if self._making is not None and self._making[0] == plan.digest:
            await asyncio.wait({self._making[1]})
        assembled = self._take_prepared(plan) or await self._assemble(plan)
        if self._state.current is None:
            try:
                await self._surroundings.clearance(plan.epoch)
            except BaseException:
                self._retirement.drop(assembled.responder, assembled.model)
                raise
        return assembled

    def _flip_to(self, assembled: Assembled, commit: Envelope) -> None:
        """No await in here: no request may be admitted between reading the old and writing the new."""
        old = self._state.current
        serving = Serving(assembled.plan, commit, assembled.model, assembled.descriptor, assembled.responder)
        self._state.current = serving
        self._end_lateness()
        self._flip = FlipRecord(
            from_epoch=old.plan.epoch if old else None,
            to_epoch=serving.plan.epoch,
            flipped_at=time.time(),
            last_admitted_old=old.last_admitted if old else None,
        )
        self._stop_catching_up()
        _cancel(self._late_timer)
        self._late_timer = None
        if old is not None:
            self._retirement.retire(old)
        self._background.run(self._after_flip(commit, old))
        self._surroundings.flipped(serving)
        logger.info("epoch %d answers: %s", serving.plan.epoch, serving.plan.champion.version.name)

    async def _after_flip(self, commit: Envelope, old: Serving | None) -> None:
        await self._surroundings.hand_on(commit)
        if old is not None:
            self._last_digest = old.plan.champion.version.digest
        plans = [self._held.committed, self._held.preparation.plan if self._held.preparation else None]
        keep = {plan.champion.version.digest for plan in plans if plan} | ({self._last_digest} - {""})
        await self._assembler.packages.prune(keep)

    def _withdraw(self) -> None:
        """The grace for late answers is over."""
        self._late_timer = None
        if self._state.behind and self._state.current is not None:
            retired, self._state.current = self._state.current, None
            self._end_lateness()
            self._held = decisions.withdrawn(self._held)
            self._retirement.retire(retired)
            logger.error("epoch %d is superseded and its successor is not here: nothing answers", retired.plan.epoch)

    def _end_lateness(self) -> None:
        self._state.behind = False
        if self._state.late_admissions:
            logger.warning("%d requests were answered late", self._state.late_admissions)
            self._surroundings.late(self._state.late_admissions)
            self._state.late_admissions = 0

    def _let_go(self) -> None:
        """Drops what `Held` no longer names, and sees to it that a preparation lapses in time."""
        now = time.monotonic()
        self._held = decisions.lapsed(self._held, now)
        preparation = self._held.preparation
        if self._making is not None and (preparation is None or self._making[0] != preparation.plan.digest):
            self._stop_making()
        if self._prepared is not None and (preparation is None or self._prepared.plan != preparation.plan):
            self._drop_prepared()
        _cancel(self._lapse_timer)
        if preparation is not None and preparation.lapses_at is not None:
            loop = asyncio.get_running_loop()
            self._lapse_timer = loop.call_later(max(0.01, preparation.lapses_at - now), self._let_go)

    def _stop_making(self) -> None:
        if self._making is not None and self._making[1] is not asyncio.current_task():
            self._making[1].cancel()
        self._making = None

    def _drop_prepared(self) -> None:
        assert self._prepared is not None
        dropped, self._prepared = self._prepared, None
        self._retirement.drop(dropped.responder, dropped.model)

    def _models_in_use(self) -> Iterator[Model | None]:
        for holder in (self._state.current, self._prepared, *self._state.retired):
            if holder is not None:
                yield holder.model


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
