"""What is done for a deployment in each round: evaluate it, weigh its challengers, tell who is to know, report the week."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from podium_monitor.dashboard.glances import Glances
from podium_monitor.evaluations.evaluating import Evaluations
from podium_monitor.evaluations.findings import findings
from podium_monitor.evaluations.reading import latest
from podium_monitor.evaluator.figures_of import DeploymentFigures
from podium_monitor.evidence.updating import update
from podium_monitor.lake.retention_wishes import RetentionWishes
from podium_monitor.lake.store import Store
from podium_monitor.notifications.notifier import Notifier
from podium_monitor.reports.report import Known
from podium_monitor.reports.scheduled import WeeklyReports
from podium_monitor.world import Watched

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Looking:
    """Blocking, for the evaluator's thread. What comes later needs what comes before; nothing before waits for a webhook."""

    store: Store
    evaluations: Evaluations
    notifier: Notifier
    weekly: WeeklyReports
    figures: DeploymentFigures
    glances: Glances
    retention: RetentionWishes
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __call__(self, watched: Watched) -> None:
        """Raises OSError when the store fails."""
        self.retention.note(watched.namespace, watched.name, watched.spec.monitoring.retention_days)
        evaluation = self.evaluations.evaluate(watched)
        found = findings(watched, evaluation)
        if evaluation is not None:
            self.glances.note(watched, evaluation, found)
        if evaluation is None and not watched.spec.challengers:
            self.figures.note(watched, None, found, None)
            return
        evidence = update(self.store, watched, self.now(), evaluation, found)
        self.figures.note(watched, evaluation, found, evidence)
        self.notifier.tell(evidence)
        week = self.weekly.make_due(Known(watched, evaluation, evidence, found), self.now(), partial(latest, self.store))
        if week is not None:
            logger.info("%s/%s: the report of week %s is made", watched.namespace, watched.name, week.name)
