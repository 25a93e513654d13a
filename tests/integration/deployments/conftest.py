"""A world per test; the API server, the pods' network, the registry and the packages once per session."""

import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from harness.api import Api
from harness.api_proxy import ApiProxy
from harness.network import PodNetwork
from harness.node import Node
from harness.world import Package, Registry, World, install_crds, make_packages
from shipped import shipped


@pytest.fixture(scope="session")
def pod_network() -> Iterator[PodNetwork]:
    network = PodNetwork()
    network.up()
    yield network
    network.down()


@pytest.fixture(scope="session")
def registry(pod_network: PodNetwork) -> Iterator[Registry]:
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(pod_network.gateway, Path(folder))
        registry.start()
        yield registry
        registry.stop()


@pytest.fixture(scope="session")
def packages(registry: Registry) -> Iterator[dict[str, Package]]:
    shipped()  # compiles what has changed: in a test its loop would stand still, and with it the operator's API server
    with tempfile.TemporaryDirectory() as folder:
        yield make_packages(registry, Path(folder))


@pytest.fixture
async def world(
    api_server: Path, pod_network: PodNetwork, registry: Registry, packages: dict[str, Package], tmp_path: Path
) -> AsyncIterator[World]:
    """`api_server` is the kubeconfig of a fresh control plane without nodes."""
    api = await Api(api_server).__aenter__()
    await install_crds(api)
    namespace = f"t-{secrets.token_hex(3)}"
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    node = Node(api, pod_network, tmp_path / "pods")
    await node.start()
    proxy = ApiProxy(api_server)
    await proxy.start()
    world = World(api, pod_network, node, registry, packages, api_server, tmp_path, namespace, proxy)
    yield world
    try:
        await world.close()
    finally:
        await node.stop()
