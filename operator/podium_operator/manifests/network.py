"""Who may speak to scoring pods, and to whom they may speak: user code runs in them.

Egress to registries, issuers of tokens and collectors of spans is by port, to any address: a NetworkPolicy cannot name
hosts. So code in a pod can reach other servers on those ports; where that matters, a policy of the platform's own must
narrow it.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from podium_crds.names import CONTROL_PORT, FORWARD_PORT, GRPC_PORT, HTTP_PORT, LABEL_DEPLOYMENT
from podium_operator.kinds import Manifest
from podium_operator.manifests.engine import url_port
from podium_operator.manifests.identity import Owner, child_metadata

DNS_PORT = 53
HTTPS_PORT = 443


def network_policy(owner: Owner, operator_namespace: str, called_ports: Iterable[int], collector_url: str) -> Manifest:
    """`called_ports`: where pods call servers of the user's."""
    own_pods = {"podSelector": {"matchLabels": {LABEL_DEPLOYMENT: owner.name}}}
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": operator_namespace}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(owner, owner.child("network")),
        "spec": {
            "podSelector": {"matchLabels": {LABEL_DEPLOYMENT: owner.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"ports": [_tcp(HTTP_PORT), _tcp(GRPC_PORT)]},
                {"ports": [_tcp(CONTROL_PORT)], "from": [operator, own_pods]},
                {"ports": [_tcp(FORWARD_PORT)], "from": [own_pods]},
            ],
            "egress": [
                {"ports": [{"port": DNS_PORT, "protocol": "UDP"}, _tcp(DNS_PORT)]},
                {"ports": [_tcp(CONTROL_PORT), _tcp(FORWARD_PORT)], "to": [own_pods]},
                {"ports": [_tcp(port) for port in sorted({HTTPS_PORT, *called_ports})]},
                *_collector(collector_url),
            ],
        },
    }


def registry_port(uri: str) -> int:
    """The port of an oci:// uri. Raises ValueError for one that is no number."""
    return urlsplit(uri).port or HTTPS_PORT


def _collector(url: str) -> list[Manifest]:
    return [{"ports": [_tcp(url_port(url))]}] if url else []


def _tcp(port: int) -> Manifest:
    return {"port": port, "protocol": "TCP"}
