"""Where a package lies, from text to values: `oci://` references, digests, credentials, WWW-Authenticate challenges.

Pure, so that every odd spelling is a row in a table. Nothing here opens a file or a socket.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from podium_crds.plan import RegistryCredential
from podium_serving.fetch.errors import FetchFailed, InvalidPackage

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE = re.compile(
    r"oci://(?P<host>[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?)"
    r"/(?P<repository>[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
)
_CHALLENGE = re.compile(r"\s*(?P<scheme>[A-Za-z]+)(\s+(?P<parameters>.*))?$", re.DOTALL)
_PARAMETER = re.compile(r'(?P<name>[A-Za-z_]+)\s*=\s*("(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))')
_DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository in a registry. `tag` is for people: the digest alone decides what is fetched."""

    host: str
    repository: str
    tag: str = ""
    secure: bool = True

    @property
    def base_url(self) -> str:
        host = _DOCKER_HUB_API if self.host == _DOCKER_HUB else self.host
        return f"{'https' if self.secure else 'http'}://{host}/v2/{self.repository}"

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}"


def parse_reference(uri: str, insecure_hosts: Collection[str] = ()) -> Reference:
    """The reference that `uri` names. Raises InvalidPackage."""
    found = _REFERENCE.fullmatch(uri)
    if found is None:
        raise InvalidPackage(f"{uri!r} is not a package address: write oci://registry[:port]/repository[:tag]")
    host = found["host"]
    return Reference(host, found["repository"], found["tag"] or "", secure=host not in insecure_hosts)


def hex_of(digest: str) -> str:
    """The 64 hexadecimal digits of `sha256:<hex>`: nothing else becomes part of a path or an address.

    Raises InvalidPackage.
    """
    if _DIGEST.fullmatch(digest) is None:
        raise InvalidPackage(f"{digest[:100]!r} is not a digest: it is sha256: and 64 lower-case hexadecimal digits")
    return digest.removeprefix("sha256:")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry asks for with a 401."""

    scheme: str
    realm: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenge(header: str) -> Challenge | None:
    """The first challenge of a WWW-Authenticate header; None if it is none."""
    found = _CHALLENGE.match(header)
    if found is None:
        return None
    parameters = {
        part["name"].lower(): re.sub(r"\\(.)", r"\1", part["quoted"]) if part["quoted"] is not None else part["plain"]
        for part in _PARAMETER.finditer(found["parameters"] or "")
    }
    return Challenge(found["scheme"].lower(), parameters.pop("realm", ""), parameters)


def credential_for(host: str, docker_config: bytes) -> RegistryCredential | None:
    """The entry for `host` in a dockerconfigjson file; None if it has none. Raises FetchFailed if it is no such file."""
    try:
        entries: Mapping[str, Any] = json.loads(docker_config).get("auths", {})
        for key, entry in entries.items():
            if _host_of_key(key) == host or (host == _DOCKER_HUB and _host_of_key(key) == "index.docker.io"):
                return _credential(entry)
    except (ValueError, AttributeError, TypeError, KeyError, binascii.Error):
        # The cause is left out: the text of a parse error may show a part of the secret.
        raise FetchFailed(
            "the registry credential file is not a dockerconfigjson: {'auths': {host: {'auth': ...}}}"
        ) from None
    return None


def _host_of_key(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").split("/", 1)[0]


def _credential(entry: Mapping[str, str]) -> RegistryCredential:
    if token := entry.get("registrytoken"):
        return RegistryCredential(token=token)
    if auth := entry.get("auth"):
        username, _, password = base64.b64decode(auth, validate=True).decode().partition(":")
        return RegistryCredential(username=username, password=password)
    return RegistryCredential(username=entry.get("username", ""), password=entry.get("password", ""))
