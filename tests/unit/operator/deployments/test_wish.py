"""What a manifest asks for, and what is refused."""

from typing import Any

import pytest

from deployment_fixtures import (
    IMAGE,
    MIB,
    OTHER_IMAGE,
    OWNER,
    challenger,
    digest,
    failure,
    plan,
    planned,
    route,
    spec,
    version,
    versions,
)
from podium_crds.plan import PlannedCapture, PlannedJoinKey
from podium_operator.deployments.pools import Room
from podium_operator.deployments.versions_seen import Verdict
from podium_operator.deployments.wish import FailedPlan, WishInput, wish
from podium_operator.manifests.identity import challenger_pool
from podium_operator.manifests.record import Notes
from podium_operator.manifests.services import forward_host

NOTES = Notes(
    schema_digest="sha256:schema", inputs="tenure FP32", outputs="score FP32", contract=2, peak_memory_bytes=100 * MIB
)
POOL_5 = challenger_pool("neural-net", IMAGE, digest("churn-5"))
HOST_5 = forward_host(OWNER, POOL_5)


EARLIER = NOTES.model_copy(update={"contract": 1})
MOVED = versions(version("churn-3", image=OTHER_IMAGE))
MOVE = plan(version=planned("churn-3", OTHER_IMAGE), pool="ghijkl")


def seen(**changed: Any) -> WishInput:
    facts: dict[str, Any] = {
        "owner": OWNER,
        "spec": spec("churn-3"),
        "versions": versions(version("churn-3"), version("churn-4"), version("churn-5")),
        "committed": plan("churn-3", epoch=4),
        "notes": NOTES,
        "ready_pools": frozenset(),
    }
    return WishInput(**{**facts, **changed})


CHANGED_SCHEMA: dict[str, Any] = {"schema_digest": "sha256:other", "inputs": "tenure FP32, x2 FP32"}
REFUSED = [
    pytest.param(seen(spec=spec("churn-9")), "VersionNotFound", False, "apply it", id="there is no such version"),
    pytest.param(
        seen(spec=spec("churn-4"), versions=versions(version("churn-4", Verdict.PENDING))),
        "VersionNotVerified",
        False,
        "not verified yet",
        id="it is being verified",
    ),
    pytest.param(
        seen(
            spec=spec("churn-4"),
            versions=versions(version("churn-4", Verdict.FAILED, reason="GoldenRowsFailed", message="row 2 differs")),
        ),
        "GoldenRowsFailed",
        True,
        "row 2 differs",
        id="its verification failed: the version's own reason",
    ),
    pytest.param(
        seen(versions=versions(version("churn-3", digest=digest("other")))),
        "DigestChanged",
        True,
        digest("other"),
        id="the serving version was made again with other bits",
    ),
    pytest.param(
        seen(spec=spec("churn-4"), versions=versions(version("churn-4", **CHANGED_SCHEMA))),
        "SchemaChanged",
        True,
        "x2 FP32",
        id="it takes other inputs than callers send",
    ),
    pytest.param(
        seen(spec=spec("churn-4"), failed=FailedPlan(plan("churn-4"), failure(plan("churn-4")))),
        "GoldenRowsFailed",
        True,
        "the pods could not prepare",
        id="pods could not load it a moment ago",
    ),
]


@pytest.mark.parametrize(("found", "reason", "terminal", "words"), REFUSED)
def test_a_champion_is_refused(found: WishInput, reason: str, terminal: bool, words: str) -> None:
    got = wish(found)
    assert got.plan is None
    assert got.refusal is not None
    assert (got.refusal.reason, got.refusal.terminal) == (reason, terminal)
    assert words in got.refusal.message


@pytest.mark.parametrize(("fault", "terminal"), [("Version", True), ("Pod", False)])
def test_what_pods_lacked_may_come_back_by_itself(fault: str, terminal: bool) -> None:
    found = wish(seen(spec=spec("churn-4"), failed=FailedPlan(plan("churn-4"), failure(plan("churn-4"), fault))))
    assert found.refusal is not None
    assert found.refusal.terminal is terminal


