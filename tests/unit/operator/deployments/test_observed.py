"""Manifests become facts."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from deployment_fixtures import KEY, OWNER, SIGNER, failure, listed, observed, owned, plan, pool_live, sealed
from podium_crds.plan import Commit, Envelope
from podium_operator.deployments.memory import Memory
from podium_operator.deployments.observed import (
    endpoint_uids,
    pod_listed,
    pools_of,
    read_record,
    status_seen,
)
from podium_operator.deployments.observed import pool_live as pool_of
from podium_operator.deployments.steps import Sealed, Silence
from podium_operator.deployments.wish import FailedPlan
from podium_operator.manifests.record import Notes, record_config_map

COMMITTED = plan("churn-3", epoch=4)
PENDING = plan("churn-4", epoch=5)


def opened(envelope: Envelope) -> Sealed | None:
    return sealed(COMMITTED) if envelope == sealed(COMMITTED).envelope else None


def record(**data: str) -> dict[str, Any]:
    manifest = record_config_map(OWNER, sealed(COMMITTED).envelope, PENDING, Notes(highest_epoch=7))
    manifest["data"] |= data
    return manifest


def test_a_record_is_read_as_it_was_written() -> None:
    found = read_record(record(), opened)
    assert found.committed == sealed(COMMITTED)
    assert found.pending == PENDING
    assert found.notes.highest_epoch == 7


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="emptied"),
        pytest.param("{", id="no JSON"),
        pytest.param(SIGNER.sign(Commit(plan=PENDING)).model_dump_json(), id="another commit"),
    ],
)
def test_a_damaged_commit_is_none(text: str) -> None:
    found = read_record(record(**{"commit.json": text}), opened)
    assert found.committed is None
    assert found.manifest is not None


def test_damaged_notes_and_pending_pages_are_as_if_absent() -> None:
    found = read_record(record(**{"notes.json": "?", "pending.json": "{}"}), opened)
    assert (found.pending, found.notes) == (None, Notes())
    assert read_record(None, opened).committed is None


def pod(**status: Any) -> dict[str, Any]:
    labels = {"podium.dev/pool": "abcdef"}
    return {"metadata": {"name": "p", "uid": "u", "labels": labels}, "status": status}


WAITING = {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}}
SAID = {"exitCode": 2, "message": "usage: podium_serving\npodium_serving: PODIUM_TLS_DIR has no tls.crt\n"}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node fits"}


@pytest.mark.parametrize(
    ("status", "running", "waiting"),
    [
        pytest.param({}, False, "", id="just made"),
        pytest.param({"podIP": "1.2.3.4", "containerStatuses": [{"state": {"running": {}}}]}, True, "", id="it runs"),
        pytest.param(
            {"podIP": "1.2.3.4", "containerStatuses": [WAITING]}, False, "CrashLoopBackOff: back-off 10s", id="it crashes"
        ),
        pytest.param(
            {"podIP": "1.2.3.4", "containerStatuses": [{**WAITING, "lastState": {"terminated": SAID}}]},
            False,
            "CrashLoopBackOff: podium_serving: PODIUM_TLS_DIR has no tls.crt",
            id="it said why it crashes",
        ),
        pytest.param(
            {"podIP": "1.2.3.4", "containerStatuses": [{"state": {"terminated": {"reason": "Error", "exitCode": 2}}}]},
            False,
            "Error: exit code 2",
            id="it ended and said nothing",
        ),
        pytest.param({"conditions": [UNSCHEDULABLE]}, False, "Unschedulable: no node fits", id="no node has room"),
    ],
)
def test_a_pod_says_whether_it_runs_and_why_not(status: dict[str, Any], running: bool, waiting: str) -> None:
    found = pod_listed(pod(**status))
    assert (found.running, found.waiting, found.pool) == (running, waiting, "abcdef")


def deployment(**status: Any) -> dict[str, Any]:
    labels = {"podium.dev/pool": "abcdef", "podium.dev/role": "champion"}
    found = owned("Deployment", "churn-champion", **labels)
    found["metadata"]["generation"] = 3
    return {**found, "spec": {"replicas": 2}, "status": status}


ALL = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("status", "current"),
    [
        pytest.param(ALL, True, id="all pods are of the newest template and ready"),
        pytest.param({**ALL, "observedGeneration": 2}, False, id="its controller has not seen the newest template"),
        pytest.param({**ALL, "readyReplicas": 1}, False, id="one is not ready"),
        pytest.param({**ALL, "replicas": 3}, False, id="an old one is still there"),
        pytest.param({}, False, id="nothing is known yet"),
    ],
)
def test_when_a_pool_is_as_asked(status: dict[str, Any], current: bool) -> None:
    assert pool_of(deployment(**status)).current is current


def test_only_our_own_deployments_are_pools() -> None:
    stranger = {**deployment(), "metadata": {**deployment()["metadata"], "ownerReferences": []}}
    assert pools_of([stranger], OWNER) == {}
    assert pools_of([deployment()], OWNER).keys() == {"abcdef"}


def test_endpoints_of_one_service_that_are_ready() -> None:
    def endpoint(uid: str, ready: bool) -> dict[str, Any]:
        return {"conditions": {"ready": ready, "serving": True}, "targetRef": {"uid": uid}}

    def piece(service: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": {"labels": {"kubernetes.io/service-name": service}}, "endpoints": list(endpoints) or None}

    slices = [piece("churn", endpoint("a", True), endpoint("b", False)), piece("other", endpoint("c", True)), piece("churn")]
    assert endpoint_uids(slices, "churn") == {"a"}


def test_a_status_that_cannot_be_read_is_as_if_deleted() -> None:
    assert status_seen({"status": {"epoch": "many"}}).epoch is None
    assert status_seen({"status": {"epoch": 4}}).epoch == 4


def test_patience_is_counted_from_the_first_silence_and_forgotten_with_an_answer() -> None:
    memory = Memory()
    silent = observed(COMMITTED, answers={"a": Silence.UNREACHABLE})
    memory.note(silent, now=100.0)
    memory.note(silent, now=108.0)
    assert [found.troubled_seconds for found in memory.pods_seen(silent, 108.0)] == [8.0, 8.0]
    memory.note(observed(COMMITTED), now=109.0)
    memory.note(silent, now=110.0)
    assert [found.troubled_seconds for found in memory.pods_seen(silent, 110.0)] == [0.0, 0.0]
    assert all(found.confirmed for found in memory.pods_seen(silent, 110.0))


def test_unserved_time_counts_only_while_no_pod_is_in_service() -> None:
    memory = Memory()
    nobody = observed(COMMITTED, pods=(listed("a", ready=False),), pools={"abcdef": pool_live()})
    memory.note(nobody, now=5.0)
    assert memory.unserved_seconds(15.0) == 10.0
    memory.note(observed(COMMITTED), now=16.0)
    assert memory.unserved_seconds(20.0) == 0.0


def test_a_failed_plan_is_forgotten_with_another_manifest_or_in_time() -> None:
    for generation, now, kept in ((2, 100.0, True), (3, 100.0, False), (2, 601.0, False)):
        memory = Memory()
        memory.fail(FailedPlan(PENDING, failure(PENDING)), generation=2, now=0.0)
        memory.note(observed(COMMITTED, generation=generation), now)
        assert (memory.failed is not None) is kept


def test_looking_again_becomes_rarer_and_stops_when_all_is_settled() -> None:
    memory = Memory()
    looks = [memory.look_again_seconds(now, unsettled=True) for now in (0.0, 5.0, 20.0, 1000.0)]
    assert looks == [0.5, 1.0, 4.0, 15.0]
    assert memory.look_again_seconds(1001.0, unsettled=False) is None


def test_the_key_of_a_deployment() -> None:
    assert OWNER.key == KEY


@pytest.mark.parametrize(
    ("reached", "since", "seconds"),
    [
        pytest.param({"a"}, "2026-11-21T12:00:00Z", 20.0, id="clients reach the earlier pool"),
        pytest.param({"b"}, "2026-11-21T12:00:00Z", None, id="clients reach the champion's pool only"),
        pytest.param({"a"}, "", None, id="nobody knows since when"),
        pytest.param({"a"}, "yesterday", None, id="edited notes"),
    ],
)
def test_a_move_lasts_until_clients_have_left_the_earlier_pool(reached: set[str], since: str, seconds: float | None) -> None:
    pods = (listed("a", pool="zyxwvu"), listed("b"))
    seen = observed(COMMITTED, pods=pods, public_endpoints=frozenset(reached))
    seen = replace(seen, record=replace(seen.record, notes=Notes(since=since)))
    assert seen.moving_seconds(datetime(2026, 11, 21, 12, 0, 20, tzinfo=UTC)) == seconds


def test_a_move_of_the_same_version_to_another_image_has_a_time_of_its_own() -> None:
    seen = observed(COMMITTED, pods=(listed("a", pool="zyxwvu"), listed("b")), public_endpoints=frozenset({"a"}))
    notes = Notes(since="2026-11-20T12:00:00Z", pool_since="2026-11-21T12:00:00Z")
    seen = replace(seen, record=replace(seen.record, notes=notes))
    assert seen.moving_seconds(datetime(2026, 11, 21, 12, 0, 20, tzinfo=UTC)) == 20.0
