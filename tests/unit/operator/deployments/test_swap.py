"""One step of a swap for each thing that may be found."""

from dataclasses import replace
from typing import Any

import pytest

from deployment_fixtures import failure, held, plan, pod, sealed
from podium_crds.plan import Plan
from podium_operator.deployments.steps import (
    AbortStray,
    Begin,
    Initialise,
    Prepare,
    Rebuild,
    Replace,
    SendCommit,
    Settled,
    Silence,
    Step,
    SwapSeen,
    TakeBack,
    Wait,
    WriteCommit,
)
from podium_operator.deployments.swap import asks_peers, next_epoch, next_step

OLD = plan("churn-3", term=1, epoch=4)
NEW = plan("churn-4", term=2, epoch=5)
WISH = plan("churn-4", term=0, epoch=1)
SECOND_POOL = plan("churn-4", term=2, epoch=5, pool="ghijkl")


def seen(**changed: Any) -> SwapSeen:
    facts: dict[str, Any] = {
        "term": 2,
        "committed": sealed(OLD),
        "pending": None,
        "highest_epoch": 4,
        "wished": WISH,
        "pods": (pod("a", committed=OLD), pod("b", committed=OLD)),
    }
    return SwapSeen(**{**facts, **changed})


def preparing(*pods: Any, **changed: Any) -> SwapSeen:
    return seen(pending=NEW, pods=pods, **changed)


A, B = pod("a", committed=OLD), pod("b", committed=OLD)
A_PREPARED, B_PREPARED = pod("a", committed=OLD, prepared=NEW), pod("b", committed=OLD, prepared=NEW)
SILENT = pod("b", silence=Silence.UNREACHABLE)
POD_FAULT = pod("b", committed=OLD, failure=failure(NEW, "Pod", "OutOfMemory"))


LATER = replace(SILENT, troubled_seconds=20.0)


def late(found: Any) -> Any:
    return replace(found, troubled_seconds=11.0)


