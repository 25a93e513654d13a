"""Which ModelDeployments name which ModelVersions, as the watch saw last. Pure, in memory.

A hint for whom to wake; the reconciles themselves read the API server. Losing it costs at most one resync.
"""

from collections.abc import Iterable

from podium_operator.kinds import Key, Manifest


class References:
    def __init__(self) -> None:
        self._named: dict[Key, frozenset[str]] = {}

    def learn(self, deployment: Key, versions: Iterable[str]) -> frozenset[Key]:
        """What `deployment` names now; nothing when it is gone. Returns the versions whose users changed by it."""
        before, after = self._named.get(deployment, frozenset()), frozenset(versions)
        if after:
            self._named[deployment] = after
        else:
            self._named.pop(deployment, None)
        return frozenset(Key("ModelVersion", deployment.namespace, name) for name in before ^ after)

    def users(self, version: Key) -> list[Key]:
        """The deployments that name this version."""
        return sorted(
            key for key, names in self._named.items() if key.namespace == version.namespace and version.name in names
        )


def versions_named_by(deployment: Manifest) -> frozenset[str]:
    """The ModelVersions in a ModelDeployment's spec. Lenient: an object of another schema version names what it can."""
    spec = deployment.get("spec") or {}
    arms = [spec.get("champion") or {}, *(spec.get("challengers") or [])]
    return frozenset(name for arm in arms if (name := (arm.get("modelVersionRef") or {}).get("name")))
