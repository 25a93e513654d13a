"""Faults under load on a real node: callers notice none of them."""

import os
import signal
import threading
from collections.abc import Callable

import pytest

from demo.load import figures, inconsistent_keys
from harness.questions import TIMEOUT_MILLISECONDS, question
from harness.site import Model, Site, cut_network, let_pass, registry_pid, send_signal

pytestmark = pytest.mark.e2e

Models = dict[str, Model]


def start(site: Site, models: Models, *, replicas: int = 3, first: str = "sum-1", **others: object) -> None:
    site.versions(*(models[name] for name in (first, "sum-2") if name in models))
    site.deploy(models[first], replicas=replicas, **others)  # type: ignore[arg-type]  # memory or spec fields
    site.serving(models[first])
    site.wait("all replicas ready", lambda: len(site.ready_pods()) == replicas)


def when(site: Site, holds: Callable[[dict[str, str]], bool], act: Callable[[], None]) -> threading.Thread:
    """Runs `act` as soon as the record is as said."""

    def watch() -> None:
        site.wait("the record is as said", lambda: holds(site.record()) or None, 180)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize("moment", ["prepare", "commit"])
def test_a_pod_killed_while_a_swap_runs_loses_only_what_it_had_in_hand(site: Site, models: Models, moment: str) -> None:
    start(site, models)
    committed = site.record()["commit.json"]
    victim = site.ready_pods()[0]["metadata"]["name"]

    def reached(record: dict[str, str]) -> bool:
        if moment == "prepare":
            return "pending.json" in record or record.get("commit.json") != committed
        return record.get("commit.json") != committed

    watching = when(site, reached, lambda: send_signal(victim, signal.SIGKILL))
    with site.load() as outcomes:
        site.deploy(models["sum-2"], replicas=3)
        site.serving(models["sum-2"])
        watching.join()
        site.wait("all replicas ready again", lambda: len(site.ready_pods()) == 3)
        let_pass(2)
    seen = figures(outcomes)
    assert set(seen.versions) == {"sum-1", "sum-2"}
    # A killed process takes its open connections with it: what it had in hand is lost, or on its way to it; nothing else is.
    assert seen.failed <= 8, seen.first_errors


def test_a_registry_outage_stops_neither_callers_nor_scaling_up_and_a_swap_waits_for_it(site: Site, models: Models) -> None:
    start(site, models, replicas=2)
    with site.load() as outcomes:
        os.kill(registry_pid(), signal.SIGSTOP)
        try:
            site.deploy(models["sum-1"], replicas=3)
            site.wait("a third pod without a registry", lambda: len(site.ready_pods()) == 3)
            site.deploy(models["sum-2"], replicas=3)
            let_pass(8)
            assert figures(outcomes).versions.keys() == {"sum-1"}
        finally:
            os.kill(registry_pid(), signal.SIGCONT)
        site.serving(models["sum-2"])
        let_pass(1)
    seen = figures(outcomes)
    assert seen.failed == 0, seen.first_errors
    assert set(seen.versions) == {"sum-1", "sum-2"}


def test_a_crash_looping_and_an_unreachable_pod_veto_no_swap(site: Site, models: Models) -> None:
    start(site, models, replicas=4)
    crashing, unreachable = (pod["metadata"]["name"] for pod in site.ready_pods()[:2])
    stop = threading.Event()

    def crash() -> None:
        while not stop.wait(0.2):
            send_signal(crashing, signal.SIGKILL)

    thread = threading.Thread(target=crash)
    thread.start()
    try:
        cut_network(unreachable)
        site.deploy(models["sum-2"], replicas=4)
        site.wait("two healthy pods answer with sum-2", lambda: _champion(site) == "sum-2", 180)
    finally:
        stop.set()
        thread.join()
    # What has no network gets none by a restart in place: a person, or the node's repair, removes it.
    site.kubectl("delete", "pod", unreachable, "--ignore-not-found", "--force", "--grace-period=0")
    site.serving(models["sum-2"])
    with site.load() as outcomes:
        let_pass(3)
    assert figures(outcomes).failed == 0
    assert set(figures(outcomes).versions) == {"sum-2"}


def _champion(site: Site) -> str | None:
    found = site.kubectl.get("mdep", "demo") or {}
    name = found.get("status", {}).get("champion", {}).get("modelVersion")
    return str(name) if name else None


