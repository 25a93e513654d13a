"""When no verdict may be taken although there are units enough: labels are not there, or come too late. Pure.

Decided for each unit in its turn, from what had become known by then: so it does not matter how often one looks, and the
units, their order and their sequence stay what they are. Only looks are left out, which no bound that holds at all times
minds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import numpy.typing as npt

MOST_LATE = 0.05
"""Of a class's labels that count, after the horizon."""
FEWEST_WATCHED = 100
"""Units that must have been watched for as long again as the horizon."""
_FEWEST_OF_A_CLASS = 50
_RECENT_UNITS = 100
"""By which the recent share forgets: six late ones in a row are noticed, and so is a twentieth that goes on."""

Truths = npt.NDArray[np.bool_]


class Punctuality(msgspec.Struct, frozen=True):
    """Of one class's units that count."""

    units: int = 0
    late: int = 0
    """Labelled after the horizon."""
    recent: float = 0.0
    """Share of late ones, in which a unit weighs the less the more came after it. It tells of labels that begin to come
    late long before they are many."""

    def after(self, late: bool) -> "Punctuality":
        recent = self.recent + (late - self.recent) / _RECENT_UNITS
        return Punctuality(self.units + 1, self.late + late, recent)

    @property
    def is_behind(self) -> bool:
        """Too many of all are late."""
        return self.units >= _FEWEST_OF_A_CLASS and self.late > MOST_LATE * self.units

    @property
    def falls_behind(self) -> bool:
        return self.is_behind or self.recent > MOST_LATE


class Covered(msgspec.Struct, frozen=True):
    """Units of an arm that are older than the horizon, and those of them with a label."""

    units: int = 0
    labelled: int = 0

    def lacks(self, least: float) -> bool:
        return self.labelled < least * self.units


class Watch(msgspec.Struct, frozen=True):
    """What is known of when labels come."""

    classes: dict[str, Punctuality] = {}
    begins_at: datetime | None = None
    """When the FEWEST_WATCHED-th unit was as old as the horizon."""

    def late_classes(self) -> list[str]:
        """Those whose labels came too late, worst first."""
        found = [(one.late / one.units, name) for name, one in self.classes.items() if one.is_behind]
        return [name for _, name in sorted(found, reverse=True)]

    @property
    def falls_behind(self) -> bool:
        return any(one.falls_behind for one in self.classes.values())


@dataclass(frozen=True)
class Batch:
    """Rows in the order in which they became known, shapes (n_rows,)."""

    moments: npt.NDArray[np.datetime64]
    """When they became known, UTC."""
    ripe: Truths
    """A unit has become as old as the horizon."""
    labelled: Truths
    """A unit counts from here on."""
    late: Truths
    """Known after the horizon."""
    classes: Sequence[str]
    """Of the labelled ones."""
    arms: Mapping[str, Truths]
    """Rows of each arm; where both answered, of one alone."""


def watch_length(horizon: timedelta, most: timedelta) -> timedelta:
    """How long after the horizon labels are watched for before a verdict: as long again, while late ones count at all."""
    return min(horizon, most)


def may_mislead(missing: npt.NDArray[np.int64], rarest: npt.NDArray[np.int64]) -> Truths:
    """Whether more than MOST_LATE of the rarest class would be missing, if all units without a label were of it."""
    return np.asarray(missing > MOST_LATE * (missing + rarest))


def held(
    watch: Watch, covered: Mapping[str, Covered], batch: Batch, least: float, length: timedelta
) -> tuple[Watch, Truths]:
    """What is known after these rows, and by labelled unit whether no verdict may be taken at it. `least` is the share of
    each arm's units that must have a label, `length` as watch_length says."""
    places = np.flatnonzero(batch.labelled)
    lacks = np.zeros(len(places), dtype=np.bool_)
    units = labelled = np.zeros(len(batch.ripe), dtype=np.int64)
    for arm, rows in batch.arms.items():
        before = covered.get(arm, Covered())
        of_units, of_labelled = (
            before.units + np.cumsum(batch.ripe & rows),
            before.labelled + np.cumsum(batch.labelled & rows),
        )
        lacks |= (of_labelled < least * of_units)[places]
        units, labelled = units + of_units, labelled + of_labelled
    begins_at = watch.begins_at or _moment(batch.moments, units >= FEWEST_WATCHED)
    classes, rarest, behind = _in_turn(watch.classes, batch.classes, batch.late[places].tolist())
    unwatched = may_mislead((units - labelled)[places], rarest)
    if begins_at is not None:
        unwatched &= batch.moments[places] < np.datetime64((begins_at + length).replace(tzinfo=None), "us")
    # Not at a late one either: of many labels that are posted at once the first says nothing of those behind it.
    return Watch(classes, begins_at), lacks | unwatched | behind | batch.late[places]


def _moment(moments: npt.NDArray[np.datetime64], chosen: Truths) -> datetime | None:
    """Of the first that is chosen."""
    found = np.flatnonzero(chosen)
    if not len(found):
        return None
    moment: datetime = moments[found[0]].astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def _in_turn(
    known: Mapping[str, Punctuality], classes: Sequence[str], late: Sequence[bool]
) -> tuple[dict[str, Punctuality], npt.NDArray[np.int64], Truths]:
    """The classes afterwards; by unit, how many there are outside of the most frequent class (all, where there is but one),
    and whether the labels of any fall behind."""
    found = dict(known)
    behind = {name for name, one in found.items() if one.falls_behind}
    rarest, is_behind = np.zeros(len(classes), dtype=np.int64), np.zeros(len(classes), dtype=np.bool_)
    total, most = sum(one.units for one in found.values()), max((one.units for one in found.values()), default=0)
    for unit, (name, was_late) in enumerate(zip(classes, late, strict=True)):
        one = found[name] = found.get(name, Punctuality()).after(was_late)
        (behind.add if one.falls_behind else behind.discard)(name)
        total, most = total + 1, max(most, one.units)
        rarest[unit], is_behind[unit] = total - most if len(found) > 1 else total, bool(behind)
    return found, rarest, is_behind
