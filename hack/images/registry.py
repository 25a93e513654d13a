"""What a registry holds under a tag: asked by HTTP, so that an image that is there costs one request and no build."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from ipaddress import ip_address

MANIFESTS = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Pushed:
    digest: str
    compressed_bytes: int
    """What a node pulls that has none of the layers."""


def speaks_plain_http(registry: str) -> bool:
    """As Docker takes it: registries at private or loopback addresses, without a name, are this machine's own."""
    host = registry.rsplit(":", 1)[0]
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def pushed(registry: str, repository: str, tag: str) -> Pushed | None:
    """What lies under the tag; None if nothing does, or if the registry tells only those who log in."""
    scheme = "http" if speaks_plain_http(registry) else "https"
    request = urllib.request.Request(f"{scheme}://{registry}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFESTS})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            manifest, digest = json.load(answer), answer.headers["Docker-Content-Digest"]
    except urllib.error.HTTPError as refused:
        if refused.code in {401, 403, 404}:
            return None
        raise
    return Pushed(digest, sum(layer["size"] for layer in manifest["layers"]))
