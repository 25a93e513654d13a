"""From the name of a ModelVersion to what may serve: its digest and image, or why not. Pure."""

from dataclasses import dataclass

from podium_crds.plan import PlannedVersion
from podium_operator.deployments.versions_seen import Verdict, VersionSeen


@dataclass(frozen=True)
class Refusal:
    reason: str
    message: str
    terminal: bool
    """Nothing more happens until a person changes something. False: it may still come right by itself."""


def is_outdated(serving: PlannedVersion, found: VersionSeen) -> bool:
    """Whether the same bits were verified in another image than the one that they serve in."""
    return found.verdict is Verdict.VERIFIED and found.digest == serving.digest and found.image != serving.image


def resolved(
    name: str, found: VersionSeen | None, committed: PlannedVersion | None, *, moves: bool
) -> PlannedVersion | Refusal:
    """The version by that name, bound to its digest. One that serves stays as it is, whatever became of its ModelVersion;
    `moves`: but for its image, if it was verified in another one."""
    if committed is not None and committed.name == name:
        if found is not None and found.digest != committed.digest:
            message = (
                f"ModelVersion '{name}' was made again with digest {found.digest}, while {committed.digest} serves under "
                "that name: give the new package a ModelVersion of its own and name that"
            )
            return Refusal("DigestChanged", message, terminal=True)
        return found.planned if moves and found is not None and is_outdated(committed, found) else committed
    if found is None:
        return Refusal("VersionNotFound", f"there is no ModelVersion '{name}' in this namespace: apply it", terminal=False)
    if found.verdict is Verdict.FAILED:
        return Refusal(found.reason, f"version '{name}' may not serve: {found.message}", terminal=True)
    if found.verdict is Verdict.PENDING:
        why = f"version '{name}' is not verified yet" + (f" ({found.reason}: {found.message})" if found.reason else "")
        return Refusal("VersionNotVerified", why, terminal=False)
    return found.planned
