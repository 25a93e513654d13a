"""In place or a second pool: where the wished champion shall live. Pure.

A swap in place holds two versions at once for a moment. Where their measured peaks do not fit the pod's memory limit, or the
image is another one, a second pool takes over.
"""

import re
from collections.abc import Iterable

from podium_crds.plan import PlannedChampion, PlannedVersion
from podium_crds.v1alpha1.model_deployment import PodTemplate
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


def fits_twice(serving_peak: int, wished_peak: int, limits: Iterable[int]) -> bool:
    """Whether a pod under each of `limits` (bytes, 0: none) can hold both versions. An unknown peak (0) fits no limit."""
    real = [limit for limit in limits if limit]
    if not real:
        return True
    known = serving_peak > 0 and wished_peak > 0
    return known and serving_peak + wished_peak <= min(real) * (1 - SPARE_RATIO)


def champion_pool(
    committed: PlannedChampion | None, wished: PlannedVersion, serving_peak: int, wished_peak: int, limits: Iterable[int]
) -> str:
    """The id of the pool for `wished`."""
    if committed is None:
        return champion_pool_id(wished.image, wished.digest, "")
    same_image = committed.version.image == wished.image
    same_bits = committed.version.digest == wished.digest
    if same_image and (same_bits or fits_twice(serving_peak, wished_peak, limits)):
        return committed.pool
    return champion_pool_id(wished.image, wished.digest, committed.pool)
