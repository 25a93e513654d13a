"""What status says of the monitor's evidence."""

from typing import Any

import pytest

from evidence_fixtures import challenger_evidence, evidence, finding
from podium_crds.evidence import ChallengerEvidence
from podium_crds.v1alpha1.meta import Condition
from podium_crds.v1alpha1.model_deployment import ChallengerStatus
from podium_operator.conditions import Wanted
from podium_operator.deployments.evidence import (
    Monitored,
    conditions,
    is_decided,
    outline,
    said,
    sentence,
    standing_conditions,
    with_evidence,
)

DRIFT = finding()
NO_DRIFT = finding(status="False", reason="NoDrift", message="no column drifted")
LONG_SILENT = "the monitor has not answered for more than ten minutes: connection refused"


def condition(type_: str, status: Any = "True", reason: str = "InputsDrifted", message: str = "as it was") -> Condition:
    return Condition(type=type_, status=status, last_transition_time="2026-11-21T12:00:00Z", reason=reason, message=message)


STOOD = [condition("Ready", reason="Serving"), condition("DriftDetected"), condition("FairnessDegraded", "False", "Fair")]
KEPT = [
    Wanted("DriftDetected", "True", "InputsDrifted", "as it was"),
    Wanted("FairnessDegraded", "False", "Fair", "as it was"),
]


@pytest.mark.parametrize(
    ("monitored", "before", "wanted"),
    [
        pytest.param(None, STOOD, [], id="no monitor, or no capture: nothing is said, whatever stood there"),
        pytest.param(
            Monitored(evidence(DRIFT)),
            [],
            [Wanted("DriftDetected", "True", "InputsDrifted", "PSI of tenure is 0.31, above 0.25")],
            id="a finding is a condition",
        ),
        pytest.param(
            Monitored(evidence(NO_DRIFT)),
            STOOD,
            [Wanted("DriftDetected", "False", "NoDrift", "no column drifted")],
            id="what the monitor tells no more goes away",
        ),
        pytest.param(
            Monitored(evidence(NO_DRIFT, DRIFT)),
            [],
            [Wanted("DriftDetected", "True", "InputsDrifted", "PSI of tenure is 0.31, above 0.25")],
            id="of two of a type the worst: the API server takes no type twice",
        ),
        pytest.param(Monitored(), STOOD, KEPT, id="not asked yet, as after a restart: what stood there stands"),
        pytest.param(Monitored(nothing_known=True), STOOD, [], id="the monitor knows nothing of it yet"),
        pytest.param(
            Monitored(evidence(DRIFT), unreachable=LONG_SILENT),
            STOOD,
            [
                Wanted("DriftDetected", "Unknown", "MonitorUnreachable", LONG_SILENT),
                Wanted("FairnessDegraded", "Unknown", "MonitorUnreachable", LONG_SILENT),
            ],
            id="silent for long: each that stood is unknown",
        ),
        pytest.param(
            Monitored(unreachable=LONG_SILENT),
            [],
            [
                Wanted("DriftDetected", "Unknown", "MonitorUnreachable", LONG_SILENT),
                Wanted("PerformanceDegraded", "Unknown", "MonitorUnreachable", LONG_SILENT),
            ],
            id="silent from the start: what is always watched is unknown",
        ),
    ],
)
def test_findings_become_conditions(monitored: Monitored | None, before: list[Condition], wanted: list[Wanted]) -> None:
    assert conditions(monitored, before) == wanted


def test_all_conditions_together_fit_the_status() -> None:
    """Ready, Reconciling, Stalled, ChampionServing, ChallengersServing, and one of each finding: 16 are allowed."""
    all_types = ["DriftDetected", "PerformanceDegraded", "FairnessDegraded", "LabelsLate", "BusinessValueLow"]
    found = conditions(Monitored(evidence(*(finding(type_) for type_ in all_types))), [])
    assert sorted(item.type for item in found) == sorted(all_types)
    assert standing_conditions([condition(type_) for type_ in all_types]) != []


def status(digest: str = "sha256:5", **figures: Any) -> ChallengerStatus:
    return ChallengerStatus(
        name="neural-net", model_version="churn-5", digest=digest, mode="Shadow", state="Serving", **figures
    )


FIGURES: dict[str, Any] = {
    "labels": 4120,
    "improvement": "0.01312",
    "interval": ["0.0021", "0.0241"],
    "decision": "Undecided",
    "evidence": "not decided yet: LogLoss improves by 0.01312 (0.0021 to 0.0241, asked for 0.01), 4120 labelled units",
}
OLD_FIGURES: dict[str, Any] = {**FIGURES, "labels": 4000}