def test_a_plan_that_failed_is_not_tried_again_though_its_version_serves() -> None:
    first = wish(seen()).plan
    assert first is not None
    again = wish(seen(failed=FailedPlan(first, failure(first))))
    assert again.plan is None
    other_plan = wish(
        seen(spec=spec("churn-3", serving={"timeoutMilliseconds": 70}), failed=FailedPlan(first, failure(first)))
    )
    assert other_plan.plan is not None


@pytest.mark.parametrize(
    ("found", "version_name", "pool"),
    [
        pytest.param(seen(), "churn-3", "abcdef", id="what serves stays where it is"),
        pytest.param(seen(versions={}), "churn-3", "abcdef", id="a serving version whose ModelVersion is deleted goes on"),
        pytest.param(
            seen(versions=versions(version("churn-3", Verdict.FAILED))),
            "churn-3",
            "abcdef",
            id="and one judged anew",
        ),
        pytest.param(
            seen(versions=versions(version("churn-3", image=OTHER_IMAGE))),
            "churn-3",
            "abcdef",
            id="the image of a serving version is pinned",
        ),
        pytest.param(
            seen(versions=MOVED, notes=EARLIER),
            "churn-3",
            "abcdef",
            id="one of an earlier contract stays until it is its turn",
        ),
        pytest.param(
            seen(versions=MOVED, may_move=True), "churn-3", "abcdef", id="an image of today is not left for another one"
        ),
        pytest.param(
            seen(versions=versions(version("churn-3", Verdict.PENDING)), notes=EARLIER, may_move=True),
            "churn-3",
            "abcdef",
            id="one of an earlier contract serves while it is verified anew",
        ),
        pytest.param(
            seen(versions=MOVED, notes=EARLIER, may_move=True, failed=FailedPlan(MOVE, failure(MOVE))),
            "churn-3",
            "abcdef",
            id="a move that failed is left alone for now",
        ),
        pytest.param(seen(spec=spec("churn-4")), "churn-4", "abcdef", id="another version comes in place"),
        pytest.param(
            seen(spec=spec("churn-4"), rooms=(Room(250 * MIB),)),
            "churn-4",
            "abcdef",
            id="both fit, with a fifth to spare",
        ),
    ],
)
def test_a_champion_is_accepted(found: WishInput, version_name: str, pool: str) -> None:
    got = wish(found)
    assert got.refusal is None
    assert got.plan is not None
    assert (got.plan.champion.version.name, got.plan.champion.pool) == (version_name, pool)
    assert got.plan.champion.version.image == IMAGE


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(seen(spec=spec("churn-4"), rooms=(Room(249 * MIB),)), id="both peaks do not fit the limit"),
        pytest.param(
            seen(spec=spec("churn-4"), rooms=(Room(499 * MIB, copies=2),)),
            id="both peaks of two workers do not fit the limit",
        ),
        pytest.param(
            seen(spec=spec("churn-4"), notes=Notes(schema_digest="sha256:schema"), rooms=(Room(900 * MIB),)),
            id="the serving peak is not known and there is a limit",
        ),
        pytest.param(
            seen(spec=spec("churn-4"), versions=versions(version("churn-4", image=OTHER_IMAGE))), id="it has another image"
        ),
        pytest.param(seen(committed=None), id="nothing serves yet"),
        pytest.param(
            seen(versions=MOVED, notes=EARLIER, may_move=True), id="it goes to an image of today, and it is its turn"
        ),
    ],
)
def test_another_pool_is_wished(found: WishInput) -> None:
    got = wish(found)
    assert got.plan is not None
    assert got.plan.champion.pool != "abcdef"
    assert wish(found).plan == got.plan
    assert got.plan.champion.host.startswith(f"churn-forward-{got.plan.champion.pool}-")


def test_a_pool_once_taken_over_is_kept() -> None:
    first = wish(seen(spec=spec("churn-4"), rooms=(Room(100 * MIB),))).plan
    assert first is not None
    again = wish(seen(spec=spec("churn-4"), committed=first, rooms=(Room(100 * MIB),))).plan
    assert again is not None
    assert again.says_the_same(first)


def with_challenger(*items: dict[str, Any], **changed: Any) -> WishInput:
    return seen(spec=spec("churn-3", challengers=list(items)), **changed)


