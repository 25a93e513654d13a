"""The monitor's world and reviews on a real API server, with the rights that it has in a cluster and no others."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor_fixtures import until
from operator_installation_fixtures import REPOSITORY, Kubectl
from podium_monitor.cluster import Cluster
from podium_monitor.watching import Watching

RBAC = "rbac.authorization.k8s.io"
RULES = [
    {"apiGroups": ["podium.dev"], "resources": ["modeldeployments", "modelversions"], "verbs": ["list", "watch"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
]


@dataclass
class Place:
    kubectl: Kubectl
    kubeconfig: Path
    """Of the monitor's service account."""
    shop: str
    bank: str


def bound(name: str, namespace: str | None, rules: list[dict[str, Any]], subject: dict[str, str]) -> list[dict[str, Any]]:
    kind, metadata = ("Role", {"namespace": namespace}) if namespace else ("ClusterRole", {})
    role = {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": name, **metadata}, "rules": rules}
    reference = {"apiGroup": RBAC, "kind": kind, "name": name}
    return [role, {**role, "kind": f"{kind}Binding", "rules": None, "roleRef": reference, "subjects": [subject]}]


@pytest.fixture
def place(control_plane: Any, tmp_path: Path) -> Iterator[Place]:
    kubectl = Kubectl(control_plane.kubectl, control_plane.kubeconfig)
    crds = [f"--filename={path}" for path in (REPOSITORY / "crds").glob("*.yaml")]
    kubectl("apply", "--server-side", "--force-conflicts", *crds)
    names = [f"{name}-{secrets.token_hex(3)}" for name in ("shop", "bank", "monitor")]
    for name in names:
        kubectl("create", "namespace", name)
    shop, bank, home = names
    kubectl("-n", home, "create", "serviceaccount", "monitor")
    subject = {"kind": "ServiceAccount", "name": "monitor", "namespace": home}
    granted = bound(home, None, RULES, subject)
    kubectl.apply(*granted)
    counted(lambda: kubectl.grants(RULES, user=f"system:serviceaccount:{home}:monitor"))
    known = yaml.safe_load(control_plane.kubeconfig.read_text())
    token = kubectl("-n", home, "create", "token", "monitor").strip()
    path = tmp_path / "monitor.kubeconfig"
    path.write_text(yaml.safe_dump({**known, "users": [{"name": known["users"][0]["name"], "user": {"token": token}}]}))
    yield Place(kubectl, path, shop, bank)
    for manifest in granted:
        kubectl("delete", manifest["kind"], home)
    for name in names:
        kubectl("delete", "namespace", name, "--wait=false")


def counted(grants: Callable[[], bool]) -> None:
    """Waits until the API server goes by a role that was made."""
    end = time.monotonic() + 120
    while not grants():
        assert time.monotonic() < end
        time.sleep(0.1)


def version(namespace: str, name: str) -> dict[str, Any]:
    artifact = {"uri": "oci://registry.example.com/churn", "digest": "sha256:" + "0" * 64}
    return manifest_of("ModelVersion", namespace, name, {"artifact": artifact})


def deployment(namespace: str, name: str) -> dict[str, Any]:
    return manifest_of("ModelDeployment", namespace, name, {"champion": {"modelVersionRef": {"name": "churn-3"}}})


def manifest_of(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "podium.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


@asynccontextmanager
async def watching(place: Place, *namespaces: str) -> AsyncIterator[Watching]:
    cluster = await Cluster.connect(kubeconfig=str(place.kubeconfig))
    world = Watching(cluster, namespaces)
    task = asyncio.create_task(world.run())
    try:
        await until(lambda: not world.why_not_ready, seconds=180)
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await cluster.close()


def names(world: Watching, *namespaces: str) -> Callable[[], list[str]]:
    return lambda: [found.name for found in world.deployments() if found.namespace in namespaces]


async def test_what_is_applied_changed_and_deleted_is_known_at_once(place: Place) -> None:
    place.kubectl.apply(version(place.shop, "churn-3"), deployment(place.shop, "churn"), deployment(place.bank, "credit"))
    async with watching(place) as world:
        assert names(world, place.shop, place.bank)() == ["credit", "churn"]
        found = world.find(place.shop, "churn")
        assert found is not None
        assert list(found.versions) == ["churn-3"]
        applied = await asyncio.to_thread(place.kubectl.get, place.shop, "modeldeployment", "churn")
        assert applied is not None
        assert (found.uid, found.created_at) == (applied["metadata"]["uid"], applied["metadata"]["creationTimestamp"])
        await asyncio.to_thread(place.kubectl.apply, deployment(place.shop, "fraud"))
        await until(lambda: names(world, place.shop)() == ["churn", "fraud"])
        words = ["-n", place.shop, "annotate", "modeldeployment", "churn", "example.com/owner=risk"]
        await asyncio.to_thread(place.kubectl, *words)
        await until(lambda: world.find(place.shop, "churn").annotations["example.com/owner"] == "risk")  # type: ignore[union-attr]
        await asyncio.to_thread(place.kubectl, "-n", place.shop, "delete", "modeldeployment", "fraud")
        await until(lambda: names(world, place.shop)() == ["churn"])
        assert world.why_stale == ""


async def test_several_namespaces_and_no_others(place: Place) -> None:
    place.kubectl.apply(deployment(place.shop, "churn"), deployment(place.bank, "credit"))
    async with watching(place, place.bank, "default") as world:
        assert [found.name for found in world.deployments()] == ["credit"]


async def test_rights_and_tokens_are_what_rbac_says(place: Place) -> None:
    rules = [{"apiGroups": ["podium.dev"], "resources": ["modeldeployments"], "verbs": ["get", "list"]}]
    place.kubectl.apply(*bound("reader", place.shop, rules, {"kind": "Group", "name": "risk", "apiGroup": RBAC}))
    place.kubectl("-n", place.shop, "create", "serviceaccount", "bob")
    token = place.kubectl("-n", place.shop, "create", "token", "bob").strip()
    await asyncio.to_thread(counted, lambda: place.kubectl.grants(rules, place.shop, groups=["risk"]))
    cluster = await Cluster.connect(kubeconfig=str(place.kubeconfig))
    try:
        for namespace, groups, expected in (
            (place.shop, ["risk"], True),
            (place.bank, ["risk"], False),
            (place.shop, [], False),
        ):
            assert await cluster.may("alice", groups, "get", "modeldeployments", namespace) is expected
        assert not await cluster.may("alice", ["risk"], "delete", "modeldeployments", place.shop)
        assert not await cluster.may("alice", ["risk"], "list", "modeldeployments", "")
        identity = await cluster.who(token)
        assert identity is not None
        assert identity.user == f"system:serviceaccount:{place.shop}:bob"
        assert f"system:serviceaccounts:{place.shop}" in identity.groups
        assert await cluster.who("nonsense") is None
        assert await cluster.who(token[:-4] + "AAAA") is None
    finally:
        await cluster.close()