CASES = [
    pytest.param(seen(wished=plan("churn-3")), Settled(), id="what is committed is what is wished"),
    pytest.param(seen(wished=None), Settled(), id="a refused wish changes nothing"),
    pytest.param(seen(), Begin(NEW), id="another wish is begun with the next epoch and this leader's term"),
    pytest.param(
        seen(highest_epoch=7), Begin(plan("churn-4", term=2, epoch=8)), id="an epoch that was burned is never used again"
    ),
    pytest.param(
        seen(pool_ready=False),
        Wait("PoolStarting", "pool abcdef is coming up for version 'churn-4'", seconds=1.0),
        id="a second pool comes up before anything is begun",
    ),
    pytest.param(
        seen(moving_seconds=29.0),
        Wait("PoolDraining", "clients still reach the earlier pool, which forwards to version 'churn-3'", seconds=1.0),
        id="a pool that clients have not left yet holds up the next version",
    ),
    pytest.param(seen(moving_seconds=30.0), Begin(NEW), id="a move that does not end holds up no rollback"),
    pytest.param(
        seen(pool_ready=False, unserved_seconds=10.0),
        Begin(NEW),
        id="nobody is served: no pool is waited for",
    ),
    pytest.param(preparing(A, B), Prepare(NEW, (A, B)), id="all pods prepare"),
    pytest.param(preparing(A_PREPARED, B), Prepare(NEW, (B,)), id="who has prepared is not asked again"),
    pytest.param(preparing(A_PREPARED, B_PREPARED), WriteCommit(NEW), id="all hold it: commit"),
    pytest.param(
        preparing(A_PREPARED, pod("b", committed=OLD, in_service=False)),
        Prepare(NEW, (pod("b", committed=OLD, in_service=False),)),
        id="an unready pod prepares too",
    ),
    pytest.param(
        preparing(A_PREPARED, pod("b", committed=OLD, in_service=False), pending_seconds=10.0),
        WriteCommit(NEW),
        id="an unready pod does not hold the others up for ever",
    ),
    pytest.param(
        preparing(A_PREPARED, pod("b", silence=Silence.NOT_STARTED, in_service=False)),
        WriteCommit(NEW),
        id="a pod that has not started vetoes nothing",
    ),
    pytest.param(
        preparing(A_PREPARED, pod("b", silence=Silence.UNREACHABLE, in_service=False)),
        WriteCommit(NEW),
        id="a silent pod out of the Service vetoes nothing",
    ),
    pytest.param(
        preparing(A_PREPARED, SILENT),
        Wait("PodUnreachable", "pod-b is in service and does not answer on its control port"),
        id="a silent pod in service is given time",
    ),
    pytest.param(
        preparing(A_PREPARED, late(SILENT)),
        Replace(late(SILENT), "PodUnreachable", "the pod did not answer on its control port for 11 s"),
        id="a pod that stays silent in service is replaced",
    ),
    pytest.param(
        preparing(A_PREPARED, replace(late(SILENT), terminating=True)),
        Wait("PodUnreachable", "pod-b is in service and does not answer on its control port"),
        id="a replaced pod is waited for until it is out of the Service",
    ),
    pytest.param(preparing(A_PREPARED, POD_FAULT), Prepare(NEW, (POD_FAULT,)), id="a pod's own fault is tried again first"),
    pytest.param(
        preparing(A_PREPARED, late(POD_FAULT)),
        Replace(late(POD_FAULT), "OutOfMemory", "row 2 differs"),
        id="a pod's own fault replaces that pod",
    ),
    pytest.param(
        preparing(pod("a", committed=OLD, failure=failure(NEW)), B_PREPARED),
        TakeBack(NEW, "GoldenRowsFailed", "row 2 differs", failure(NEW)),
        id="a version's fault on one pod aborts for all",
    ),
    pytest.param(
        preparing(A_PREPARED, B, wished=plan("churn-5", term=0)),
        TakeBack(NEW, "WishChanged", "the manifest asks for something else now"),
        id="a wish that changed is taken back",
    ),
    pytest.param(
        preparing(A_PREPARED, B_PREPARED, wished=None),
        TakeBack(NEW, "WishChanged", "the manifest asks for something else now"),
        id="a wish that is refused now is taken back",
    ),
    pytest.param(
        preparing(A_PREPARED, B_PREPARED, term=3),
        TakeBack(NEW, "LeaderChanged", "epoch 5 was begun by the leader of term 2"),
        id="what another leader began is taken back",
    ),
    pytest.param(
        seen(
            pending=SECOND_POOL, wished=plan("churn-4", pool="ghijkl"), pods=(pod("a", committed=OLD, prepared=SECOND_POOL),)
        ),
        Wait("NoPodReady", "no pod of the champion's pool answers yet", seconds=1.0),
        id="pods of the old pool alone are not enough",
    ),
    pytest.param(
        preparing(pod("a", silence=Silence.UNREACHABLE, in_service=False), unserved_seconds=10.0),
        WriteCommit(NEW),
        id="with nobody served for long, the way out is not blocked by broken pods",
    ),
    pytest.param(
        seen(wished=plan("churn-3"), pods=(A, pod("b"))),
        SendCommit(sealed(OLD), (pod("b"),)),
        id="a pod behind the record gets the commit",
    ),
    pytest.param(
        seen(wished=plan("churn-3"), pods=(A, pod("b", preparing=OLD))),
        Settled(),
        id="a pod that catches up was told",
    ),
    pytest.param(
        seen(wished=plan("churn-3"), pods=(A_PREPARED, B)),
        AbortStray(((A_PREPARED, held(NEW)),)),
        id="a preparation that no record names is aborted",
    ),
    pytest.param(
        seen(wished=plan("churn-3"), pods=(A, LATER)),
        Replace(LATER, "PodUnreachable", "the pod did not answer on its control port for 20 s"),
        id="a silent pod in service that was never seen on the committed plan is replaced",
    ),
    pytest.param(
        seen(wished=plan("churn-3"), pods=(A, replace(LATER, confirmed=True))),
        Settled(),
        id="a silent pod that is known to hold the committed plan stays",
    ),
    pytest.param(
        seen(wished=plan("churn-3"), pods=(late(SILENT),)),
        Settled(),
        id="the only pod in service is not replaced",
    ),
    pytest.param(
        seen(wished=plan("churn-3"), pods=(LATER, pod("c", committed=OLD, pool="ghijkl"))),
        Settled(),
        id="the only pod that clients reach is not replaced, however ready a pod of another pool is",
    ),
    pytest.param(
        seen(
            committed=sealed(plan("churn-3", pool="ghijkl")),
            wished=plan("churn-3", pool="ghijkl"),
            pods=(LATER, pod("c", committed=plan("churn-3", pool="ghijkl"), pool="ghijkl")),
        ),
        Settled(),
        id="nor while the Service still leads to the earlier pool",
    ),
    pytest.param(
        seen(wished=plan("churn-3"), pods=(A, replace(LATER, pool="ghijkl", public=False))),
        Replace(
            replace(LATER, pool="ghijkl", public=False),
            "PodUnreachable",
            "the pod did not answer on its control port for 20 s",
        ),
        id="a silent pod of a second pool is replaced",
    ),
    pytest.param(
        seen(committed=None, pods=()),
        Initialise(plan("churn-4", term=2, epoch=5)),
        id="nothing is there: above all known epochs",
    ),
    pytest.param(seen(committed=None, pods=(), wished=None), Settled(), id="nothing wished, nothing there"),
    pytest.param(seen(committed=None, peers=sealed(OLD)), Rebuild(sealed(OLD)), id="a lost record is rebuilt from the pods"),
    pytest.param(seen(peers=sealed(NEW)), Rebuild(sealed(NEW)), id="a record below the pods is rebuilt"),
    pytest.param(
        seen(committed=None, pods=(SILENT,)),
        Wait("RecordMissing", "the record is gone, and pod-b may hold the committed plan but is silent"),
        id="a silent pod may hold what the lost record said",
    ),
    pytest.param(
        seen(wished=plan("churn-3"), pods=(A, pod("b", committed=plan("churn-9", term=1, epoch=4)))),
        Begin(plan("churn-3", term=2, epoch=5)),
        id="two plans of one epoch are settled by a higher one",
    ),
]