def test_a_version_too_big_to_be_held_twice_comes_up_in_a_second_pool(site: Site, models: Models) -> None:
    site.versions(models["big-1"], models["big-2"])
    site.deploy(models["big-1"], replicas=2, memory="420Mi")
    site.serving(models["big-1"])
    site.wait("both replicas ready", lambda: len(site.ready_pods()) == 2)
    pools = {pod["metadata"]["labels"]["podium.dev/pool"] for pod in site.ready_pods()}
    with site.load() as outcomes:
        site.deploy(models["big-2"], replicas=2, memory="420Mi")
        site.serving(models["big-2"])
        site.wait("the old pool is gone", lambda: _pools(site).isdisjoint(pools), 120)
        let_pass(2)
    seen = figures(outcomes)
    assert seen.failed == 0, seen.first_errors
    assert set(seen.versions) == {"big-1", "big-2"}


def _pools(site: Site) -> set[str]:
    return {pod["metadata"]["labels"]["podium.dev/pool"] for pod in site.pods()}


@pytest.mark.parametrize(
    "wish", [pytest.param(101, id="hangs"), pytest.param(102, id="crashes"), pytest.param(103, id="garbage")]
)
def test_a_misbehaving_challenger_fails_no_request(site: Site, models: Models, wish: int) -> None:
    challenger = {
        "name": "mischief",
        "modelVersionRef": {"name": "mischief"},
        "mode": "Canary",
        "percent": 50,
        "timeoutMilliseconds": 200,
    }
    site.versions(models["sum-1"], models["mischief"])
    site.deploy(models["sum-1"], replicas=2, challengers=[challenger], stickyBy={"type": "Header", "header": "X-Key"})
    site.serving(models["sum-1"])
    site.wait("the challenger serves", lambda: _challenger_state(site) == "Serving", 180)
    asked = [question(float(wish), 2.0, X_Key=f"customer-{number}") for number in range(200)]
    with site.load(questions=asked, key_header="X-Key") as outcomes:
        let_pass(12)
    seen = figures(outcomes)
    assert seen.failed == 0, seen.first_errors
    assert set(seen.arms) == {"champion"}
    assert seen.fallbacks
    assert seen.p99_milliseconds < 30_000  # it hangs for a minute


def test_a_healthy_canary_gets_its_share_and_keeps_its_keys_through_a_rollout(site: Site, models: Models) -> None:
    challenger = {
        "name": "two",
        "modelVersionRef": {"name": "sum-2"},
        "mode": "Canary",
        "percent": 30,
        "timeoutMilliseconds": TIMEOUT_MILLISECONDS,
    }
    site.versions(models["sum-1"], models["sum-2"])
    options = {"challengers": [challenger], "stickyBy": {"type": "Header", "header": "X-Key"}}
    site.deploy(models["sum-1"], replicas=2, **options)  # type: ignore[arg-type]  # spec fields
    site.serving(models["sum-1"])
    site.wait("the challenger serves", lambda: _challenger_state(site) == "Serving", 180)
    keys = [question(1.0, 2.0, X_Key=f"customer-{number}") for number in range(400)]
    before = {pod["metadata"]["uid"] for pod in site.ready_pods()}
    with site.load(questions=keys, key_header="X-Key") as outcomes:
        let_pass(3)
        site.deploy(models["sum-1"], replicas=2, template={"env": [{"name": "ROLLED", "value": "1"}]}, **options)  # type: ignore[arg-type]
        site.wait("all pods are new", lambda: _all_new(site, before), 180)
        let_pass(10)
    seen = figures(outcomes)
    assert seen.failed == 0, seen.first_errors
    assert inconsistent_keys(outcomes) == []
    share = seen.arms.get("two", 0) / seen.sent
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / 400) ** 0.5, seen.arms


def _all_new(site: Site, before: set[str]) -> bool:
    ready = {pod["metadata"]["uid"] for pod in site.ready_pods()}
    return len(ready) == 2 and ready.isdisjoint(before)


def _challenger_state(site: Site) -> str:
    found = site.kubectl.get("mdep", "demo") or {}
    states = [item["state"] for item in found.get("status", {}).get("challengers", [])]
    return str(states[0]) if states else ""
