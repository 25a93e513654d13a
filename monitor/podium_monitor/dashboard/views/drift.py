"""How far the inputs and the predictions have moved from training: by column and day, and as distributions."""

from collections.abc import Mapping, Sequence

from podium_crds.v1alpha1.monitoring import Monitoring
from podium_evaluation.documents import Arm, ColumnDrift, Window
from podium_pages import words
from podium_pages.charts.bars import then_and_now
from podium_pages.charts.frame import Chart
from podium_pages.charts.heatmap import Day, Levels, heatmap
from podium_pages.charts.lines import Line, Point, over_time
from podium_pages.drift import drift_tests
from podium_pages.parts import Badge, Empty, Level, Part, Section

_MOST_COLUMNS = 40
_MOST_HISTOGRAMS = 9
_LEVELS: dict[str, Level] = {"None": "Good", "Warning": "Warning", "Critical": "Critical"}


def drift(monitoring: Monitoring, champion: Arm | None, found: Sequence[Window]) -> Section:
    evaluated = [window for window in found if window.drift or window.prediction_drift]
    if champion is None or not evaluated:
        return Section(
            "drift",
            "Drift",
            empty=Empty(
                "No window was compared with training yet.",
                "It takes captured predictions, and a package with profile.json: `podium package` writes one.",
            ),
        )
    levels = Levels(float(monitoring.drift.warning), float(monitoring.drift.critical))
    inputs = [_day(window, window.drift) for window in evaluated]
    outputs = [_day(window, window.prediction_drift) for window in evaluated]
    parts = [_map("Inputs", inputs, levels)]
    if any(day.columns for day in outputs):
        parts.append(_map("Predictions", outputs, levels))
    parts += [*_importance(evaluated), *_distributions(champion, evaluated[-1]), _tests(evaluated[-1])]
    return Section(
        "drift",
        "Drift",
        parts,
        says=(
            "PSI against training, in nats. An alert needs more than the window's size makes by chance, with at most "
            f"{words.percent(float(monitoring.drift.false_alert_rate))} false alerts among a window's columns."
        ),
    )


def _day(window: Window, columns: Mapping[str, ColumnDrift]) -> Day:
    return Day(f"{window.start:%Y-%m-%d}", columns, words.day(window.start))


def _map(title: str, days: Sequence[Day], levels: Levels) -> Part:
    names = {column for day in days for column in day.columns}
    worst = {name: _worst(name, days) for name in names}
    ranked = sorted(names, key=lambda name: (-worst[name], name))
    kept = sorted(ranked[:_MOST_COLUMNS], key=lambda name: (-worst[name], name))
    left = len(ranked) - len(kept)
    note = f"The {len(kept)} columns that moved most; {left} more moved less." if left else ""
    return Part(charts=[heatmap(title, days, kept, levels, note)])


def _worst(name: str, days: Sequence[Day]) -> float:
    """An alert outranks any distance without one."""
    found = [day.columns[name] for day in days if name in day.columns]
    return max((one.psi or 0.0) + 1000.0 * one.alert for one in found)


def _importance(found: Sequence[Window]) -> list[Part]:
    """Of days: hours have rows too few."""
    points = [Point(window.start, window.importance_shift) for window in found]
    if all(point.value is None for point in points):
        return []
    says = "0: the inputs go with the score in the order of training. 1: in no order that training knew."
    chart = over_time("Shift of importance", [Line("champion", points, 0)])
    return [Part(title="Which inputs matter", says=[says], charts=[chart])]


def _distributions(champion: Arm, window: Window) -> list[Part]:
    known = {**window.drift, **window.prediction_drift}
    ranked = sorted(champion.histograms, key=lambda one: -_rank(known.get(one.column)))
    charts: list[Chart] = [then_and_now(one, _psi(known.get(one.column))) for one in ranked[:_MOST_HISTOGRAMS]]
    if not charts:
        return []
    title = f"Distributions in training and on {words.window(window.start)}, the most moved first"
    return [Part(title=title, charts=charts, across="three")]


def _rank(found: ColumnDrift | None) -> float:
    return 0.0 if found is None else (found.psi or 0.0) + 1000.0 * found.alert


def _psi(found: ColumnDrift | None) -> str:
    if found is None:
        return ""
    return f"PSI {words.number(found.psi)}" + (f" · {found.severity.lower()}" if found.alert else "")


def _tests(window: Window) -> Part:
    known = {**window.drift, **window.prediction_drift}
    ranked = sorted(known, key=lambda column: (-_rank(known[column]), column))
    alerts = [column for column in ranked if known[column].alert]
    worst = max((known[column].severity for column in alerts), key=["None", "Warning", "Critical"].index, default="None")
    return Part(
        title=f"Tests of {words.window(window.start)}",
        badge=Badge(_LEVELS[worst], f"{len(alerts)} alerts" if len(alerts) != 1 else "1 alert"),
        table=drift_tests(ranked[:_MOST_COLUMNS], known),
    )
