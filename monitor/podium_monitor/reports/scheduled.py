"""Weekly health reports: made once a week is over, kept beside the lake, told to whoever is told of things.

    reports/namespace=shop/deployment=churn/health-2026-W47.html
    reports/namespace=shop/deployment=churn/health-2026-W47.pdf

A week that ended while nobody looked is made up for when the evaluator is back, the last one only: older ones can be asked
for as long as their days are kept.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from podium_evaluation.documents import DeploymentEvaluation
from podium_monitor.lake.store import Store
from podium_monitor.reports.report import Known, Week, health_report, week_of
from podium_pages.html import html
from podium_pages.pdf import pdf

SETTLING = timedelta(hours=6)
"""After a week's end: its last hours have been evaluated by then, and the collector has filed what came late."""


class WeeklyReports:
    """Blocking, for the evaluator's thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made: dict[tuple[str, str], str] = {}
        """By namespace and deployment, the newest week that is there."""

    def make_due(self, known: Known, now: datetime, whole: Callable[[str, str], DeploymentEvaluation | None]) -> Week | None:
        """The week whose report was made just now. Of `known` the days may be outlines: `whole` is asked for the evaluation
        itself, by namespace and name, when a report is due. Raises OSError for the store's."""
        week = week_of(now - SETTLING - timedelta(days=7))
        key = (known.watched.namespace, known.watched.name)
        if self._made.get(key) == week.name or not _has_days(known, week):
            return None
        made = self._make(replace(known, evaluation=whole(*key)), week, now)
        self._made[key] = week.name
        return week if made else None

    def _make(self, known: Known, week: Week, now: datetime) -> bool:
        """False: it was there. The HTML is written last, so where it is, both are."""
        report = health_report(known, week, now)
        stem = report_stem(known.watched.namespace, known.watched.name, week)
        try:
            self._store.read(f"{stem}.html")
        except FileNotFoundError:
            self._store.replace(f"{stem}.pdf", pdf(report))
            self._store.replace(f"{stem}.html", html(report))
            return True
        return False


def report_stem(namespace: str, deployment: str, week: Week) -> str:
    """The path below the lake's root, without its ending."""
    return f"reports/namespace={namespace}/deployment={deployment}/health-{week.name}"


def _has_days(known: Known, week: Week) -> bool:
    arms = known.evaluation.arms if known.evaluation else []
    return any(week.start <= day.start < week.end for arm in arms for day in arm.days)
