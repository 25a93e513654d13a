"""The registry credential of a version: from its kubernetes.io/dockerconfigjson Secret, for one host. Pure."""

import base64
import json
from typing import Any
from urllib.parse import urlsplit

from podium_crds.plan import RegistryCredential
from podium_operator.kinds import Manifest

_KEY = ".dockerconfigjson"


def credential_for(uri: str, secret: Manifest | None) -> RegistryCredential | None:
    """What `secret` says about the registry of `uri`; None where it says nothing, so that the pull is tried without."""
    entry = _entry(urlsplit(uri).netloc, _auths(secret)) if secret is not None else None
    if entry is None:
        return None
    username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth") and not username:
        username, _, password = _decoded(entry["auth"]).partition(":")
    token = str(entry.get("registrytoken", "") or entry.get("identitytoken", ""))
    return RegistryCredential(username=username, password=password, token=token)


def _auths(secret: Manifest) -> dict[str, Any]:
    try:
        auths = json.loads(_decoded(secret.get("data", {}).get(_KEY, "")))["auths"]
    except (ValueError, KeyError, TypeError):
        return {}
    return auths if isinstance(auths, dict) else {}


def _entry(host: str, auths: dict[str, Any]) -> dict[str, Any] | None:
    """Keys are hosts, with or without a scheme and a path, as docker login writes them."""
    for key, entry in auths.items():
        found = urlsplit(key if "//" in key else f"//{key}").netloc
        if found == host and isinstance(entry, dict):
            return entry
    return None


def _decoded(text: Any) -> str:
    try:
        return base64.b64decode(str(text)).decode()
    except ValueError:
        return ""
