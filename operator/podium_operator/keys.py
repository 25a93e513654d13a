"""The two keys of an installation, kept in Secrets of the operator's namespace and made by whoever comes first.

The signing key (Ed25519) signs plans: pods hold the public half only. The collector key is shared with the monitor, which
derives from it what a pod's capture token must be.
"""

import base64
import secrets
from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from podium_crds.names import LABEL_MANAGED_BY, MANAGED_BY
from podium_operator.cluster import Cluster
from podium_operator.errors import AlreadyExists

SIGNING_SECRET = "podium-signing-key"  # noqa: S105 - a name
COLLECTOR_SECRET = "podium-collector-key"  # noqa: S105 - a name
_ENTRY = "key"


class KeyUnreadable(Exception):
    """A key Secret holds something else. Nothing is overwritten: pods may trust the old key."""


async def signing_key(cluster: Cluster, namespace: str) -> Ed25519PrivateKey:
    """The installation's signing key. Raises KeyUnreadable or a ClusterError."""
    content = await _content(cluster, namespace, SIGNING_SECRET, _new_signing_key)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except ValueError as error:
        raise _unreadable(namespace, SIGNING_SECRET, "an Ed25519 private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unreadable(namespace, SIGNING_SECRET, "an Ed25519 private key in PEM")
    return key


async def collector_key(cluster: Cluster, namespace: str) -> bytes:
    """32 random bytes; the Secret's entry `key` holds them in base64 as text. Raises KeyUnreadable or a ClusterError."""
    content = await _content(cluster, namespace, COLLECTOR_SECRET, lambda: base64.b64encode(secrets.token_bytes(32)))
    try:
        return base64.b64decode(content, validate=True)
    except ValueError as error:
        raise _unreadable(namespace, COLLECTOR_SECRET, "base64") from error


async def _content(cluster: Cluster, namespace: str, name: str, make: Callable[[], bytes]) -> bytes:
    """Entry `key` of the Secret, which is created if it is not there. Of two creators the first wins, both read that."""
    found = await cluster.get("Secret", namespace, name)
    if found is None:
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, "labels": {LABEL_MANAGED_BY: MANAGED_BY}},
            "data": {_ENTRY: base64.b64encode(make()).decode()},
        }
        try:
            found = await cluster.create(manifest)
        except AlreadyExists:
            found = await cluster.get("Secret", namespace, name)
    entry = ((found or {}).get("data") or {}).get(_ENTRY)
    if not entry:
        raise _unreadable(namespace, name, f"an entry {_ENTRY!r}")
    return base64.b64decode(entry)


def _new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _unreadable(namespace: str, name: str, right: str) -> KeyUnreadable:
    return KeyUnreadable(
        f"Secret {namespace}/{name} should hold {right} and does not. Put the right key back, or delete the Secret and let "
        "every deployment's pods restart with the new one."
    )
