"""Services: where clients ask, where pods find each other, where a pool takes forwarded requests."""

from podium_crds.names import CONTROL_PORT, FORWARD_PORT, GRPC_PORT, HTTP_PORT, LABEL_POOL
from podium_operator.kinds import Manifest
from podium_operator.manifests.identity import Owner, Pool, champion_selector, child_metadata, pool_selector

PUBLIC_PORT = 80
PUBLIC_TLS_PORT = 443


def public_service(owner: Owner, pool_id: str, *, tls: bool) -> Manifest:
    """What clients know. Its selector moves to another pool only after that pool holds the committed plan.

    Gateways choose by appProtocol how they speak to the pods; without one they would send gRPC as HTTP/1.1.
    """
    web = (
        {**_port("https", PUBLIC_TLS_PORT, HTTP_PORT), "appProtocol": "https"}
        if tls
        else _port("http", PUBLIC_PORT, HTTP_PORT)
    )
    grpc = {**_port("grpc", GRPC_PORT, GRPC_PORT), "appProtocol": "https" if tls else "kubernetes.io/h2c"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(owner, owner.name),
        "spec": {
            "selector": {**champion_selector(owner), LABEL_POOL: pool_id},
            "ports": [web, grpc],
        },
    }


def peers_service(owner: Owner, pool: Pool) -> Manifest:
    """Headless, unready pods included: a pod that is not ready yet may hold the plan or a file that another one lacks."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(owner, owner.child(pool.peers_role), pool if pool.challenger else None),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": pool_selector(owner, pool) if pool.challenger else champion_selector(owner),
            "ports": [_port("control", CONTROL_PORT, CONTROL_PORT)],
        },
    }


def forward_service(owner: Owner, pool: Pool) -> Manifest:
    """Where other pods of the deployment send what this pool shall answer. The plan names it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(owner, owner.child(pool.forward_role), pool),
        "spec": {"selector": pool_selector(owner, pool), "ports": [_port("forward", FORWARD_PORT, FORWARD_PORT)]},
    }


def forward_host(owner: Owner, pool: Pool) -> str:
    return owner.host(owner.child(pool.forward_role))


def _port(name: str, port: int, target: int) -> Manifest:
    return {"name": name, "port": port, "targetPort": target, "protocol": "TCP"}
