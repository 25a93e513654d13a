"""How everybody reads what was evaluated: `latest` with whole days, `outlined` where outlines of them are enough."""

from collections.abc import Mapping

import msgspec

from podium_evaluation.documents import (
    DOCUMENT_FORMAT,
    DayOfArm,
    DeploymentEvaluation,
    Window,
    days_folder,
    evaluation_path,
)
from podium_monitor.lake.store import Store

_decode = msgspec.json.Decoder(DeploymentEvaluation).decode
_decode_part = msgspec.json.Decoder(dict[str, list[DayOfArm]]).decode
_AGAIN = 3


def latest(store: Store, namespace: str, name: str) -> DeploymentEvaluation | None:
    """The newest evaluation of a deployment. None: it was never evaluated, or by a version of Podium that wrote it in a way
    that this one cannot read, so that it will be evaluated anew. Raises OSError when the store fails."""
    for _ in range(_AGAIN):
        document = outlined(store, namespace, name)
        try:
            return document if document is None else _whole(store, document)
        except (FileNotFoundError, msgspec.DecodeError):
            continue  # a part was replaced since the head was read
    return None


def outlined(store: Store, namespace: str, name: str) -> DeploymentEvaluation | None:
    """The same, with outlines in the place of all days but the newest of each arm: one file, whatever the history."""
    try:
        found = _decode(store.read(evaluation_path(namespace, name)))
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if found.format == DOCUMENT_FORMAT else None


def part(store: Store, document: DeploymentEvaluation, week: str) -> Mapping[str, list[DayOfArm]]:
    """Whole days by date. Raises FileNotFoundError, or msgspec.DecodeError."""
    folder = days_folder(document.namespace, document.deployment)
    return _decode_part(store.local(f"{folder}/{document.parts[week]}").read_bytes())


def _whole(store: Store, document: DeploymentEvaluation) -> DeploymentEvaluation:
    found: dict[tuple[str, str, str, str], list[Window]] = {}
    for week in sorted(document.parts):
        for _, days in sorted(part(store, document, week).items()):
            for one in days:
                found.setdefault((one.role, one.name, one.version, one.digest), []).append(one.window)
    for arm in document.arms:
        shown = {day.start for day in arm.days}
        whole = found.get((arm.role, arm.name, arm.version, arm.digest), [])
        arm.days = [day for day in whole if day.start in shown]
    return document
