"""Which pools stand, where the public Service leads, and when a pool may go."""

from typing import Any

import pytest

from deployment_fixtures import (
    IMAGE,
    OWNER,
    challenger,
    control_status,
    digest,
    listed,
    observed,
    owned,
    plan,
    pool_live,
    public_service_of,
    route,
    spec,
)
from podium_crds.plan import Plan
from podium_operator.deployments.children import (
    Installation,
    foreign_children,
    kept_pools,
    pool_wishes,
    public_child,
    removable_pools,
    replicas_to_hold,
    shared_children,
    unwanted_children,
)
from podium_operator.deployments.observed import Observed
from podium_operator.deployments.steps import Silence
from podium_operator.deployments.wish import ChallengerWish, Wish
from podium_operator.manifests.identity import challenger_pool
from podium_operator.manifests.pods import Surroundings
from podium_operator.manifests.services import public_service

OLD = plan("churn-3", epoch=4)
NEW = plan("churn-4", epoch=5, pool="ghijkl")
POOL_5 = challenger_pool("neural-net", IMAGE, digest("churn-5"))
BOTH_POOLS = {"abcdef": pool_live(), "ghijkl": pool_live("ghijkl")}


def wish(found: Plan | None = OLD, *challengers: ChallengerWish) -> Wish:
    return Wish(found, None, challengers)


def pools(seen: Observed, wished: Wish) -> dict[str, int]:
    return {pool: found.replicas for pool, found in pool_wishes(seen, wished).items()}


def test_no_pool_is_made_before_the_record_stands() -> None:
    assert pools(observed(None), wish()) == {}


def test_the_second_pool_comes_up_beside_the_first() -> None:
    seen = observed(OLD, spec=spec(serving={"replicas": 2}))
    assert pools(seen, wish(NEW)) == {"abcdef": 2, "ghijkl": 2}


def test_an_autoscaled_second_pool_starts_as_large_as_the_first_has_become() -> None:
    scaling = spec(serving={"autoscaling": {"minReplicas": 2, "maxReplicas": 9}})
    seen = observed(OLD, spec=scaling, pools={"abcdef": pool_live(replicas=7)})
    assert pools(seen, wish(NEW)) == {"abcdef": 7, "ghijkl": 7}
    assert all(found.autoscaled for found in pool_wishes(seen, wish(NEW)).values())


@pytest.mark.parametrize(
    ("pool", "count", "ours", "held"),
    [
        pytest.param("ghijkl", 1, False, 7, id="its maker died before the count was held"),
        pytest.param("ghijkl", 5, False, 7, id="the serving pool has grown meanwhile"),
        pytest.param("ghijkl", 7, False, None, id="it is as large as the serving one: nothing is written"),
        pytest.param("ghijkl", 8, False, None, id="the serving pool has shrunk meanwhile"),
        pytest.param("abcdef", 1, False, None, id="the serving pool is the autoscaler's"),
        pytest.param("abcdef", 3, True, 3, id="autoscaling begins: what stands is handed over"),
    ],
)
def test_the_count_of_an_autoscaled_pool(pool: str, count: int, ours: bool, held: int | None) -> None:
    scaling = spec(serving={"autoscaling": {"minReplicas": 2, "maxReplicas": 9}})
    seen = observed(OLD, spec=scaling, pools={"abcdef": pool_live(replicas=7)})
    found = pool_wishes(seen, wish(NEW))[pool]
    assert replicas_to_hold(seen, found, {"spec": {"replicas": count}}, ours=ours) == held


def test_a_challengers_pool_has_its_own_template_and_count() -> None:
    wanted = challenger("neural-net", "churn-5", replicas=3, template={"nodeSelector": {"gpu": "yes"}})
    seen = observed(OLD, spec=spec(challengers=[wanted]))
    item = ChallengerWish("neural-net", "churn-5", "Shadow", "Starting", pool=POOL_5)
    found = pool_wishes(seen, wish(OLD, item))[POOL_5.id]
    assert (found.replicas, found.template.node_selector, found.autoscaled) == (3, {"gpu": "yes"}, False)


def test_pools_of_the_committed_and_the_pending_plan_are_kept() -> None:
    committed = plan("churn-3", routes=[route("neural-net", "churn-5")])
    seen = observed(committed, pending=plan("churn-4", epoch=2, pool="mnopqr"))
    assert kept_pools(seen, {}) == {"abcdef", "mnopqr", POOL_5.id}


NEW_A, NEW_B = listed("c", pool="ghijkl"), listed("d", pool="ghijkl")
HALF_WAY = [listed("a"), NEW_A]


def switching(**changed: Any) -> Observed:
    return observed(NEW, pods=tuple(HALF_WAY), pools=BOTH_POOLS, **changed)


