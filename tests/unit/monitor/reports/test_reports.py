"""Reports of deployments as a busy cluster has them, read back from HTML and PDF."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pypdfium2
import pytest

from dashboard_fixtures import HOSTILE, NOW, Story, card, evaluation, evidence, findings, watched
from podium_evaluation.documents import DeploymentEvaluation, with_outlines
from podium_monitor.lake.store import FolderStore
from podium_monitor.reports.report import Known, Week, health_report, modelling_report, week_named, week_of
from podium_monitor.reports.scheduled import SETTLING, WeeklyReports
from podium_pages.html import html
from podium_pages.pdf import pdf
from podium_pages.report import Report


def known(story: Story) -> Known:
    one, found = watched(story), evaluation(story)
    return Known(one, found, evidence(story), findings(one, found))


def health(story: Story, week: Week) -> Report:
    return health_report(known(story), week, NOW)


def modelling(story: Story) -> Report:
    found = known(story)
    return modelling_report(found, next(iter(found.watched.versions.values())), card(), NOW)


class Words(HTMLParser):
    """Text, tags and attributes as a browser would see them."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(content: bytes) -> str:
    document: Any = pypdfium2.PdfDocument(content)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def test_a_week_is_told_from_its_own_days_only() -> None:
    drifted, before = health(Story(), Week(2026, 45)), health(Story(), Week(2026, 38))
    assert any("drift alerts on" in one and "total_charges (7 days)" in one for one in drifted.sentences)
    assert any("champion (churn-3, champion)" in one and "no drift" in one for one in before.sentences)
    [performance] = [section for section in before.sections if section.identity == "performance"]
    days = {row[0] for part in performance.parts for chart in part.charts for row in chart.table.rows}
    assert not any("Nov" in day for day in days), days


def test_a_week_without_a_prediction_says_so() -> None:
    report = health(Story(), Week(2020, 1))
    assert report.sentences[0] == "No prediction of this week was evaluated."
    assert "No prediction of this week was evaluated." in text_of(pdf(report))


def test_html_and_pdf_say_the_same() -> None:
    report = health(Story(), Week(2026, 45))
    page, printed = Words(html(report)).text, text_of(pdf(report)).replace("\r\n", " ").replace("\n", " ")
    for said in ("churn: health of week 2026-W45", "Champion against challengers", "payment_method", "Data quality", "α"):
        assert said in page
        assert said in printed
    assert "script" not in Words(html(report)).tags


def test_a_modelling_report_holds_card_checks_and_validation() -> None:
    printed = text_of(pdf(modelling(Story())))
    for said in ("modelling report", "Model card", "Checks before it served", "Golden rows", "ROC curve", "Fairness"):
        assert said in printed


def test_a_version_that_never_answered_has_its_card_all_the_same() -> None:
    found = known(Story())
    assert found.evaluation is not None
    empty = replace(found, evaluation=msgspec.structs.replace(found.evaluation, arms=[]))
    report = modelling_report(empty, next(iter(found.watched.versions.values())), None, NOW)
    said = Words(html(report)).text
    assert "No pod has handed the version's card" in said
    assert "has not answered or shadowed a captured prediction yet" in said


def test_what_clients_sent_is_text_and_nothing_else() -> None:
    report = health(Story(hostile=True), week_of(NOW))
    page = Words(html(report))
    assert HOSTILE in page.text or "<script>alert" in page.text
    assert not {"script", "img", "iframe"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<script>" in text_of(pdf(report))


def test_a_week_is_reported_once_when_it_is_over_and_settled(tmp_path: Path) -> None:
    store, one = FolderStore(tmp_path), outlined(known(Story()))
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    early = WeeklyReports(store).make_due(one, monday + SETTLING - timedelta(seconds=1), whole)
    assert early == Week(2026, 45)  # the one before: nobody had made it
    weekly = WeeklyReports(store)
    assert weekly.make_due(one, monday + SETTLING, whole) == Week(2026, 46)
    assert weekly.make_due(one, monday + timedelta(days=2), whole) is None
    assert WeeklyReports(store).make_due(one, monday + timedelta(days=2), whole) is None
    folder = tmp_path / "reports/namespace=retention/deployment=churn"
    names = {path.name for path in folder.iterdir()}
    assert names == {f"health-2026-W{week}.{ending}" for week in (45, 46) for ending in ("html", "pdf")}
    assert "out of range" in (folder / "health-2026-W46.html").read_text().lower(), "days are whole in reports"


def outlined(found: Known) -> Known:
    """As the rounds know a deployment."""
    assert found.evaluation is not None
    return replace(found, evaluation=with_outlines(found.evaluation))


def whole(_namespace: str, _name: str) -> DeploymentEvaluation | None:
    return known(Story()).evaluation


def test_a_week_without_days_is_not_reported(tmp_path: Path) -> None:
    assert WeeklyReports(FolderStore(tmp_path)).make_due(known(Story()), datetime(2030, 1, 1, tzinfo=UTC), whole) is None
    assert list(tmp_path.rglob("*.html")) == []


@pytest.mark.parametrize(("text", "start"), [("2026-W47", (2026, 11, 16)), ("2026-W53", (2026, 12, 28))])
def test_weeks_are_those_of_iso_8601(text: str, start: tuple[int, int, int]) -> None:
    week = week_named(text)
    assert week.start == datetime(*start, tzinfo=UTC)
    assert week_of(week.end - timedelta(microseconds=1)) == week
    assert week.name == text


@pytest.mark.parametrize("text", ["2025-W53", "2026-W00", "2026-47", "W47", "", "2026-W5", "-W1", "99999-W01", "9999-W52"])
def test_what_is_no_week_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="as in 2026-W47"):
        week_named(text)
