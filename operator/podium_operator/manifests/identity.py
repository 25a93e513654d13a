"""Whose child, which pool: names, labels and owner reference that all children share.

In one place because a name that two builders spell differently is an outage, and because names of Services stand in plans
before the Services exist.
"""

from dataclasses import dataclass

from podium_crds.names import (
    LABEL_CHALLENGER,
    LABEL_DEPLOYMENT,
    LABEL_MANAGED_BY,
    LABEL_POOL,
    LABEL_ROLE,
    MANAGED_BY,
    child_name,
    short_hash,
)
from podium_crds.plan import DeploymentKey
from podium_operator.kinds import Manifest, owner_reference


@dataclass(frozen=True)
class Owner:
    """The ModelDeployment that children belong to."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> DeploymentKey:
        return DeploymentKey(namespace=self.namespace, name=self.name, uid=self.uid)

    def child(self, role: str) -> str:
        return child_name(self.name, role)

    def host(self, service: str) -> str:
        """The Service's name in DNS, complete but for the cluster's domain."""
        return f"{service}.{self.namespace}.svc"


@dataclass(frozen=True)
class Pool:
    """Equal pods with one image: the champion's, or a challenger's with one version for ever."""

    id: str
    image: str
    challenger: str = ""
    """Empty: a champion pool."""

    @property
    def role(self) -> str:
        """The role in the names of the pool's Deployment."""
        return f"{self.challenger or 'champion'}-{self.id}"

    @property
    def forward_role(self) -> str:
        return f"{self.challenger or 'forward'}-{self.id}"

    @property
    def peers_role(self) -> str:
        """Champion pools share one headless Service: a new pool asks the old one."""
        return f"{self.challenger}-{self.id}-peers" if self.challenger else "peers"

    @property
    def record_role(self) -> str:
        return f"{self.challenger}-{self.id}-record" if self.challenger else "record"

    @property
    def pod_role(self) -> str:
        """What PODIUM_ROLE and the role label say."""
        return "challenger" if self.challenger else "champion"


def champion_pool_id(image: str, digest: str, previous: str) -> str:
    """Differs from `previous`, the pool in use, and is the same for the same wish."""
    return short_hash(image, digest, previous)


def challenger_pool(name: str, image: str, digest: str) -> Pool:
    """A challenger's pool follows from its version alone: a route can name it before it exists."""
    return Pool(id=short_hash(image, digest, name), image=image, challenger=name)


def child_labels(owner: Owner) -> dict[str, str]:
    return {LABEL_MANAGED_BY: MANAGED_BY, LABEL_DEPLOYMENT: owner.name}


def champion_selector(owner: Owner) -> dict[str, str]:
    """The champion's pods of all pools."""
    return {LABEL_DEPLOYMENT: owner.name, LABEL_ROLE: "champion"}


def pool_selector(owner: Owner, pool: Pool) -> dict[str, str]:
    """One pool's pods. A Deployment's selector never changes, so nothing that may change is in it."""
    named = {LABEL_CHALLENGER: pool.challenger} if pool.challenger else {}
    return {LABEL_DEPLOYMENT: owner.name, LABEL_ROLE: pool.pod_role, LABEL_POOL: pool.id, **named}


def child_metadata(owner: Owner, name: str, pool: Pool | None = None) -> Manifest:
    """With `pool`, the child belongs to that pool and goes with it."""
    labels = pool_selector(owner, pool) if pool else {}
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": {**child_labels(owner), **labels},
        "ownerReferences": [
            owner_reference({"kind": "ModelDeployment", "metadata": {"name": owner.name, "uid": owner.uid}}),
        ],
    }
