"""What `kubectl get` and `kubectl wait` read."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deployment_fixtures import (
    IMAGE,
    challenger,
    control_status,
    digest,
    listed,
    observed,
    plan,
    planned,
    pool_live,
    route,
    spec,
)
from evidence_fixtures import challenger_evidence, evidence, finding
from podium_crds.v1alpha1.model_deployment import TrafficShare
from podium_operator.deployments.evidence import Monitored
from podium_operator.deployments.observed import Observed
from podium_operator.deployments.resolved import Refusal
from podium_operator.deployments.status import Outcome, announcement, status_for
from podium_operator.deployments.steps import Begin, Settled, Silence, Wait
from podium_operator.deployments.wish import ChallengerWish, Wish
from podium_operator.manifests.engine import MountedSecret
from podium_operator.manifests.identity import challenger_pool

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OLD = plan("churn-3", epoch=4)
POOL_5 = challenger_pool("neural-net", IMAGE, digest("churn-5"))
ROUTE_5 = route("neural-net", "churn-5", 10)
WITH_ROUTE = plan("churn-3", epoch=4, routes=[ROUTE_5])


def challenger_wish(state: Any, message: str = "") -> ChallengerWish:
    return ChallengerWish("neural-net", "churn-5", "Canary", state, message, pool=POOL_5, planned=planned("churn-5"))


WITH_TLS = {"tls": {"secretRef": {"name": "churn-tls"}}}
ACCEPTED = Wish(OLD, None)
REFUSED = Wish(None, Refusal("GoldenRowsFailed", "version 'churn-4' may not serve", terminal=True))
WAITING = Wish(None, Refusal("VersionNotFound", "there is no ModelVersion 'churn-9'", terminal=False))
NO_CERTIFICATE = MountedSecret("tls", "churn-tls", "/etc/podium/tls", "spec.serving.tls", "of type kubernetes.io/tls")
STUCK = pool_live(ready_replicas=0, current=False, stalled="exceeded its progress deadline")
CRASHING = (listed("a", ready=False, running=False, waiting="CrashLoopBackOff: back-off 10s"),)


def verdict(seen: Observed, wish: Wish, outcome: Outcome) -> tuple[str, str, str, str]:
    """Ready, Reconciling, Stalled, and the reason of Ready."""
    found = {item.type: item for item in status_for(seen, wish, outcome, NOW).conditions}
    statuses = [found[name].status if name in found else "-" for name in ("Ready", "Reconciling", "Stalled")]
    return (*statuses, found["Ready"].reason)  # type: ignore[return-value] # three statuses and a reason


DONE = Outcome(Settled())
CASES = [
    pytest.param(observed(OLD), ACCEPTED, DONE, ("True", "-", "-", "Serving"), id="all is as asked"),
    pytest.param(
        observed(OLD), REFUSED, DONE, ("False", "-", "True", "GoldenRowsFailed"), id="a refused champion is stalled"
    ),
    pytest.param(
        observed(OLD, missing_secrets=(NO_CERTIFICATE,)),
        ACCEPTED,
        DONE,
        ("False", "True", "-", "SecretNotFound"),
        id="a Secret that pods cannot start without may still come",
    ),
    pytest.param(
        observed(OLD),
        WAITING,
        DONE,
        ("False", "True", "-", "VersionNotFound"),
        id="a version that may still come is in progress",
    ),
    pytest.param(
        observed(OLD),
        ACCEPTED,
        Outcome(Begin(OLD)),
        ("False", "True", "-", "Swapping"),
        id="a swap under way is in progress",
    ),
    pytest.param(
        observed(OLD),
        ACCEPTED,
        Outcome(Wait("PoolStarting", "pool ghijkl is coming up")),
        ("False", "True", "-", "PoolStarting"),
        id="a second pool that comes up is in progress",
    ),
    pytest.param(
        observed(None, pools={}, pods=()), ACCEPTED, DONE, ("False", "True", "-", "PodsStarting"), id="nothing is there yet"
    ),
    pytest.param(
        observed(OLD, pools={"abcdef": pool_live(ready_replicas=1, current=False)}),
        ACCEPTED,
        DONE,
        ("False", "True", "-", "PodsStarting"),
        id="not all pods are ready",
    ),
    pytest.param(
        observed(OLD),
        ACCEPTED,
        Outcome(Settled(), rolls=True),
        ("False", "True", "-", "PodsStarting"),
        id="a pool was changed just now: what was seen of its pods is old",
    ),
    pytest.param(
        observed(OLD, pools={"abcdef": STUCK}, pods=CRASHING, answers={"a": Silence.NOT_STARTED}),
        ACCEPTED,
        DONE,
        ("False", "-", "True", "PodsNotReady"),
        id="pods that get nowhere are stalled",
    ),
    pytest.param(
        observed(OLD, public_endpoints=frozenset()),
        ACCEPTED,
        DONE,
        ("False", "True", "-", "SwitchingService"),
        id="no endpoint leads to the committed pool yet",
    ),
    pytest.param(
        observed(OLD),
        ACCEPTED,
        Outcome(Settled(), problems=("Deployment 'x': exceeded quota",)),
        ("False", "-", "True", "ChildRefused"),
        id="the API server refuses a child",
    ),
    pytest.param(
        observed(OLD),
        ACCEPTED,
        Outcome(Settled(), conflict="Service 'churn' is there already"),
        ("False", "-", "True", "NameTaken"),
        id="a stranger's Service has the name",
    ),
    pytest.param(
        observed(OLD),
        Wish(OLD, None, (challenger_wish("Refused", "other inputs"),)),
        DONE,
        ("False", "-", "True", "ChallengerRefused"),
        id="a challenger is refused",
    ),
    pytest.param(
        observed(OLD),
        Wish(OLD, None, (challenger_wish("Starting", "waiting for a ready pod"),)),
        DONE,
        ("False", "True", "-", "ChallengersStarting"),
        id="a challenger comes up",
    ),
    pytest.param(
        observed(WITH_ROUTE),
        Wish(WITH_ROUTE, None, (challenger_wish("Serving"),)),
        DONE,
        ("True", "-", "-", "Serving"),
        id="a challenger serves",
    ),
]


@pytest.mark.parametrize(("seen", "wish", "outcome", "expected"), CASES)
def test_conditions_as_kstatus_reads_them(
    seen: Observed, wish: Wish, outcome: Outcome, expected: tuple[str, str, str, str]
) -> None:
    assert verdict(seen, wish, outcome) == expected
    assert status_for(seen, wish, outcome, NOW).reason == expected[3]


def message(seen: Observed, wish: Wish, type_: str) -> str:
    return next(item.message for item in status_for(seen, wish, DONE, NOW).conditions if item.type == type_)


def test_a_refusal_says_who_keeps_serving() -> None:
    assert message(observed(OLD), REFUSED, "Stalled") == "version 'churn-4' may not serve; 'churn-3' keeps serving"
    assert message(observed(OLD), REFUSED, "ChampionServing") == "version 'churn-3' answers on 2 pods"
    assert message(observed(None, pods=()), REFUSED, "Stalled") == "version 'churn-4' may not serve"


def test_pods_that_do_not_start_say_why() -> None:
    seen = observed(OLD, pools={"abcdef": STUCK}, pods=CRASHING, answers={"a": Silence.NOT_STARTED})
    assert message(seen, ACCEPTED, "Ready") == (
        "0 of 2 pods are ready (pod-a: CrashLoopBackOff: back-off 10s): exceeded its progress deadline"
    )


def test_a_missing_secret_is_named_with_what_it_must_hold() -> None:
    assert message(observed(OLD, missing_secrets=(NO_CERTIFICATE,)), ACCEPTED, "Ready") == (
        "Secret 'churn-tls', named by spec.serving.tls, is not there: make it in namespace 'retention', of type "
        "kubernetes.io/tls; pods wait for it; 'churn-3' keeps serving"
    )


def test_where_to_ask_follows_from_tls() -> None:
    for serving, base in (({}, "http://churn.retention.svc"), (WITH_TLS, "https://churn.retention.svc")):
        found = status_for(observed(OLD, spec=spec(serving=serving)), ACCEPTED, DONE, NOW).endpoint
        assert found is not None
        assert (found.url, found.docs) == (f"{base}/v2/models/churn/infer", f"{base}/docs")
        assert found.grpc == "churn.retention.svc:9000"


def test_status_shows_what_is_committed() -> None:
    canary = challenger_wish("Serving")
    seen = observed(WITH_ROUTE, spec=spec(challengers=[challenger("neural-net", "churn-5", 10)]))
    traffic = (TrafficShare(version="churn-3", role="champion", percent=90),)
    found = status_for(seen, Wish(WITH_ROUTE, None, (canary,)), Outcome(Settled(), traffic=traffic), NOW)
    assert found.champion is not None
    assert (found.champion.model_version, found.champion.replicas, found.epoch) == ("churn-3", 2, 4)
    assert [(item.name, item.percent, item.state) for item in found.challengers] == [("neural-net", 10, "Serving")]
    assert found.challenger_summary == "neural-net 10%"
    assert found.traffic_summary == "churn-3 90%"
    assert found.endpoint is not None
    assert found.endpoint.url == "http://churn.retention.svc/v2/models/churn/infer"
    assert found.observed_generation == 2


def test_only_pods_that_answer_with_the_committed_version_are_counted() -> None:
    seen = observed(
        OLD, answers={"a": control_status("a", committed=OLD), "b": control_status("b", committed=plan("churn-2"))}
    )
    found = status_for(seen, ACCEPTED, DONE, NOW)
    assert found.champion is not None
    assert found.champion.replicas == 1


def test_a_pod_that_misses_a_question_is_still_counted_if_it_was_seen_on_the_plan() -> None:
    silent = {"a": control_status("a", committed=OLD), "b": Silence.UNREACHABLE}
    for confirmed, pods in ((frozenset({"b"}), 2), (frozenset[str](), 1)):
        found = status_for(observed(OLD, answers=silent, confirmed=confirmed), ACCEPTED, DONE, NOW)
        assert found.champion is not None
        assert found.champion.replicas == pods


def test_a_challenger_that_does_not_start_says_why() -> None:
    pods = (listed("a"), listed("c", pool=POOL_5.id, challenger="neural-net", ready=False, waiting="ImagePullBackOff: no"))
    wish = Wish(OLD, None, (challenger_wish("Starting", "waiting for a ready pod"),))
    found = status_for(observed(OLD, pods=pods, answers={"c": Silence.NOT_STARTED}), wish, DONE, NOW)
    assert found.challengers[0].message == "waiting for a ready pod (pod-c: ImagePullBackOff: no)"


def test_a_new_generation_is_announced_as_unknown() -> None:
    found = announcement(observed(OLD), NOW)
    by_type = {item.type: item.status for item in found.conditions}
    assert by_type == {"Ready": "Unknown", "Reconciling": "True", "ChampionServing": "True"}
    assert found.observed_generation == 2


def test_equal_facts_give_an_equal_status() -> None:
    first = status_for(observed(OLD), ACCEPTED, DONE, NOW)
    later = status_for(observed(OLD, status=first), ACCEPTED, DONE, datetime(2026, 11, 21, 13, 0, tzinfo=UTC))
    assert later == first


MEASURED = Monitored(evidence(challenger_evidence(digest=digest("churn-5"), decision="Better"), finding()))


def test_what_the_monitor_found_stands_in_status_and_leaves_ready_alone() -> None:
    seen = observed(WITH_ROUTE, spec=spec(challengers=[challenger("neural-net", "churn-5", 10)]))
    wish = Wish(WITH_ROUTE, None, (challenger_wish("Serving"),))
    found = status_for(seen, wish, Outcome(Settled(), monitored=MEASURED), NOW)
    by_type = {item.type: (item.status, item.reason) for item in found.conditions}
    assert by_type["DriftDetected"] == ("True", "InputsDrifted")
    assert by_type["Ready"] == ("True", "Serving")
    assert not {"Stalled", "Reconciling"} & set(by_type)
    [shown] = found.challengers
    assert (shown.labels, shown.improvement, shown.decision) == (4120, "0.01312", "Better")
    assert found.challenger_summary == "neural-net 10% (Better)"
    again = status_for(
        observed(WITH_ROUTE, status=found, spec=seen.spec), wish, Outcome(Settled(), monitored=Monitored()), NOW
    )
    assert again == found


def test_a_new_generation_is_announced_beside_what_was_found() -> None:
    found = status_for(observed(OLD), ACCEPTED, Outcome(Settled(), monitored=MEASURED), NOW)
    announced = announcement(observed(OLD, status=found), NOW)
    assert {item.type: item.status for item in announced.conditions}["DriftDetected"] == "True"
