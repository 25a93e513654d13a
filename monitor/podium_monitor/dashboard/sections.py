"""What is made of a deployment's days, kept as it was made: browsers ask for it every ten seconds, and it changes hourly.

Kept by what it is made of, so a change of anything makes it anew. At most so many bytes; what nobody asked for longest goes.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from markupsafe import Markup

from podium_crds.evidence import DeploymentEvidence
from podium_evaluation.documents import DeploymentEvaluation, Period
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
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[str, str, Period], tuple[Key, Sections]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def of(self, key: Key, make: Callable[[], tuple[Key, Sections]]) -> Sections:
        """Those of `key`, made if they are not there. What is made may be newer than what was asked for: it says its key."""
        with self._lock:
            if (found := self._kept.get(key[:3])) is not None and found[0] == key:
                self._kept.move_to_end(key[:3])
                return found[1]
        made_key, made = make()
        with self._lock:
            self._put(made_key, made)
        return made

    def _put(self, key: Key, made: Sections) -> None:
        """One page per deployment and period: the older is of no use."""
        if (old := self._kept.pop(key[:3], None)) is not None:
            self._bytes -= _size(old[1])
        self._kept[key[:3]] = (key, made)
        self._bytes += _size(made)
        while self._bytes > self._most_bytes:
            self._bytes -= _size(self._kept.popitem(last=False)[1][1])


def _size(made: Sections) -> int:
    return 2 * len(made.markup)  # two bytes a character: it has dashes and signs beyond Latin-1