@pytest.mark.parametrize(
    ("seen", "pool"),
    [
        pytest.param(switching(), "ghijkl", id="the new pool holds the committed plan: it leads there"),
        pytest.param(
            switching(answers={"a": control_status("a", committed=OLD), "c": control_status("c", committed=OLD)}),
            "abcdef",
            id="no pod of the new pool has flipped yet: it stays",
        ),
        pytest.param(
            observed(
                NEW,
                pods=(*HALF_WAY, NEW_B),
                pools=BOTH_POOLS,
                answers={
                    "a": control_status("a", committed=NEW),
                    "c": control_status("c", committed=NEW),
                    "d": control_status("d", committed=OLD),
                },
            ),
            "abcdef",
            id="a ready pod of the new pool missed the commit, and would forward to a pool that has let go: it stays",
        ),
        pytest.param(
            observed(
                NEW,
                pods=(*HALF_WAY, NEW_B),
                pools=BOTH_POOLS,
                answers={
                    "a": control_status("a", committed=NEW),
                    "c": control_status("c", committed=NEW),
                    "d": Silence.UNREACHABLE,
                },
            ),
            "abcdef",
            id="nobody knows whether a ready pod of the new pool has flipped: it stays",
        ),
        pytest.param(
            observed(
                NEW,
                pods=(*HALF_WAY, NEW_B),
                pools=BOTH_POOLS,
                answers={
                    "a": control_status("a", committed=NEW),
                    "c": control_status("c", committed=NEW),
                    "d": Silence.UNREACHABLE,
                },
                confirmed=frozenset({"d"}),
            ),
            "ghijkl",
            id="a pod of the new pool that was seen to flip misses a question: it leads there",
        ),
        pytest.param(
            observed(NEW, pods=(NEW_A,), pools={"ghijkl": pool_live("ghijkl")}, answers={"c": Silence.UNREACHABLE}),
            "ghijkl",
            id="the old pool is gone: there is nothing to stay with",
        ),
        pytest.param(observed(OLD, children={}), "abcdef", id="it was deleted: it is made again"),
    ],
)
def test_where_the_public_service_leads(seen: Observed, pool: str) -> None:
    assert public_child(seen) == public_service(OWNER, pool, tls=False)


def drained(**changed: Any) -> Observed:
    facts: dict[str, Any] = {
        "pods": (listed("a"), NEW_A),
        "pools": BOTH_POOLS,
        "children": {("Service", "churn"): public_service_of("ghijkl")},
        "public_endpoints": frozenset({"c"}),
    }
    return observed(NEW, **{**facts, **changed})


def answers(open_old: int = 0, open_at_new: int = 0, new_epoch: Plan = NEW) -> dict[str, Any]:
    return {
        "a": control_status("a", committed=NEW, open_requests={5: open_old}),
        "c": control_status("c", committed=new_epoch, open_requests={4: open_at_new}, pool="ghijkl"),
    }


@pytest.mark.parametrize(
    ("seen", "removable"),
    [
        pytest.param(drained(), ["abcdef"], id="nobody needs it any more"),
        pytest.param(
            drained(children={("Service", "churn"): public_service_of("abcdef")}), [], id="the public Service leads to it"
        ),
        pytest.param(drained(public_endpoints=frozenset({"a", "c"})), [], id="an endpoint leads to it"),
        pytest.param(drained(answers=answers(open_old=1)), [], id="it answers a request"),
        pytest.param(
            drained(answers=answers(open_at_new=1)), [], id="a request of the old plan may still be forwarded to it"
        ),
        pytest.param(drained(answers=answers(new_epoch=OLD)), [], id="a pod in service still answers with the old plan"),
        pytest.param(
            drained(answers={**answers(), "a": Silence.UNREACHABLE}, pods=(listed("a", ready=False), NEW_A)),
            ["abcdef"],
            id="its pods do not answer, and nothing leads to them",
        ),
    ],
)
def test_when_an_old_pool_may_go(seen: Observed, removable: list[str]) -> None:
    kept = kept_pools(seen, pool_wishes(seen, wish(NEW)))
    assert [pool.id for pool in removable_pools(seen, kept)] == removable


def test_what_is_left_of_a_gone_pool_and_an_unwanted_autoscaler_are_removed() -> None:
    service = owned("Service", "churn-forward-zzzzzz", **{"podium.dev/pool": "zzzzzz"})
    scaler = owned("HorizontalPodAutoscaler", OWNER.child("autoscaler"))
    foreign: Any = {"kind": "Service", "metadata": {"name": "x", "labels": {"podium.dev/pool": "zzzzzz"}}}
    children = {(item["kind"], item["metadata"]["name"]): item for item in (service, scaler, foreign)}
    assert unwanted_children(observed(OLD, children=children), {"abcdef"}) == [service, scaler]


def test_pods_may_reach_what_the_spec_has_them_call() -> None:
    tracing = {"otlpEndpoint": "http://otel-collector.observability:4318"}
    seen = observed(OLD, spec=spec(serving={"tracing": tracing}))
    installation = Installation(Surroundings(()), "podium-system", "", b"root", b"")
    (policy,) = (child for child in shared_children(seen, wish(), installation) if child["kind"] == "NetworkPolicy")
    egress = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert sorted(egress) == [53, 53, 443, 4318, 5000, 8081, 8082]


@pytest.mark.parametrize(
    ("percent", "collector", "made"),
    [(100, "http://monitor:8090/v1/events", True), (0, "http://monitor:8090/v1/events", False), (100, "", False)],
)
def test_a_token_for_labels_is_made_where_predictions_are_captured(percent: int, collector: str, made: bool) -> None:
    seen = observed(OLD, spec=spec(capture={"percent": percent}))
    installation = Installation(Surroundings((), ()), "podium-system", collector, b"root", b"key")
    secrets = [child for child in shared_children(seen, wish(), installation) if child["kind"] == "Secret"]
    assert ["churn-labels-" in child["metadata"]["name"] for child in secrets] == ([False, True] if made else [False])


def test_a_strangers_service_is_found() -> None:
    stranger = {"kind": "Service", "metadata": {"name": "churn", "labels": {}}}
    seen = observed(OLD, children={("Service", "churn"): stranger})
    assert foreign_children(seen, [public_service(OWNER, "abcdef", tls=False)]) == [stranger]
    assert foreign_children(observed(OLD), [public_service(OWNER, "abcdef", tls=False)]) == []
