"""Summaries become a deployment's document: only windows whose hours changed are computed, the others are kept."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby, takewhile
from operator import itemgetter

from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.bins import bin_names
from podium_evaluation.documents import Arm, Curve, DeploymentEvaluation, Histogram, Window
from podium_evaluation.figures import calibration_points, lift_points, roc_points
from podium_evaluation.tallies import Tally, below
from podium_monitor.evaluations.arms import Place, place_of
from podium_monitor.evaluations.daily import ReferenceOf, explain
from podium_monitor.evaluations.keeping import ArmSummary, merged
from podium_monitor.evaluations.subject import NumericColumn, Subject
from podium_monitor.evaluations.windows import FEWEST_LABELLED, Usual, coarse_counts, window_of

MOST_DAYS = 90
MOST_HOURS = 72
_DATE_LENGTH, _HOUR_LENGTH = len("2026-11-21"), len("2026-11-21T13")
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

SummaryOf = Callable[[str], list[ArmSummary]]
"""By hour, `2026-11-21T13`."""


@dataclass(frozen=True)
class Measures:
    """How a version is measured."""

    subject: Subject
    usual: Callable[[int], Usual]
    """By the window's labelled rows."""
    weights: Callable[[], Mapping[str, float]]
    """How strongly each input goes with the score in the reference; empty without one."""
    reference: ReferenceOf


@dataclass
class Assembled:
    """Arms, and of what sentences are made: the tallies and samples of each arm's newest day."""

    arms: list[Arm]
    newest: dict[Place, ArmSummary] = field(default_factory=dict)
    labelled: dict[Place, Tally] = field(default_factory=dict)
    """Of each arm's newest day with labels enough."""
    dates: set[str] = field(default_factory=set)
    """All that the arms show."""
    computed: set[str] = field(default_factory=set)
    """Those whose days are whole; the others are outlines."""


def digests_of(hours: Mapping[str, list[int]]) -> dict[str, int]:
    """What a document shows, from digests of hours' summaries by date (0: none): by date, and by hour of the newest."""
    newest: dict[str, int] = {}
    for date in sorted(hours, reverse=True):
        for clock in range(len(hours[date]) - 1, -1, -1):
            if hours[date][clock] and len(newest) < MOST_HOURS:
                newest[f"{date}T{clock:02}"] = hours[date][clock]
        if len(newest) == MOST_HOURS:
            break
    return {date: _digest(hours[date]) for date in sorted(hours)[-MOST_DAYS:]} | newest


def _digest(digests: list[int]) -> int:
    return int.from_bytes(hashlib.blake2b(repr(digests).encode(), digest_size=7).digest())


def changed_dates(names: Iterable[str]) -> set[str]:
    """Of dates and hours."""
    return {name for name in names if len(name) == _DATE_LENGTH}


