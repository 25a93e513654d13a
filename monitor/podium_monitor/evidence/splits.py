"""How chance chose between the arms of a canary: as pods say it with each row. Pure.

So what a request's chance was is known from the lake alone, whoever watched or did not; and a request that was not split,
because its client named a version or had no key, is known as such.
"""

import msgspec
import numpy as np

from podium_evaluation.sequences import Floats
from podium_monitor.evidence.ledger import CHAMPION, Question


class _Arm(msgspec.Struct):
    percent: int
    digest: str


_read = msgspec.json.Decoder(dict[str, _Arm]).decode


def share(split: str | None, question: Question) -> float | None:
    """The chance of the challenger among {champion, challenger}. None: nothing was split, or it was not these two that were
    compared."""
    try:
        arms = _read(split) if split else {}
    except msgspec.DecodeError:
        return None
    old, new = arms.get(CHAMPION), arms.get(question.name)
    if old is None or new is None or (old.digest, new.digest) != (question.champion_digest, question.digest):
        return None
    return new.percent / (old.percent + new.percent) if old.percent > 0 and new.percent > 0 else None


def shares(splits: list[str | None], question: Question) -> Floats:
    """By row; NaN where there is none. A plan's rows all say the same: each text is read once."""
    known = {split: share(split, question) for split in set(splits)}
    return np.array([known[split] for split in splits], dtype=np.float64)
