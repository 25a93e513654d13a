"""Two operators, one Lease, on a real API server: who leads when the other is killed, stopped or frozen."""

import signal

from operator_installation_fixtures import SHORT_LEASE, Installation


def test_a_leader_that_is_asked_to_end_hands_over_at_once(installation: Installation) -> None:
    first = installation.start_operator("first", PODIUM_LEASE_SECONDS="600")
    term = installation.leading(first)
    second = installation.start_operator("second")
    installation.until("the second one's first look", lambda: installation.page(second, "/readyz") == "ok")
    first.signal(signal.SIGTERM)
    # Long before the Lease would lapse.
    assert installation.leading(second) == term + 1
    installation.until("the first one's end", lambda: not first.running)


def test_a_killed_leader_is_followed_when_its_lease_lapses(installation: Installation) -> None:
    first = installation.start_operator("first", None, **SHORT_LEASE)
    term = installation.leading(first)
    second = installation.start_operator("second")
    installation.until("the second one's start", lambda: "health and metrics" in second.tail())
    first.kill()
    assert installation.leading(second) == term + 1


def test_a_frozen_leader_wakes_into_another_ones_term_and_ends_without_a_write(installation: Installation) -> None:
    first = installation.start_operator("first", None, **SHORT_LEASE)
    term = installation.leading(first)
    second = installation.start_operator("second")
    installation.until("the second one's start", lambda: "health and metrics" in second.tail())
    first.freeze()
    assert installation.leading(second) == term + 1
    installation.version("churn-3")
    installation.until("the second one's work", lambda: installation.ready("churn-3") == ("Unknown", "Verifying"))
    before = installation.kubectl.get(installation.users, "modelversion", "churn-3")
    first.thaw()
    installation.until("the first one's end", lambda: not first.running)
    assert "this process ends" in first.tail()
    lease = installation.kubectl.get(installation.namespace, "lease", "podium-operator")
    assert lease is not None
    assert lease["spec"]["holderIdentity"].startswith("second_")
    assert installation.kubectl.get(installation.users, "modelversion", "churn-3") == before


def test_a_deleted_lease_ends_its_holder_and_the_next_term_is_higher(installation: Installation) -> None:
    first = installation.start_operator("first")
    term = installation.leading(first)
    installation.kubectl("-n", installation.namespace, "delete", "lease", "podium-operator")
    installation.until("the first one's end", lambda: not first.running)
    second = installation.start_operator("second")
    # A Lease without a past counts from the second of its making.
    assert installation.leading(second) >= term
