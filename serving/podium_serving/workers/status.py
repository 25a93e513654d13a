"""What a pod of several workers says of itself: the supervisor's plans, the workers' requests. Pure."""

from collections import Counter
from collections.abc import Sequence

from podium_crds.plan import ControlStatus, Flip
from podium_serving.workers.messages import Report


def pod_bytes(reports: Sequence[Report], supervisor_bytes: int) -> int:
    """Memory of all processes; what they share is counted once more than the supervisor's."""
    shared = max((report.shared_bytes for report in reports), default=0)
    return supervisor_bytes + shared + sum(report.private_bytes for report in reports)


def pod_status(of_plans: ControlStatus, reports: Sequence[Report], supervisor_bytes: int) -> ControlStatus:
    """Ready while one worker is."""
    requests: Counter[int] = Counter()
    for report in reports:
        requests.update(report.open_requests)
    return of_plans.model_copy(
        update={
            "ready": of_plans.ready and any(report.ready for report in reports),
            "open_requests": dict(requests),
            "flip": of_plans.flip and _with_admissions(of_plans.flip, reports),
            "memory_bytes": pod_bytes(reports, supervisor_bytes),
        }
    )


def _with_admissions(flip: Flip, reports: Sequence[Report]) -> Flip:
    old = [report.admissions[flip.from_epoch][1] for report in reports if flip.from_epoch in report.admissions]
    new = [report.admissions[flip.to_epoch][0] for report in reports if flip.to_epoch in report.admissions]
    return flip.model_copy(
        update={
            "last_admitted_old": max((moment for moment in old if moment is not None), default=None),
            "first_admitted_new": min((moment for moment in new if moment is not None), default=None),
        }
    )
