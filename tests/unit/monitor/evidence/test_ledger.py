"""Which trial a challenger is, what begins another one, and what a unit is."""

from datetime import timedelta
from typing import Any

import pytest

from evidence_lake_fixtures import CANARY, CHALLENGER, CHAMPION, SHADOW, START, watched
from podium_monitor.evidence.ledger import Ledger, enrolled, questions, unit_rule
from podium_monitor.world import Watched

LATER = START + timedelta(days=1)


def enrolled_in_turn(*seen: Watched) -> Ledger:
    ledger = None
    for day, one in enumerate(seen):
        ledger = enrolled(ledger, one, START + timedelta(days=day))
    assert ledger is not None
    return ledger


def test_the_first_trial_of_a_version_counts_from_the_deployments_beginning() -> None:
    [trial] = enrolled(None, watched(), LATER).trials
    assert trial.nth == 1
    assert trial.begins_at.isoformat() == "2026-11-20T00:00:00+00:00"
    assert (trial.question.digest, trial.question.champion_digest) == (CHALLENGER, CHAMPION)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"promotion": {"metric": {"type": "Brier"}}}, id="metric"),
        pytest.param({"promotion": {"metric": {"type": "LogLoss", "minimumImprovement": "0.01"}}}, id="minimum"),
        pytest.param({"promotion": {"metric": {"type": "LogLoss", "alpha": "0.1"}}}, id="alpha"),
        pytest.param({"monitoring": {"labels": {"horizonSeconds": 60}}}, id="horizon"),
        pytest.param({"monitoring": {"labels": {"horizonSeconds": 3600, "minimumCoverage": "0.8"}}}, id="coverage"),
        pytest.param({"stickyBy": {"type": "Input", "input": "customer"}}, id="unit"),
    ],
)
def test_another_question_is_another_trial_on_rows_that_come_after(changed: Any) -> None:
    ledger = enrolled_in_turn(watched(), watched(**changed))
    assert [trial.nth for trial in ledger.trials] == [1, 2]
    assert ledger.trials[1].begins_at == START + timedelta(days=1)
    assert ledger.trials[1].alpha < ledger.trials[0].alpha


def test_what_comes_again_as_it_was_goes_on_where_it_stood() -> None:
    other = watched({**SHADOW, "name": "other"})
    ledger = enrolled_in_turn(watched(), other, watched())
    assert [trial.question.name for trial in ledger.trials] == ["boosted", "other"]


def test_the_same_version_under_another_name_does_not_count_again_what_was_seen() -> None:
    ledger = enrolled_in_turn(watched(), watched({**SHADOW, "name": "other"}))
    assert ledger.trials[1].begins_at == START + timedelta(days=1)


def test_a_deployment_that_is_made_anew_begins_a_new_life() -> None:
    one = watched()
    again = Watched(one.namespace, one.name, "uid-2", one.created_at, one.spec, one.status)
    ledger = enrolled_in_turn(one, again)
    assert (ledger.uid, len(ledger.trials)) == ("uid-2", 1)


def test_a_challenger_whose_package_is_unknown_is_not_asked_about_yet() -> None:
    one = watched()
    bare = Watched(one.namespace, one.name, one.uid, one.created_at, one.spec)
    assert list(questions(bare)) == []


def with_status(one: Watched, **changed: Any) -> Watched:
    assert one.status is not None
    shown = [entry.model_copy(update=changed) for entry in one.status.challengers]
    status = one.status.model_copy(update={"challengers": shown if changed else []})
    return Watched(one.namespace, one.name, one.uid, one.created_at, one.spec, status)


def test_a_challenger_is_asked_about_once_it_serves_and_never_against_itself() -> None:
    assert enrolled(None, with_status(watched(), state="Starting"), START).trials == ()
    assert enrolled(None, with_status(watched(), digest=CHAMPION), START).trials == ()


def test_against_another_champion_a_version_counts_from_the_beginning() -> None:
    """No row of these two versions was ever looked at."""
    one = watched()
    assert one.status is not None
    assert one.status.champion is not None
    champion = one.status.champion.model_copy(update={"digest": "sha256:8"})
    status = one.status.model_copy(update={"champion": champion})
    other = Watched(one.namespace, one.name, one.uid, one.created_at, one.spec, status)
    ledger = enrolled_in_turn(other, one)
    assert [trial.nth for trial in ledger.trials] == [1, 2]
    assert ledger.trials[1].begins_at.isoformat() == "2026-11-20T00:00:00+00:00"


@pytest.mark.parametrize(
    ("sticky", "join", "shadow", "canary"),
    [
        ({}, {}, "Row", "Request"),
        ({}, {"type": "Input", "input": "customer"}, "JoinKey", "JoinKey"),
        ({"type": "Input", "input": "customer"}, {}, "JoinKey", "JoinKey"),
        ({"type": "Input", "input": "customer"}, {"type": "Request"}, "UnitKey", "UnitKey"),
        ({"type": "Input", "input": "customer"}, {"type": "Input", "input": "customer"}, "JoinKey", "JoinKey"),
        ({"type": "Header", "header": "X-A"}, {"type": "Header", "header": "x-a"}, "JoinKey", "JoinKey"),
        ({"type": "Header", "header": "X-A"}, {"type": "Request"}, "UnitKey", "UnitKey"),
    ],
)
def test_what_a_unit_is(sticky: Any, join: Any, shadow: Any, canary: Any) -> None:
    one = watched(CANARY, stickyBy=sticky, capture={"joinKey": join})
    assert (unit_rule(one, "Shadow"), unit_rule(one, "Canary")) == (shadow, canary)