CHALLENGERS = [
    pytest.param(
        with_challenger(challenger("neural-net", "churn-5", 10)), "Starting", None, id="its pool has no ready pod: it waits"
    ),
    pytest.param(
        with_challenger(challenger("neural-net", "churn-5", 10), ready_pools=frozenset({POOL_5.id})),
        "Serving",
        ("churn-5", 10, HOST_5),
        id="its pool has a ready pod: it joins",
    ),
    pytest.param(
        with_challenger(
            challenger("neural-net", "churn-5", 20),
            committed=plan("churn-3", routes=[route("neural-net", "churn-5", 10, HOST_5)]),
        ),
        "Serving",
        ("churn-5", 20, HOST_5),
        id="one that is in the plan stays though its pods are not ready just now",
    ),
    pytest.param(
        with_challenger(
            challenger("neural-net", "churn-5", 10), committed=plan("churn-3", routes=[route("neural-net", "churn-4", 10)])
        ),
        "Starting",
        ("churn-4", 10, "route.retention.svc"),
        id="the old version goes on until the new one's pool is ready",
    ),
    pytest.param(
        with_challenger(
            challenger("neural-net", "churn-5", 10),
            versions=versions(version("churn-3"), version("churn-5", image=OTHER_IMAGE)),
            committed=plan("churn-3", routes=[route("neural-net", "churn-5", 10)]),
        ),
        "Starting",
        ("churn-5", 10, "route.retention.svc"),
        id="the old image goes on until the pool of the new one is ready",
    ),
    pytest.param(
        with_challenger(
            challenger("neural-net", "churn-5", 10),
            versions=versions(version("churn-3"), version("churn-5", Verdict.FAILED, reason="LoadFailed")),
            committed=plan("churn-3", routes=[route("neural-net", "churn-4", 10)]),
        ),
        "Refused",
        None,
        id="a failed one is left out, the old version too",
    ),
    pytest.param(
        with_challenger(
            challenger("neural-net", "churn-5", 10),
            versions=versions(version("churn-3"), version("churn-5", Verdict.PENDING)),
        ),
        "Waiting",
        None,
        id="one that is being verified waits",
    ),
    pytest.param(
        with_challenger(challenger("neural-net", "churn-9", 10)), "Waiting", None, id="one that does not exist waits"
    ),
    pytest.param(
        with_challenger(
            challenger("neural-net", "churn-5", 10),
            versions=versions(version("churn-3"), version("churn-5", digest=digest("churn-3"))),
        ),
        "Refused",
        None,
        id="the champion's own bits under another name are refused",
    ),
    pytest.param(
        with_challenger(
            challenger("neural-net", "churn-5", 10),
            versions=versions(version("churn-3"), version("churn-5", **CHANGED_SCHEMA)),
        ),
        "Refused",
        None,
        id="other inputs than the champion's are refused",
    ),
    pytest.param(
        with_challenger(
            challenger("neural-net", "churn-5", 10),
            versions=versions(version("churn-3")),
            committed=plan("churn-3", routes=[route("neural-net", "churn-5", 10, HOST_5)]),
        ),
        "Serving",
        ("churn-5", 10, HOST_5),
        id="one whose ModelVersion is deleted goes on",
    ),
]


@pytest.mark.parametrize(("found", "state", "routed"), CHALLENGERS)
def test_a_challenger_is_its_own_affair(found: WishInput, state: str, routed: tuple[str, int, str] | None) -> None:
    got = wish(found)
    assert got.plan is not None
    assert got.plan.champion.version.name == "churn-3"
    assert [item.state for item in got.challengers] == [state]
    routes = [(item.version.name, item.percent, item.host) for item in got.plan.routes]
    assert routes == ([routed] if routed else [])


def test_a_refused_champion_leaves_the_routes_as_committed() -> None:
    committed = plan("churn-3", routes=[route("neural-net", "churn-5", 10, HOST_5)])
    got = wish(
        seen(
            spec=spec("churn-9", challengers=[challenger("neural-net", "churn-5", 90), challenger("other", "churn-4")]),
            committed=committed,
        )
    )
    assert got.plan is None
    assert [(item.name, item.state) for item in got.challengers] == [("neural-net", "Serving"), ("other", "Waiting")]
    assert [item.pool.id if item.pool else "" for item in got.challengers] == [POOL_5.id, ""]