class Assembly:
    """One document. `hours` are all that have a summary, sorted; `changed` names the dates and the hours that are not as
    the previous document knew them."""

    def __init__(
        self,
        spec: ModelDeploymentSpec,
        measures_of: Callable[[str], Measures],
        summary_of: SummaryOf,
        hours: list[str],
        changed: set[str],
        previous: DeploymentEvaluation | None,
    ) -> None:
        self._spec, self._measures_of, self._summary_of = spec, measures_of, summary_of
        self._hours, self._changed = hours, changed
        self._of_date = {date: list(of_date) for date, of_date in groupby(hours, itemgetter(slice(_DATE_LENGTH)))}
        self._old = {(arm.name, arm.version, arm.role): arm for arm in (previous.arms if previous else [])}
        self._summaries: dict[str, dict[Place, ArmSummary]] = {}

    def assembled(self) -> Assembled:
        dates = [*self._of_date][-MOST_DAYS:]
        computed = {dates[-1], *(changed_dates(self._changed) & set(dates))} if dates else set()
        days: dict[Place, dict[datetime, Window]] = self._kept("days")
        newest: dict[Place, ArmSummary] = {}
        for date in dates:
            if date in computed:
                start = _time(f"{date}T00")
                of_day = self._of(self._of_date[date])
                self._put(days, of_day, start, start + _DAY)
                self._explain(days, of_day, start)
                newest |= of_day
        hours: dict[Place, dict[datetime, Window]] = self._kept("hours")
        for hour in self._hours[-MOST_HOURS:]:
            if hour in self._changed:
                self._put(hours, self._of([hour]), _time(hour), _time(hour) + _HOUR)
        labelled = self._newest_labelled(days)
        places = sorted({*days, *hours})
        current = self._current()
        arms = [
            self._arm(place, days.get(place, {}), hours.get(place, {}), current.get(place), newest.get(place), labelled)
            for place in places
        ]
        return Assembled([arm for arm in arms if arm.days or arm.hours], newest, labelled, set(dates), computed)

    def _kept(self, kind: str) -> dict[Place, dict[datetime, Window]]:
        """Of the previous document, those whose rows did not change. Digests are those of the arms' summaries."""
        length = _HOUR_LENGTH if kind == "hours" else _DATE_LENGTH
        there = set(self._hours[-MOST_HOURS:] if kind == "hours" else self._of_date)
        found: dict[Place, dict[datetime, Window]] = {}
        for (name, version, role), arm in self._old.items():
            windows = arm.hours if kind == "hours" else arm.days
            kept = {
                window.start: window
                for window in windows
                if (at := _name(window.start)[:length]) in there and at not in self._changed
            }
            found[Place(role, name, version, arm.digest)] = kept
        return found

    def _of(self, hours: Iterable[str]) -> dict[Place, ArmSummary]:
        """The sum of some hours by arm."""
        found: list[list[ArmSummary]] = []
        for hour in hours:
            if hour not in self._summaries:
                self._summaries[hour] = {place_of(self._spec, one): one for one in self._summary_of(hour)}
            found.append(list(self._summaries[hour].values()))
        return {place_of(self._spec, one): one for one in merged(found)}

    def _put(
        self, windows: dict[Place, dict[datetime, Window]], found: Mapping[Place, ArmSummary], start: datetime, end: datetime
    ) -> None:
        for place, one in found.items():
            windows.setdefault(place, {})[start] = self._window(one, start, end)

    def _explain(
        self, days: Mapping[Place, Mapping[datetime, Window]], found: Mapping[Place, ArmSummary], start: datetime
    ) -> None:
        for place, one in found.items():
            measures = self._measures_of(one.arm.digest)
            window = days[place][start]
            explain(window, one.tally, one.sample, measures.subject, measures.weights(), measures.reference)

    def _window(self, one: ArmSummary, start: datetime, end: datetime) -> Window:
        measures = self._measures_of(one.arm.digest)
        usual = measures.usual(int(one.tally["rows",][1]))
        return window_of(one.tally, measures.subject, self._spec.monitoring, usual, start, end)

    def _current(self) -> dict[Place, Window]:
        if not self._hours:
            return {}
        end = _time(self._hours[-1]) + _HOUR
        start = end - timedelta(seconds=self._spec.monitoring.drift.window_seconds)
        found = self._of(takewhile(lambda hour: _time(hour) >= start, reversed(self._hours)))
        return {place: self._window(one, start, end) for place, one in found.items()}

    def _newest_labelled(self, days: Mapping[Place, Mapping[datetime, Window]]) -> dict[Place, Tally]:
        """Of each arm's newest day with labels enough."""
        found = {}
        for place, windows in days.items():
            labelled = [start for start, window in windows.items() if window.labelled >= FEWEST_LABELLED]
            if labelled:
                date = _name(max(labelled))[:10]
                of_day = self._of(self._of_date[date])
                if place in of_day:
                    found[place] = of_day[place].tally
        return found

    def _arm(
        self,
        place: Place,
        days: Mapping[datetime, Window],
        hours: Mapping[datetime, Window],
        current: Window | None,
        newest: ArmSummary | None,
        labelled: Mapping[Place, Tally],
    ) -> Arm:
        old = self._old.get((place.name, place.version, place.role))
        arm = Arm(
            name=place.name,
            version=place.version,
            role=place.role,
            digest=place.digest,
            days=[days[start] for start in sorted(days)][-MOST_DAYS:],
            hours=[hours[start] for start in sorted(hours)][-MOST_HOURS:],
            current=current,
            histograms=old.histograms if old else [],
        )
        if current is not None and arm.days:
            current.importance_shift = arm.days[-1].importance_shift
        if newest is not None:
            arm.histograms = histograms(self._measures_of(place.digest).subject, newest.tally)
        if place in labelled:
            arm.calibration, arm.roc, arm.lift = curves(below(labelled[place], "all"))
        return arm


def histograms(subject: Subject, tally: Tally) -> list[Histogram]:
    """Of inputs and outputs, in the profile's bins; of categories the 20 most frequent, and the rest together."""
    found = []
    for kind, columns in (("column", subject.columns), ("output", subject.of_outputs)):
        for column in columns:
            bins = tally.get((kind, column.name, "bins"))
            if bins is None:
                continue
            missing = float(tally[kind, column.name, "other"][0]) if isinstance(column, NumericColumn) else 0.0
            reference, current = coarse_counts(column, bins, missing)
            old, new = reference.tolist(), current.tolist()
            if isinstance(column, NumericColumn):
                found.append(Histogram(column.name, [*bin_names(column.edges), "missing"], old, new))
            else:
                found.append(Histogram(column.name, *_shortened([*column.categories], old, new)))
    return found


def _shortened(names: list[str], old: list[int], new: list[int], most: int = 20) -> tuple[list[str], list[int], list[int]]:
    rest_old, rest_new = sum(old[most:-2]) + old[-1], sum(new[most:-2]) + new[-1]
    shown = names[:most]
    return (
        [*shown, "missing", "other"],
        [*old[: len(shown)], old[-2], rest_old],
        [*new[: len(shown)], new[-2], rest_new],
    )


def curves(tally: Tally) -> tuple[Curve | None, Curve | None, Curve | None]:
    """Calibration, ROC and lift, of two classes with probabilities; None otherwise."""
    if ("positive",) not in tally:
        return None, None, None
    points = calibration_points(tally)
    calibration = Curve([said for said, _, _ in points], [seen for _, seen, _ in points]) if points else None
    roc, lift = (found(tally["positive",], tally["negative",]) for found in (roc_points, lift_points))
    return calibration, Curve(*roc) if roc[0] else None, Curve(*lift) if lift[0] else None


def _time(hour: str) -> datetime:
    return datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)


def _name(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H}"
