"""What a page shows, from what is known: pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import yaml

from dashboard_fixtures import Story, card, evaluation, evidence, findings, version, watched
from podium_crds.evidence import Finding
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.documents import with_outlines
from podium_monitor.dashboard.routes import query_of
from podium_monitor.dashboard.views import arms
from podium_monitor.dashboard.views.deployment import DeploymentPage, deployment_page, deployment_sections
from podium_monitor.dashboard.views.glance import Glance, glance_of
from podium_monitor.dashboard.views.health import gravest, health
from podium_monitor.dashboard.views.overview import Row, ordered, row, selected
from podium_monitor.dashboard.views.version import version_page
from podium_monitor.evaluations.timeline import timeline_of
from podium_monitor.world import Watched
from podium_pages.parts import Section

SMALL = {"days": 20, "drift_from": 12, "columns": ("age", "total_charges", "payment_method"), "label_lag_days": 3}


def story(**changes: Any) -> Story:
    return Story(**{**SMALL, **changes})


def page(told: Story, **changes: Any) -> DeploymentPage:
    one = replace(watched(told), **changes)
    found = evaluation(told)
    return deployment_page(one, found, evidence(told), findings(one, found), "Day")


def glance(told: Story) -> Glance:
    """As it is read: by way of its JSON."""
    one, found = watched(told), evaluation(told)
    made = glance_of(one, found, findings(one, found))
    return msgspec.json.decode(msgspec.json.encode(made), type=Glance)


def sections(told: Story) -> Sequence[Section]:
    return deployment_sections(watched(told), evaluation(told), evidence(told), "Day")


def section(shown: Sequence[Section], identity: str) -> Section:
    return next(one for one in shown if one.identity == identity)


def with_spec(one: Watched, **changes: Any) -> Watched:
    return replace(one, spec=ModelDeploymentSpec.model_validate({**one.spec.model_dump(by_alias=True), **changes}))


def with_condition(one: Watched, kind: str, status: str, message: str) -> Watched:
    assert one.status is not None
    condition = one.status.conditions[0].model_copy(update={"type": kind, "status": status, "message": message})
    others = [found for found in one.status.conditions if found.type != kind]
    return replace(one, status=one.status.model_copy(update={"conditions": [*others, condition]}))


def found(kind: Any, severity: Any, status: Any = "True") -> Finding:
    return Finding(type=kind, status=status, reason="Because", message=f"{kind} is so", severity=severity)


DRIFT, FELL = found("DriftDetected", "Warning"), found("PerformanceDegraded", "Critical")


@pytest.mark.parametrize(
    ("changed", "findings_now", "level", "word"),
    [
        pytest.param({}, [], "Good", "Healthy", id="all-is-well"),
        pytest.param({}, [DRIFT], "Warning", "Drift", id="drift"),
        pytest.param({}, [DRIFT, FELL], "Critical", "Performance degraded", id="the-gravest-is-told"),
        pytest.param({}, [found("LabelsLate", "None", "False")], "Good", "Healthy", id="what-is-not-so-is-not-told"),
        pytest.param({"Ready": "False"}, [DRIFT], "Critical", "Not ready", id="serving-comes-before-monitoring"),
        pytest.param({"Stalled": "True"}, [], "Critical", "Stalled", id="stalled"),
        pytest.param({"Ready": "Unknown"}, [], "Unknown", "Starting", id="starting"),
        pytest.param({"Ready": "Unknown"}, [DRIFT], "Warning", "Drift", id="a-start-does-not-hide-drift"),
    ],
)
def test_health_is_the_worst_that_is_known(
    changed: dict[str, str], findings_now: list[Finding], level: str, word: str
) -> None:
    one = watched(story())
    for kind, status in changed.items():
        one = with_condition(one, kind, status, "why")
    badge, _ = health(one, gravest(findings_now), evaluated=True)
    assert (badge.level, badge.text) == (level, word)


def test_health_without_an_evaluation_or_a_status_is_unknown() -> None:
    one = watched(story())
    assert health(one, None, evaluated=False)[0].text == "No data yet"
    assert health(replace(one, status=None), None, evaluated=False)[0].text == "Starting"


def test_a_row_tells_the_champion_its_challengers_and_the_newest_figures() -> None:
    told = story()
    made = row(watched(told), glance(told), evidence(told))
    assert (made.namespace, made.name, made.champion) == ("retention", "churn", "churn-3")
    assert [(each.name, each.mode, each.decision and each.decision.text) for each in made.contenders] == [
        ("gradient-boosting", "shadow", "Better"),
        ("neural-net", "10 %", "Undecided"),
    ]
    assert made.drift.text == "2 of 4"
    assert made.drift.badge is not None
    assert made.drift.badge.level == "Critical"
    assert (made.performance.detail, made.value.detail) == ("AUC", "margin per decision")
    assert made.labels.text == "91.3 %"


def test_without_labels_a_row_says_the_estimate_and_that_it_is_one() -> None:
    told = story(labelled=False)
    made = row(watched(told), glance(told), None)
    assert made.performance.text.startswith("≈ 0.87")
    assert made.performance.detail == "AUC, estimated"
    assert made.value.detail == "margin: no outcomes yet"
    assert made.labels.text == "–"


def rows() -> list[Row]:
    told = [
        story(name="b", drifting=()),
        story(name="a"),
        story(name="c", namespace="payments", labelled=False, drifting=()),
    ]
    return [row(watched(one), glance(one), None) for one in told]


@pytest.mark.parametrize(
    ("key", "backwards", "names"),
    [
        pytest.param("health", False, ["a", "c", "b"], id="the-worst-first-equals-by-namespace-and-name"),
        pytest.param("health", True, ["c", "b", "a"], id="the-best-first"),
        pytest.param("name", True, ["b", "a", "c"], id="by-namespace-and-name-backwards"),
        pytest.param("champion", False, ["a", "b", "c"], id="by-version"),
        pytest.param("labels", True, ["a", "b", "c"], id="what-cannot-be-said-comes-last"),
        pytest.param("labels", False, ["a", "b", "c"], id="backwards-too"),
    ],
)
def test_rows_are_ordered(key: Any, backwards: bool, names: list[str]) -> None:
    assert [one.name for one in ordered(rows(), key, backwards)] == names


def test_rows_are_found_by_namespace_name_version_and_reason_in_any_case() -> None:
    everything = rows()
    assert {one.name for one in selected(everything, "payments", "")} == {"c"}
    assert {one.name for one in selected(everything, "", "A-3")} == {"a"}
    assert {one.name for one in selected(everything, "", "DRIFTED")} == {"a"}
    assert selected(everything, "", "<script>") == []


def test_what_is_not_understood_of_an_address_is_not_asked_for() -> None:
    query = query_of({"sort": "secret", "q": "x" * 500, "order": "desc"})
    assert (query.sort, len(query.text), query.backwards) == ("health", 200, True)
    assert query_of({"sort": "drift"}).sorted_by("drift") == "/?sort=drift&order=desc"
    assert query_of({"sort": "drift", "order": "desc", "q": "a&b"}).sorted_by("drift") == "/?q=a%26b&sort=drift"


def test_a_deployment_has_a_section_for_each_thing_that_is_watched() -> None:
    shown = sections(story())
    assert [one.identity for one in shown] == [
        "traffic", "evidence", "performance", "segments", "drift", "fairness", "value", "quality", "days",
    ]  # fmt: skip
    assert all(one.empty is None for one in shown)
    assert len({one.identity for one in shown} | {"state", "diagnosis", "timeline"}) == 12


def test_each_day_that_stood_out_is_told_and_how_far_importance_moved() -> None:
    shown = sections(story())
    told = section(shown, "days")
    assert [part.title for part in told.parts[:2]] == ["2026-11-20", "2026-11-19"], "the newest first"
    assert len(told.parts) == 8
    assert any("61.3 times" in said for said in told.parts[-1].says)
    [moved] = [chart for part in section(shown, "drift").parts for chart in part.charts if "importance" in chart.title]
    assert len(moved.table.rows) == 20
    calm = section(sections(story(drifting=())), "days")
    assert calm.empty is not None
    assert calm.empty.says == "No day stood out."


def test_estimates_carry_what_must_be_true_for_them() -> None:
    assert "valid only if calibrated and without concept drift" in section(sections(story()), "performance").caution


def test_each_empty_section_says_what_to_do_about_it() -> None:
    told = story()
    one = with_spec(watched(told), monitoring={}, capture={"percent": 0}, challengers=[])
    shown = deployment_sections(one, None, None, "Day")
    told_so = {each.identity: each.empty for each in shown}
    assert all(told_so.values())
    assert "percent: 100" in told_so["traffic"].code  # type: ignore[union-attr]  # all are there
    assert "podium feedback" in told_so["performance"].code  # type: ignore[union-attr]
    for identity, wanted in (("segments", "segments"), ("fairness", "protected"), ("value", "business")):
        assert wanted in told_so[identity].code  # type: ignore[union-attr]


def test_the_manifests_that_empty_sections_propose_are_valid() -> None:
    one = with_spec(watched(story()), monitoring={}, capture={"percent": 0}, challengers=[])
    shown = deployment_sections(one, None, None, "Day")
    proposed = [each.empty.code for each in shown if each.empty and each.empty.code.startswith("spec:")]
    assert len(proposed) >= 5
    champion = {"champion": {"modelVersionRef": {"name": "churn-3"}}}
    for code in proposed:
        written = yaml.safe_load(code.replace("<a ModelVersion>", "churn-4").replace("<input>", "age"))
        ModelDeploymentSpec.model_validate(champion | written["spec"])


def test_the_champion_of_now_leads_and_former_ones_keep_lines_of_their_own() -> None:
    told = story()
    document = evaluation(told)
    former = document.arms[0]
    now = type(former)(name="champion", version="churn-9", role="Champion", days=former.days[-3:])
    document.arms.append(now)
    one = watched(told)
    assert one.status is not None
    assert one.status.champion is not None
    champion = one.status.champion.model_copy(update={"model_version": "churn-9"})
    moved = replace(one, status=one.status.model_copy(update={"champion": champion}))
    names = [arms.named(arm) for arm in arms.shown(moved, document)]
    assert names == ["champion churn-9", "gradient-boosting churn-4", "neural-net churn-5", "champion churn-3"]


def test_a_broken_split_and_every_guardrail_are_told() -> None:
    shown = section(sections(story()), "evidence")
    assert shown.parts[1].says[-1].startswith("The split is as planned: champion 18,122 of 18,090")
    table = shown.parts[0].table
    assert table is not None
    assert [line[1] for line in table.rows] == ["✓ Kept", "○ Not enough data"]


def test_a_version_shows_its_card_its_checks_and_where_it_is_used() -> None:
    users = [watched(story()), with_spec(watched(story(name="other")), champion={"modelVersionRef": {"name": "churn-3"}})]
    shown = version_page("retention", version("churn-3"), users, card())
    assert [(use.deployment, use.role) for use in shown.uses] == [("churn", "champion"), ("other", "champion")]
    assert "30 days" in shown.documentation
    assert {fact.term: fact.value for fact in shown.training}["AUC"] == "0.874"
    assert shown.inputs is not None
    assert shown.inputs.rows[1][-1] == "month, year, two years"
    assert shown.badge.text == "Verified"
    bare = version_page("retention", replace(version("churn-3"), status=None), users, None)
    assert (bare.badge.text, bare.inputs, bare.checks) == ("Not checked", None, [])


def test_hours_whose_labels_have_not_come_show_estimates_and_no_empty_chart() -> None:
    told = story()
    one, found_evaluation = watched(told), evaluation(told)
    shown = section(deployment_sections(one, found_evaluation, None, "Hour"), "performance")
    assert shown.empty is not None
    assert shown.empty.code == "", "labels do come: nobody has to be told how to send them"
    assert [chart.title for chart in shown.parts[0].charts] == ["AUC", "Accuracy"]


@pytest.mark.parametrize("changes", [{}, {"drifting": ()}, {"labelled": False}])
def test_outlines_say_all_that_a_page_says_of_a_deployment_beside_its_sections(changes: dict[str, Any]) -> None:
    told = story(**changes)
    one, whole, known = watched(told), evaluation(told), evidence(told)
    head = with_outlines(whole)
    assert deployment_page(one, head, known, findings(one, head), "Day") == deployment_page(
        one, whole, known, findings(one, whole), "Day"
    )
    assert timeline_of(head, known) == timeline_of(whole, known)
