"""The figures of the newest hot swap, from what the pods remember of their flips. Pure."""

from collections.abc import Iterable, Sequence

from podium_crds.plan import Flip
from podium_crds.v1alpha1.model_deployment import LastSwap
from podium_operator.manifests.record import Notes


def flip_milliseconds(flips: Sequence[Flip]) -> int:
    """From the first request that any pod admitted under the new plan to the last that any admitted under the old one.

    0: no two overlapped. Where no request came on one side, the time between the first and the last flip stands in its
    place: requests would have been admitted apart by no more than that.
    """
    old = [flip.last_admitted_old for flip in flips if flip.last_admitted_old is not None]
    new = [flip.first_admitted_new for flip in flips if flip.first_admitted_new is not None]
    if old and new:
        width = max(old) - min(new)
    else:
        width = max(flip.flipped_at for flip in flips) - min(flip.flipped_at for flip in flips)
    return max(0, round(width * 1000))


def last_swap(notes: Notes, version: str, flips: Iterable[Flip], before: LastSwap | None) -> LastSwap | None:
    """What status shall say of a swap that is over. Figures that were said stay: pods forget them."""
    if not notes.from_version or (before is not None and before.at == notes.since):
        return before
    mine = [flip for flip in flips if flip.to_epoch == notes.swap_epoch and flip.from_epoch is not None]
    if not mine:
        return before
    return LastSwap(
        from_version=notes.from_version,
        to_version=version,
        at=notes.since,
        pods=len(mine),
        flip_milliseconds=flip_milliseconds(mine),
    )
