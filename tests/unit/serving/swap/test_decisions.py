"""What a pod does with each message in each situation, as a table; and that no sequence of messages breaks the promise."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from podium_crds.plan import Commit, Credential, Failure, Inquiry, Message, Plan, RegistryCredential
from podium_serving.swap.decisions import (
    Begin,
    CatchUp,
    Flip,
    Held,
    Keep,
    Need,
    Preparation,
    Refuse,
    caught_up,
    decide,
    failed,
    need,
    prepared,
    withdrawn,
)
from swap_fixtures import DEPLOYMENT, abort, plan, prepare, shadow

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64
FIVE = plan(5, digest=OLD)
SIX = plan(6, digest=NEW)
SIX_OTHERWISE = plan(6, digest=NEW, timeout_milliseconds=7)
SIX_OF_TERM_TWO = plan(6, digest=NEW, term=2)
SEVEN = plan(7, digest=NEW)
SIX_ROUTES = plan(6, digest=OLD, routes=[shadow()])

EMPTY = Held(pool="a")
SERVES_FIVE = Held(pool="a", term=1, committed=FIVE, serving=FIVE)
MAKES_SIX = replace(SERVES_FIVE, preparation=Preparation(SIX, 120.0))
HOLDS_SIX = replace(SERVES_FIVE, preparation=Preparation(SIX, 120.0, lapses_at=100.0))
BEHIND_SIX = replace(SERVES_FIVE, committed=SIX)
SERVES_SIX = replace(SERVES_FIVE, committed=SIX, serving=SIX)
VERSION_FAILED = Failure(fault="Version", reason="GoldenRowsFailed", message="row 3", plan_digest=SIX.digest)
POD_FAILED = Failure(fault="Pod", reason="FetchFailed", message="no answer", plan_digest=SIX.digest)


@pytest.mark.parametrize(
    ("held", "message", "action"),
    [
        pytest.param(EMPTY, prepare(FIVE), Begin, id="a first plan is prepared"),
        pytest.param(SERVES_FIVE, prepare(SIX), Begin, id="a higher plan is prepared"),
        pytest.param(SERVES_FIVE, prepare(FIVE), Keep, id="a committed plan is held already"),
        pytest.param(SERVES_FIVE, prepare(plan(4, digest=NEW)), Refuse, id="a lower epoch is refused"),
        pytest.param(SERVES_FIVE, prepare(plan(5, digest=NEW)), Refuse, id="another plan of the committed epoch is refused"),
        pytest.param(MAKES_SIX, prepare(SIX), Keep, id="the same plan again is not begun again"),
        pytest.param(HOLDS_SIX, prepare(SIX), Keep, id="a held plan is said to be prepared"),
        pytest.param(HOLDS_SIX, prepare(SIX_OTHERWISE), Refuse, id="a second plan of one epoch and term is refused"),
        pytest.param(HOLDS_SIX, prepare(SIX_OF_TERM_TWO), Begin, id="a newer leader's plan of that epoch supersedes"),
        pytest.param(MAKES_SIX, prepare(SEVEN), Begin, id="a newer plan supersedes one that is being made"),
        pytest.param(replace(SERVES_FIVE, term=2), prepare(SIX), Refuse, id="an old leader's plan is refused"),
        pytest.param(replace(SERVES_FIVE, aborted=SIX.digest), prepare(SIX), Refuse, id="an aborted plan stays aborted"),
        pytest.param(replace(SERVES_FIVE, aborted=SIX.digest), prepare(SIX_OTHERWISE), Begin, id="another plan may follow"),
        pytest.param(replace(SERVES_FIVE, failure=VERSION_FAILED), prepare(SIX), Keep, id="a version's fault stays"),
        pytest.param(replace(SERVES_FIVE, failure=POD_FAILED), prepare(SIX), Begin, id="a pod's fault may pass"),
        pytest.param(HOLDS_SIX, Commit(plan=SIX), Flip, id="what is prepared flips"),
        pytest.param(MAKES_SIX, Commit(plan=SIX), CatchUp, id="a commit that overtakes the making waits for it"),
        pytest.param(SERVES_FIVE, Commit(plan=SIX), CatchUp, id="a commit without preparation is fetched"),
        pytest.param(EMPTY, Commit(plan=FIVE), CatchUp, id="a starting pod fetches"),
        pytest.param(SERVES_FIVE, Commit(plan=SIX_ROUTES), Flip, id="new routes of the same champion need no preparation"),
        pytest.param(HOLDS_SIX, Commit(plan=SIX_OTHERWISE), CatchUp, id="another plan than the prepared one is fetched"),
        pytest.param(SERVES_FIVE, Commit(plan=FIVE), Keep, id="a commit again is no second flip"),
        pytest.param(BEHIND_SIX, Commit(plan=SIX), Keep, id="a commit again does not restart the catching up"),
        pytest.param(BEHIND_SIX, Commit(plan=SEVEN), CatchUp, id="a higher commit replaces one that is being caught up"),
        pytest.param(SERVES_SIX, Commit(plan=FIVE), Refuse, id="a replayed commit is refused"),
        pytest.param(SERVES_SIX, Commit(plan=SIX_OTHERWISE), Refuse, id="another plan of the committed epoch is no commit"),
        pytest.param(SERVES_SIX, Commit(plan=SIX_OF_TERM_TWO), Refuse, id="nor one of a newer leader"),
        pytest.param(replace(HOLDS_SIX, term=9), Commit(plan=SIX), Flip, id="the record may be of an earlier term"),
        pytest.param(HOLDS_SIX, abort(SIX), Keep, id="an abort is carried out"),
        pytest.param(SERVES_SIX, abort(SIX), Refuse, id="what is committed cannot be aborted"),
        pytest.param(HOLDS_SIX, abort(SIX, term=0), Refuse, id="an old leader aborts nothing"),
        pytest.param(HOLDS_SIX, Inquiry(deployment=DEPLOYMENT, expires_at=0), Keep, id="a question changes nothing"),
        pytest.param(
            HOLDS_SIX,
            Credential(deployment=DEPLOYMENT, credential=RegistryCredential(), expires_at=0),
            Keep,
            id="a credential changes no plan",
        ),
    ],
)
def test_the_action_of_a_message(held: Held, message: Message, action: type[object]) -> None:
    taken, after = decide(held, message, now=50.0)
    assert isinstance(taken, action), taken
    if isinstance(taken, Refuse):
        assert after == held
        assert any(character.isdigit() for character in taken.why), "a refusal says which epoch or term"


@pytest.mark.parametrize(
    ("held", "message", "preparation"),
    [
        pytest.param(HOLDS_SIX, abort(SIX), None, id="aborted"),
        pytest.param(HOLDS_SIX, abort(SEVEN), HOLDS_SIX.preparation, id="an abort of another plan drops nothing"),
        pytest.param(HOLDS_SIX, Commit(plan=SIX), None, id="flipped"),
        pytest.param(HOLDS_SIX, Commit(plan=SEVEN), None, id="a lower preparation is superseded by a commit"),
        pytest.param(MAKES_SIX, Commit(plan=SIX), MAKES_SIX.preparation, id="what is made for the commit goes on"),
        pytest.param(
            replace(HOLDS_SIX, preparation=Preparation(SEVEN, 120.0, 100.0)),
            Commit(plan=SIX),
            Preparation(SEVEN, 120.0, 100.0),
            id="a higher preparation outlives a commit",
        ),
        pytest.param(
            replace(SERVES_FIVE, preparation=Preparation(SIX_ROUTES, 120.0)),
            Commit(plan=SIX_ROUTES),
            None,
            id="what is made for a commit that needs nothing ends",
        ),
        pytest.param(
            HOLDS_SIX, prepare(SIX, lapse_seconds=30.0), Preparation(SIX, 30.0, 80.0), id="a prepare again renews the lapse"
        ),
    ],
)
def test_what_becomes_of_the_preparation(held: Held, message: Message, preparation: Preparation | None) -> None:
    assert decide(held, message, now=50.0).held.preparation == preparation


def test_a_commit_of_an_earlier_leader_lets_no_earlier_leader_in() -> None:
    heard_of_term_three = replace(HOLDS_SIX, term=3)
    after = decide(heard_of_term_three, Commit(plan=SIX), now=50.0).held
    assert isinstance(decide(after, prepare(plan(7, term=2)), now=50.0).action, Refuse)


def test_a_lapsed_preparation_is_gone_before_the_message_is_looked_at() -> None:
    assert isinstance(decide(HOLDS_SIX, Commit(plan=SIX), now=100.0).action, CatchUp)
    assert isinstance(decide(HOLDS_SIX, prepare(SIX_OTHERWISE), now=100.0).action, Begin)
    assert isinstance(decide(HOLDS_SIX, Commit(plan=SIX), now=99.9).action, Flip)


def test_outcomes_of_what_is_no_longer_wanted_change_nothing() -> None:
    assert prepared(SERVES_FIVE, SIX.digest, now=1.0) == SERVES_FIVE
    assert failed(replace(SERVES_FIVE, preparation=Preparation(SEVEN, 1.0)), VERSION_FAILED).failure is None
    assert caught_up(replace(BEHIND_SIX, committed=SEVEN), SIX.digest).serving == FIVE


def test_a_failure_to_catch_up_is_said_and_forgotten_when_caught_up() -> None:
    behind = failed(BEHIND_SIX, POD_FAILED)
    assert behind.failure == POD_FAILED
    assert caught_up(behind, SIX.digest) == SERVES_SIX


@pytest.mark.parametrize(
    ("wanted", "serving", "needed"),
    [
        pytest.param(FIVE, None, Need.MODEL, id="nothing serves"),
        pytest.param(SIX, FIVE, Need.MODEL, id="another version"),
        pytest.param(SIX_ROUTES, FIVE, Need.NOTHING, id="the same version"),
        pytest.param(plan(6, digest=NEW, pool="b"), FIVE, Need.DESCRIPTOR, id="another version in another pool"),
        pytest.param(plan(6, digest=OLD, pool="b"), FIVE, Need.NOTHING, id="the same version moves to another pool"),
        pytest.param(plan(6, digest=OLD), plan(5, digest=OLD, pool="b"), Need.MODEL, id="it moves here"),
        pytest.param(plan(6, digest=OLD, pool="b"), None, Need.DESCRIPTOR, id="a starting pod of another pool"),
    ],
)
def test_what_a_plan_needs(wanted: Plan, serving: Plan | None, needed: Need) -> None:
    assert need(wanted, serving, "a") is needed


class PodMachine(RuleBasedStateMachine):
    """One pod that hears anything in any order: leaders of several terms, replays, peers, lapses, failures.

    The world outside has one commit per epoch (the record sees to that); everything else may happen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held = Held(pool="a")
        self.now = 0.0
        self.record: dict[int, Plan] = {}
        self.highest_epoch_served = 0
        self.sent: list[Message] = []

    epochs = st.integers(1, 6)
    plans = st.builds(
        plan, epochs, digest=st.sampled_from([OLD, NEW]), term=st.integers(1, 3), pool=st.sampled_from(["a", "a", "b"])
    )

    def hears(self, message: Message) -> None:
        self.sent.append(message)
        before = self.held
        action, self.held = decide(self.held, message, self.now)
        if isinstance(action, Refuse):
            assert self.held.committed == before.committed
            assert self.held.serving == before.serving
        if isinstance(action, Flip):
            assert isinstance(message, Commit), "only a commit flips"
            assert self.held.serving == message.plan
        if isinstance(action, Begin):
            assert self.held.preparation is not None
            assert not self.held.preparation.done
        if not isinstance(message, Commit):
            assert self.held.committed == before.committed
            assert self.held.serving == before.serving

    @rule(wanted=plans, lapse=st.floats(0.1, 5.0))
    def operator_prepares(self, wanted: Plan, lapse: float) -> None:
        self.hears(prepare(wanted, lapse_seconds=lapse))

    @rule(wanted=plans)
    def operator_or_peer_commits(self, wanted: Plan) -> None:
        self.hears(Commit(plan=self.record.setdefault(wanted.epoch, wanted)))

    @rule(wanted=plans, term=st.integers(0, 3))
    def operator_aborts(self, wanted: Plan, term: int) -> None:
        if self.record.get(wanted.epoch) != wanted:
            self.hears(abort(wanted, term=term))

    @rule(which=st.integers(0, 10_000))
    def network_replays(self, which: int) -> None:
        if self.sent:
            self.hears(self.sent[which % len(self.sent)])

    @rule(wanted=plans)
    def preparation_ends_well(self, wanted: Plan) -> None:
        making = self.held.preparation
        self.held = prepared(self.held, (making.plan if making and not making.done else wanted).digest, self.now)

    @rule(fault=st.sampled_from(["Version", "Pod"]))
    def preparation_ends_badly(self, fault: str) -> None:
        plan_of = self.held.preparation.plan if self.held.preparation else self.held.committed
        if plan_of is not None:
            failure = {"fault": fault, "reason": "Whatever", "message": "", "plan_digest": plan_of.digest}
            self.held = failed(self.held, Failure.model_validate(failure))

    @rule()
    def catching_up_ends(self) -> None:
        if self.held.behind and self.held.committed is not None:
            self.held = caught_up(self.held, self.held.committed.digest)

    @rule()
    def grace_for_late_answers_ends(self) -> None:
        if self.held.behind:
            self.held = withdrawn(self.held)

    @rule(seconds=st.floats(0.0, 3.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nothing_uncommitted_serves(self) -> None:
        if self.held.serving is not None:
            assert self.record.get(self.held.serving.epoch) == self.held.serving

    @invariant()
    def epochs_never_go_down(self) -> None:
        if self.held.serving is not None:
            assert self.held.serving.epoch >= self.highest_epoch_served
            self.highest_epoch_served = self.held.serving.epoch
            assert self.held.committed is not None
            assert self.held.committed.epoch >= self.held.serving.epoch

    @invariant()
    def a_preparation_is_of_a_plan_that_may_still_be_committed(self) -> None:
        preparation, committed = self.held.preparation, self.held.committed
        if preparation is not None and committed is not None and self.held.serving == committed:
            assert preparation.plan.epoch > committed.epoch


TestPodMachine = PodMachine.TestCase
TestPodMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
