"""Reading an evaluation: which arm is the champion, which metric leads, which windows tell something."""

from collections.abc import Callable, Sequence

from podium_crds.v1alpha1.monitoring import Monitoring, PerformanceBound
from podium_evaluation.documents import Arm, DeploymentEvaluation, Figure, Period, Window
from podium_monitor.evaluations.findings import champion_of
from podium_monitor.evaluations.windows import METRIC_NAMES
from podium_monitor.world import Watched
from podium_pages import words
from podium_pages.charts.lines import Bound

MOST_SHOWN = 5


def shown(watched: Watched, evaluation: DeploymentEvaluation | None) -> list[Arm]:
    """The champion of now first, then the challengers of now, then who was there before, the newest first; at most five,
    each with a line style of its own."""
    if evaluation is None:
        return []
    now = champion_of(watched, evaluation)
    wished = [(one.name, one.model_version_ref.name) for one in watched.spec.challengers]
    current = [arm for arm in evaluation.arms if (arm.name, arm.version) in wished and arm is not now]
    before = [arm for arm in evaluation.arms if arm is not now and arm not in current and arm.days]
    before.sort(key=lambda arm: arm.days[-1].start, reverse=True)
    return [*([now] if now else []), *current, *before][:MOST_SHOWN]


def named(arm: Arm) -> str:
    """An arm's name alone would name all the champions there ever were."""
    return f"{arm.name} {arm.version}"


def windows(arm: Arm, period: Period) -> Sequence[Window]:
    return arm.days if period == "Day" else arm.hours


def metrics(arms: Sequence[Arm], monitoring: Monitoring) -> list[str]:
    """Keys of all metrics that some window knows: bounded ones first, then the usual order."""
    known = {key for arm in arms for window in (*arm.days, *arm.hours) for key in (*window.performance, *window.estimated)}
    return words.in_order(known, [METRIC_NAMES[bound.metric] for bound in monitoring.performance])


def newest(arm: Arm | None, key: str) -> Figure | None:
    """The newest day's figure that says something."""
    if arm is None:
        return None
    days = (window.performance.get(key) for window in reversed(arm.days))
    return next((figure for figure in days if figure is not None and figure.value is not None), None)


def newest_business(arm: Arm | None, name: str) -> Figure | None:
    if arm is None:
        return None
    days = (window.business.get(name) for window in reversed(arm.days))
    return next((figure for figure in days if figure is not None and figure.value is not None), None)


def newest_day(arm: Arm | None, holds: Callable[[Window], object]) -> Window | None:
    """The newest one for which `holds`."""
    return next((window for window in reversed(arm.days) if holds(window)), None) if arm else None


def bounds(monitoring: Monitoring, key: str) -> list[Bound]:
    return [bound for one in monitoring.performance if METRIC_NAMES[one.metric] == key for bound in _bounds(one)]


def _bounds(one: PerformanceBound) -> list[Bound]:
    both = (("at least", one.minimum), ("at most", one.maximum))
    return [Bound(float(value), f"{text} {words.number(float(value))}") for text, value in both if value is not None]