def test_a_challenger_that_becomes_champion_leaves_the_routes() -> None:
    committed = plan("churn-3", routes=[route("neural-net", "churn-5", 10, HOST_5)])
    got = wish(seen(spec=spec("churn-5", challengers=[challenger("neural-net", "churn-4", 10)]), committed=committed))
    assert got.plan is not None
    assert got.plan.champion.version == planned("churn-5")
    assert got.plan.routes == []


def test_slots_move_only_between_the_champion_and_the_challenger_that_changed() -> None:
    pools = frozenset({POOL_5.id, challenger_pool("boosting", IMAGE, digest("churn-4")).id})

    def routes(first: int, second: int, committed: Any) -> dict[str, Any]:
        wanted = [challenger("neural-net", "churn-5", first), challenger("boosting", "churn-4", second)]
        got = wish(seen(spec=spec("churn-3", challengers=wanted), ready_pools=pools, committed=committed)).plan
        assert got is not None
        return {"plan": got, "slots": {item.name: item.slots for item in got.routes}}

    before = routes(10, 20, plan("churn-3"))
    after = routes(15, 20, before["plan"])
    assert after["slots"]["boosting"] == before["slots"]["boosting"]
    assert sum(end - start for start, end in after["slots"]["neural-net"]) == 1500


def test_sticky_headers_are_lower_case_and_capture_needs_a_collector() -> None:
    wanted = spec("churn-3", stickyBy={"type": "Header", "header": "X-Customer-Id"}, capture={"percent": 40})
    without = wish(seen(spec=wanted)).plan
    with_url = wish(seen(spec=wanted, capture_url="http://monitor:8090/v1/events")).plan
    assert without is not None
    assert with_url is not None
    assert (without.sticky.type, without.sticky.name) == ("Header", "x-customer-id")
    assert (without.capture.percent, without.capture.url) == (0, "")
    assert (with_url.capture.percent, with_url.capture.url) == (40, "http://monitor:8090/v1/events")


COLLECTOR = "http://monitor:8090/v1/events"


@pytest.mark.parametrize(
    ("capture", "planned_as"),
    [
        pytest.param({}, PlannedCapture(percent=100, url=COLLECTOR), id="nothing asked for: all of it, by the sticky key"),
        pytest.param(
            {"percent": 40, "redact": ["name", "email"], "hash": ["street", "customer"]},
            PlannedCapture(percent=40, url=COLLECTOR, redact=["email", "name"], hash=["customer", "street"]),
            id="names in one order, however they are written",
        ),
        pytest.param(
            {"joinKey": {"type": "Input", "input": "case"}},
            PlannedCapture(percent=100, url=COLLECTOR, join_key=PlannedJoinKey(type="Input", name="case")),
            id="joined by an input",
        ),
        pytest.param(
            {"joinKey": {"type": "Header", "header": "X-Case"}},
            PlannedCapture(percent=100, url=COLLECTOR, join_key=PlannedJoinKey(type="Header", name="x-case")),
            id="joined by a header, in lower case as pods see it",
        ),
        pytest.param({"percent": 0, "redact": ["email"]}, PlannedCapture(), id="captured is nothing"),
        pytest.param(
            {"percent": 0, "always": ["Header", "Fallback"]},
            PlannedCapture(percent=0, url=COLLECTOR, always=["Fallback", "Header"]),
            id="captured is what a rule keeps",
        ),
    ],
)
def test_what_the_spec_says_of_capture_is_in_the_plan(capture: dict[str, Any], planned_as: PlannedCapture) -> None:
    asked = wish(seen(spec=spec("churn-3", capture=capture), capture_url=COLLECTOR))
    assert asked.plan is not None
    assert asked.plan.capture == planned_as


def test_another_capture_is_another_plan_of_the_same_pool() -> None:
    before = wish(seen(capture_url=COLLECTOR)).plan
    after = wish(seen(spec=spec("churn-3", capture={"redact": ["email"]}), capture_url=COLLECTOR)).plan
    assert before is not None
    assert after is not None
    assert not before.says_the_same(after)
    assert before.champion == after.champion
