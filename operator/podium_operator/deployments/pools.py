"""In place or a second pool: where the wished champion shall live. Pure.

A swap in place holds two versions at once for a moment. Where their measured peaks do not fit the pod's memory limit, or the
image is another one, a second pool takes over.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from podium_crds.plan import PlannedChampion, PlannedVersion
from podium_crds.v1alpha1.model_deployment import PodTemplate, Serving
from podium_operator.kinds import Manifest
from podium_operator.manifests.identity import champion_pool_id

SPARE_RATIO = 0.2
"""Share of the limit that both peaks together must leave free."""

_FACTORS = {
    "": 1.0,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:[eE][0-9]+)?)([mkMGTP]|[KMGTP]i)?")


def quantity_bytes(quantity: str) -> int:
    """A Kubernetes quantity in bytes. Raises ValueError."""
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        raise ValueError(f"{quantity!r} is no quantity: write a number, with k, Ki, M, Mi, G or Gi behind it")
    return int(float(found[1]) * _FACTORS[found[2] or ""])


def memory_limit_bytes(template: PodTemplate) -> int:
    """The limit of a scoring pod, 0: none."""
    limits = template.resources.limits if template.resources else None
    return quantity_bytes(limits.memory) if limits and limits.memory else 0


@dataclass(frozen=True)
class Room:
    """What a pod has for its versions."""

    limit_bytes: int
    """0: no limit."""
    copies: int = 1
    """How often each version is in its memory: each worker holds its own, and each process of a hook imports its own. The
    peak of a verification is one of both together, so this is never too low."""


def wished_room(serving: Serving) -> Room:
    """Of a champion pod as the spec has it."""
    processes = serving.hooks.processes if serving.hooks else None
    return Room(memory_limit_bytes(serving.template), serving.workers * (processes or 1))


def running_room(container: Manifest) -> Room:
    """Of a pod as it was made, maybe from an earlier spec."""
    limit = container.get("resources", {}).get("limits", {}).get("memory", "0")
    environment = {variable["name"]: variable.get("value", "") for variable in container.get("env", [])}
    counts = (environment.get(name) or "1" for name in ("PODIUM_WORKERS", "PODIUM_HOOK_PROCESSES"))
    workers, processes = (int(count) if count.isdecimal() else 1 for count in counts)
    return Room(quantity_bytes(limit), workers * processes)


def fits_twice(serving_peak: int, wished_peak: int, rooms: Iterable[Room]) -> bool:
    """Whether a pod in each of `rooms` can hold both versions. An unknown peak (0 bytes) fits no limit."""
    limited = [room for room in rooms if room.limit_bytes]
    if not limited:
        return True
    known = serving_peak > 0 and wished_peak > 0
    both = serving_peak + wished_peak
    return known and all(both * room.copies <= room.limit_bytes * (1 - SPARE_RATIO) for room in limited)


def champion_pool(
    committed: PlannedChampion | None, wished: PlannedVersion, serving_peak: int, wished_peak: int, rooms: Iterable[Room]
) -> str:
    """The id of the pool for `wished`."""
    if committed is None:
        return champion_pool_id(wished.image, wished.digest, "")
    same_image = committed.version.image == wished.image
    same_bits = committed.version.digest == wished.digest
    if same_image and (same_bits or fits_twice(serving_peak, wished_peak, rooms)):
        return committed.pool
    return champion_pool_id(wished.image, wished.digest, committed.pool)
