"""Names that two parts must agree on: labels, ports, environment, names of children.

Kept apart because a wrong constant here is an outage: tests spell the values out.
"""

import hashlib

GROUP = "podium.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
FIELD_MANAGER = "podium-operator"

HTTP_PORT = 8080
"""Public: inference, health, metadata, docs."""
CONTROL_PORT = 8081
"""Signed plans from the operator, peers with the deployment's token, /metrics. Never on the public Service."""
FORWARD_PORT = 8082
"""Requests that were split already, with the deployment's token. Never splits again."""
GRPC_PORT = 9000
"""Public: inference by gRPC."""
COLLECTOR_PORT = 8090
"""The monitor's collector: for pods and whoever brings labels."""
MONITOR_PORT = 8091
"""The monitor's evaluator: for people and the operator."""
MONITOR_PORT = 8091
"""The monitor's evaluator: evidence, dashboard, reports, metrics."""

LABEL_DEPLOYMENT = "podium.dev/deployment"
LABEL_ROLE = "podium.dev/role"
LABEL_POOL = "podium.dev/pool"
LABEL_CHALLENGER = "podium.dev/challenger"
LABEL_VERSION = "podium.dev/model-version"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "podium"

RECORD_KEY = "commit.json"
"""Key of the signed, committed plan in a record ConfigMap."""
PENDING_KEY = "pending.json"
"""Key of the plan that is being prepared, absent when none is."""

SERVING_CONTRACT = 2
"""What operator and scoring image agree on beyond the control protocol.

1: forwards in JSON. 2: the settings of spec.serving, gRPC, forwards in the binary tensor extension."""

MAX_DEPLOYMENT_NAME = 40
MAX_CHALLENGER_NAME = 20
STICKY_SLOTS = 10_000

_HASH_LENGTH = 6


def short_hash(*parts: str) -> str:
    """Six characters of base 32 over `parts`; parts are length-prefixed so that no two lists collide by joining."""
    digest = hashlib.sha256(b"".join(f"{len(part)}:{part}".encode() for part in parts)).digest()
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    return "".join(alphabet[byte % 32] for byte in digest[:_HASH_LENGTH])


def child_name(owner: str, role: str) -> str:
    """`owner-role-hash`: the hash over (owner, role) keeps `a`+`b-c` and `a-b`+`c` apart. At most 63 characters."""
    suffix = short_hash(owner, role)
    stem = f"{owner}-{role}"[: 63 - len(suffix) - 1].rstrip("-")
    return f"{stem}-{suffix}"