@pytest.mark.parametrize(("found", "step"), CASES)
def test_next_step(found: SwapSeen, step: Step) -> None:
    assert next_step(found) == step


def test_the_last_pod_that_clients_reach_is_not_replaced_because_the_second_pool_is_prepared() -> None:
    """The Service still leads to the first pool: pods of the second one are ready and get no requests."""
    only = late(pod("b", committed=OLD, failure=failure(SECOND_POOL, "Pod", "FetchFailed")))
    second = pod("c", committed=OLD, prepared=SECOND_POOL, pool="ghijkl")
    step = next_step(seen(pending=SECOND_POOL, wished=SECOND_POOL, pods=(only, second)))
    assert isinstance(step, TakeBack)
    assert (step.reason, step.failure and step.failure.fault) == ("FetchFailed", "Pod")


def test_the_only_pod_in_service_is_not_replaced_while_the_prepared_one_is_not_in_service_yet() -> None:
    starting = pod("a", committed=OLD, prepared=NEW, in_service=False)
    assert not isinstance(next_step(preparing(starting, late(POD_FAULT))), Replace)


def test_no_pod_can_prepare_so_the_plan_is_taken_back_and_nobody_is_replaced() -> None:
    step = next_step(preparing(late(replace(POD_FAULT, uid="a", name="pod-a")), late(POD_FAULT)))
    assert isinstance(step, TakeBack)
    assert step.reason == "OutOfMemory"
    assert step.failure is not None
    assert step.failure.fault == "Pod"


def test_a_preparation_that_never_ends_is_taken_back() -> None:
    step = next_step(preparing(A_PREPARED, pod("b", committed=OLD, preparing=NEW), pending_seconds=600.0))
    assert isinstance(step, TakeBack)
    assert step.reason == "PrepareTimedOut"


@pytest.mark.parametrize(
    ("found", "epoch"),
    [
        pytest.param(seen(), 5, id="above the record"),
        pytest.param(seen(pending=plan(epoch=9)), 10, id="above what is pending"),
        pytest.param(seen(pods=(pod("a", prepared=plan(epoch=11)),)), 12, id="above what a pod has prepared"),
        pytest.param(seen(highest_epoch=20), 21, id="above what was ever used"),
    ],
)
def test_the_next_epoch_is_above_all_that_anybody_has_seen(found: SwapSeen, epoch: int) -> None:
    assert next_epoch(found) == epoch


@pytest.mark.parametrize(
    ("found", "asks"),
    [
        pytest.param(seen(), False, id="not in ordinary times"),
        pytest.param(seen(committed=None), True, id="when the record is gone"),
        pytest.param(seen(committed=None, pods=()), False, id="not when there is nobody to ask"),
        pytest.param(preparing(A_PREPARED, B), False, id="not for what is pending"),
        pytest.param(seen(pods=(pod("a", committed=NEW),)), True, id="when a pod is above the record"),
        pytest.param(seen(pods=(pod("a", committed=OLD, preparing=NEW),)), True, id="when a pod catches up"),
    ],
)
def test_peers_are_asked_only_when_the_record_does_not_explain_the_pods(found: SwapSeen, asks: bool) -> None:
    assert asks_peers(found) is asks


def test_a_wish_is_compared_without_term_and_epoch() -> None:
    same: Plan = plan("churn-3", term=9, epoch=99)
    assert next_step(seen(wished=same)) == Settled()
