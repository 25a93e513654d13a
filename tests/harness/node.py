"""A node without a kubelet: runs the containers of Pod objects as processes in network namespaces.

The API server, Deployments, ReplicaSets and EndpointSlices are real; so are the serving processes. What a kubelet does is
done here, small enough to be stopped at any point: a test holds a pod's start, kills or freezes its process, cuts its
network, delays its ConfigMap mounts. Images are ignored: every container runs this checkout's Python.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from harness.api import Api, Manifest, Refusal
from harness.network import PodNetwork
from harness.pod import PodProcess

NODE = "test-node"
HEARTBEAT_SECONDS = 5.0
"""By the clock: turns take long while pods do not answer, and a late node's pods are all called unready after 40 s."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Node:
    """`async with` a running loop over all pods of all namespaces."""

    def __init__(self, api: Api, network: PodNetwork, folder: Path) -> None:
        self.api, self.network, self.folder = api, network, folder
        self.pods: dict[str, PodProcess] = {}
        """By pod uid."""
        self.hold_start: Callable[[Manifest], bool] = lambda pod: False
        """Pods for which this is true are not started yet."""
        self.hold_mounts = False
        """ConfigMap volumes of running pods are not refreshed: a kubelet may lag by a minute."""
        self.selectors: dict[tuple[str, str], dict[str, str]] = {}
        """By namespace and name of a Service, as last seen: a deleted one's connections stay where they are."""
        self._task: asyncio.Task[None] | None = None
        self._last_beat = 0.0

    async def start(self) -> None:
        with contextlib.suppress(Refusal):
            await self.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        await self._heartbeat()
        self._task = asyncio.create_task(self._loop())

    def alive(self) -> None:
        """Raises what ended the loop, if something did: everything else that a test sees then is a consequence."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for pod in list(self.pods.values()):
            await pod.kill_for_good()
            self.network.remove(pod.netns)
        self.pods.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def named(self, name: str) -> PodProcess:
        return next(pod for pod in self.pods.values() if pod.name == name)

    async def _loop(self) -> None:
        while True:
            await self._turn()
            await asyncio.sleep(0.1)

    async def _turn(self) -> None:
        if time.monotonic() > self._last_beat + HEARTBEAT_SECONDS:
            await self._heartbeat()
        manifests = {pod["metadata"]["uid"]: pod for pod in await self.api.list("Pod")}
        for uid in set(self.pods) - set(manifests):
            await self._forget(uid)
        for uid, manifest in manifests.items():
            with contextlib.suppress(Refusal):
                await self._sync(uid, manifest)
        await self._write_hosts(list(manifests.values()))

    async def _sync(self, uid: str, manifest: Manifest) -> None:
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        running = self.pods.get(uid)
        if manifest["metadata"].get("deletionTimestamp"):
            if running is None or running.terminated():
                await self._forget(uid)
                await self.api.delete("Pod", name, namespace, grace_seconds=0)
            else:
                running.terminate(manifest["metadata"].get("deletionGracePeriodSeconds", 30))
            return
        if running is None:
            if manifest.get("status", {}).get("phase") in ("Succeeded", "Failed") or self.hold_start(manifest):
                return
            await self._start(uid, manifest)
            return
        if not self.hold_mounts:
            await running.refresh_mounts(self.api)
        await running.keep_running()
        await self._report(running, manifest)

    async def _start(self, uid: str, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        if not manifest["spec"].get("nodeName"):
            binding = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": metadata["name"]},
                "target": {"kind": "Node", "name": NODE},
            }
            await self.api.call(
                "POST", f"api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding", binding
            )
        netns, address = self.network.add()
        pod = PodProcess(manifest, netns, address, self.folder / uid)
        self.pods[uid] = pod
        await pod.refresh_mounts(self.api)
        await pod.keep_running()
        await self._report(pod, manifest)

    async def _report(self, pod: PodProcess, manifest: Manifest) -> None:
        status = await pod.status(_now())
        if status != pod.reported:
            await self.api.patch("Pod", pod.name, {"status": status}, manifest["metadata"]["namespace"], "status")
            pod.reported = status

    async def _forget(self, uid: str) -> None:
        pod = self.pods.pop(uid, None)
        if pod is not None:
            await pod.kill_for_good()
            self.network.remove(pod.netns)
            shutil.rmtree(pod.folder, ignore_errors=True)

    async def _write_hosts(self, manifests: list[Manifest]) -> None:
        addresses: dict[str, list[str]] = {}
        for service in await self.api.list("Service"):
            selector = service["spec"].get("selector")
            if not selector:
                continue
            self.selectors[service["metadata"]["namespace"], service["metadata"]["name"]] = selector
            unready_too = service["spec"].get("publishNotReadyAddresses", False)
            found = [
                self.pods[pod["metadata"]["uid"]].address
                for pod in manifests
                if pod["metadata"]["uid"] in self.pods
                and pod["metadata"]["namespace"] == service["metadata"]["namespace"]
                and selector.items() <= pod["metadata"].get("labels", {}).items()
                and (unready_too or self.pods[pod["metadata"]["uid"]].ready)
            ]
            name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
            for host in (f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local", f"{name}.{namespace}"):
                addresses[host] = found
        self.network.write_hosts(addresses)

    async def _heartbeat(self) -> None:
        self._last_beat = time.monotonic()
        condition = {"type": "Ready", "status": "True", "reason": "Test", "message": "", "lastHeartbeatTime": _now()}
        status = {"conditions": [condition | {"lastTransitionTime": _now()}]}
        await self.api.patch("Node", NODE, {"status": status}, subresource="status")
        await self.api.patch("Node", NODE, {"spec": {"taints": None}})
