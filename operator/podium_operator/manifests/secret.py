"""The serving Secret: sticky salt, the token of peers and forward port, the token for the collector. And the one for labels.

Salt and token follow from the operator's own key and the deployment's uid: a deleted Secret comes back with the same values,
so that no customer changes the arm and no pod locks its peers out.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urljoin

from podium_crds.capture import capture_source, capture_token, label_token
from podium_operator.kinds import Manifest
from podium_operator.manifests.identity import Owner, child_metadata

SALT = "salt"
TOKEN = "token"  # noqa: S105 - the name of a key
CAPTURE_TOKEN = "capture-token"  # noqa: S105
LABELS_URL = "url"
LABELS_ROLE = "labels"
"""In the name of the Secret with the token for labels."""


def serving_secret(owner: Owner, root: bytes, collector_key: bytes, live: Mapping[str, str]) -> Manifest:
    """`root` is secret; `live` is the data (base64) of the Secret that stands now.

    A salt or token that stands is never changed: pods hash and ask with it.
    """
    fresh = {
        SALT: _derived(root, "salt", owner),
        TOKEN: base64.urlsafe_b64encode(_derived(root, "token", owner)).rstrip(b"="),
    }
    data = {name: live.get(name) or _base64(value) for name, value in fresh.items()}
    source = capture_source(owner.namespace, owner.name, owner.uid)
    # Without a collector key capture is off.
    data[CAPTURE_TOKEN] = _base64(capture_token(collector_key, source).encode() if collector_key else b"")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": child_metadata(owner, owner.child("serving")),
        "data": data,
    }


def labels_secret(owner: Owner, collector_key: bytes, collector_url: str) -> Manifest:
    """For whoever brings labels: the address, and a token that opens nothing but this deployment's labels."""
    source = capture_source(owner.namespace, owner.name, owner.uid)
    data = {TOKEN: label_token(collector_key, source), LABELS_URL: urljoin(collector_url, "labels")}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": child_metadata(owner, owner.child(LABELS_ROLE)),
        "data": {name: _base64(value.encode()) for name, value in data.items()},
    }


def _derived(root: bytes, purpose: str, owner: Owner) -> bytes:
    return hmac.digest(root, f"podium serving {purpose} {owner.uid}".encode(), hashlib.sha256)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
