"""What is made of a deployment's days, kept as it was made: browsers ask for it every ten seconds, and it changes hourly.

Kept by what it is made of, so a change of anything makes it anew. At most so many bytes; what nobody asked for longest goes.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from markupsafe import Markup

from podium_crds.evidence import DeploymentEvidence
from podium_evaluation.documents import DeploymentEvaluation, Period
from podium_monitor.budgeted import Budgeted
from podium_monitor.world import Watched

MOST_BYTES = 32 * 1024 * 1024
"""Some fifty pages of ninety days with thirty columns."""
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)

Key = tuple[str, str, Period, bytes]


@dataclass(frozen=True)
class Sections:
    headings: Sequence[tuple[str, str]]
    """Anchor and title of each."""
    markup: Markup


def key_of(
    watched: Watched, evaluation: DeploymentEvaluation | None, evidence: DeploymentEvidence | None, period: Period
) -> Key:
    """`evaluation` may have outlines of its days: the names of its parts say what they are. When it was looked at last, and
    what happened, stands elsewhere on the page."""
    digest = hashlib.blake2b(digest_size=16)
    if evaluation is not None:
        digest.update(
            msgspec.json.encode(msgspec.structs.replace(evaluation, evaluated_at=_ANY_TIME, timeline=[], diagnosis=[]))
        )
    digest.update(b"\n" + (evidence.model_dump_json().encode() if evidence else b""))
    for one in (watched.spec, watched.status):
        digest.update(b"\n" + (one.model_dump_json().encode() if one else b""))
    return watched.namespace, watched.name, period, digest.digest()


class KeptSections:
    """For several threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._kept: Budgeted[tuple[str, str, Period], tuple[Key, Sections]] = Budgeted(most_bytes)

    def of(self, key: Key, make: Callable[[], tuple[Key, Sections]]) -> Sections:
        """Those of `key`, made if they are not there. What is made may be newer than what was asked for: it says its key.
        Of a deployment and a period the newest alone is kept."""
        found = self._kept.get(key[:3])
        if found is not None and found[0] == key:
            return found[1]
        made = make()
        self._kept.put(key[:3], made, 2 * len(made[1].markup))  # a character has two bytes: there are dashes and signs
        return made[1]