@pytest.mark.parametrize(
    ("monitored", "before", "figures"),
    [
        pytest.param(Monitored(evidence(challenger_evidence())), [], FIGURES, id="figures of this package"),
        pytest.param(
            Monitored(evidence(challenger_evidence(digest="sha256:4"))),
            [],
            {},
            id="evidence of another package",
        ),
        pytest.param(Monitored(), [status(**OLD_FIGURES)], OLD_FIGURES, id="not asked yet: what stood there stands"),
        pytest.param(Monitored(), [status("sha256:4", **OLD_FIGURES)], {}, id="not asked yet, and what stood was another's"),
        pytest.param(Monitored(nothing_known=True), [status(**OLD_FIGURES)], {}, id="the monitor knows nothing of it"),
        pytest.param(None, [status(**OLD_FIGURES)], {}, id="no monitor"),
        pytest.param(
            Monitored(evidence(challenger_evidence()), unreachable=LONG_SILENT),
            [],
            FIGURES,
            id="silent for long: figures were true when they were told",
        ),
    ],
)
def test_figures_stand_beside_their_challenger(
    monitored: Monitored | None, before: list[ChallengerStatus], figures: dict[str, Any]
) -> None:
    assert with_evidence([status()], monitored, before) == [status(**figures)]


def test_figures_that_are_no_numbers_are_left_out() -> None:
    [found] = with_evidence([status()], Monitored(evidence(challenger_evidence(low=float("-inf"), improvement=None))), [])
    assert (found.labels, found.improvement, found.interval) == (4120, None, None)


BROKEN = {"name": "latency", "type": "P99", "state": "Broken", "message": "p99 is 31 % above the champion's"}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        pytest.param(
            challenger_evidence(units=12, decision="NotEnoughData", improvement=None, reasons=["1,000 units are needed"]),
            "not enough data yet, 12 labelled units; 1,000 units are needed",
            id="early",
        ),
        pytest.param(
            challenger_evidence(decision="Better", low=0.0111),
            "better than the champion: LogLoss improves by 0.01312 (0.0111 to 0.0241, asked for 0.01), 4120 labelled units",
            id="decided",
        ),
        pytest.param(
            challenger_evidence(
                decision="Better", low=0.0111, guardrails=[BROKEN, {**BROKEN, "name": "b", "state": "Kept"}]
            ),
            "better than the champion: LogLoss improves by 0.01312 (0.0111 to 0.0241, asked for 0.01), 4120 labelled units; "
            "guardrail 'latency' is broken: p99 is 31 % above the champion's",
            id="decided, at a price",
        ),
    ],
)
def test_the_decision_is_a_sentence_with_its_figures(found: ChallengerEvidence, says: str) -> None:
    assert sentence(found) == says


@pytest.mark.parametrize("decision", ["Better", "NotBetter", "Worse", "Recommended", "Invalid"])
def test_what_people_want_to_hear_of_is_decided(decision: Any) -> None:
    assert is_decided(decision)
    assert not any(is_decided(open_) for open_ in (None, "NotEnoughData", "Undecided"))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(evidence(challenger_evidence(improvement=0.0131239), DRIFT), True, id="a digit that nobody sees"),
        pytest.param(evidence(challenger_evidence(path=[], data={"files": 7}), DRIFT), True, id="what status does not show"),
        pytest.param(evidence(challenger_evidence(units=4121), DRIFT), False, id="one more label"),
        pytest.param(evidence(challenger_evidence(), NO_DRIFT), False, id="another finding"),
    ],
)
def test_two_answers_say_the_same_where_status_would_not_differ(other: Any, same: bool) -> None:
    assert (said(Monitored(evidence(challenger_evidence(), DRIFT))) == said(Monitored(other))) is same
    assert said(Monitored(other)) != said(Monitored(other, unreachable=LONG_SILENT))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(evidence(challenger_evidence(units=9, improvement=9.0), DRIFT), True, id="other figures"),
        pytest.param(evidence(challenger_evidence(), finding(message="PSI is 0.4")), True, id="another sentence"),
        pytest.param(evidence(challenger_evidence(decision="Better"), DRIFT), False, id="a decision"),
        pytest.param(evidence(challenger_evidence(guardrails=[BROKEN]), DRIFT), False, id="a broken guardrail"),
        pytest.param(evidence(challenger_evidence(), NO_DRIFT), False, id="a finding that is over"),
        pytest.param(evidence(challenger_evidence()), False, id="a finding less"),
    ],
)
def test_what_people_want_to_know_at_once(other: Any, same: bool) -> None:
    assert (outline(Monitored(evidence(challenger_evidence(), DRIFT))) == outline(Monitored(other))) is same
