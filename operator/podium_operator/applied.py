"""What was applied and what came of it: so that the same apply is not sent twice. Pure, in memory, bounded.

Losing it costs one apply per object, which the API server turns into no write.
"""

import hashlib
from collections import OrderedDict

from podium_crds.package import canonical_json
from podium_operator.kinds import Manifest

_MOVING_METADATA = frozenset({"resourceVersion", "managedFields", "generation"})
_MAX_OBJECTS = 20_000


class AppliedMemory:
    """Per object: the hash of the manifest, and the fingerprint that the object had afterwards."""

    def __init__(self, max_objects: int = _MAX_OBJECTS) -> None:
        self._max_objects = max_objects
        self._known: OrderedDict[tuple[str, str, str], tuple[str, str]] = OrderedDict()

    def remember(self, manifest: Manifest, after: Manifest) -> None:
        address = _address(manifest)
        self._known[address] = (_hash(manifest), fingerprint(after))
        self._known.move_to_end(address)
        while len(self._known) > self._max_objects:
            self._known.popitem(last=False)

    def stands(self, manifest: Manifest, seen: Manifest) -> bool:
        """Whether applying `manifest` now would say again what the object, as seen, already got from us."""
        known = self._known.get(_address(manifest))
        return known == (_hash(manifest), fingerprint(seen))


def fingerprint(live: Manifest) -> str:
    """Hash of all that an apply of ours could be fighting over: everything but the status and what moves with it."""
    metadata = {key: value for key, value in live["metadata"].items() if key not in _MOVING_METADATA}
    rest = {key: value for key, value in live.items() if key not in ("status", "apiVersion", "kind", "metadata")}
    return _hash({**rest, "metadata": metadata})


def _hash(value: Manifest) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _address(manifest: Manifest) -> tuple[str, str, str]:
    return (manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"])
