"""Fifty ModelDeployments of one replica on the local node: time to all Ready, the operator's cost, and its silence.

`make bench-fifty [SECONDS=300]` prints one JSON object. Traffic goes to all of them while the operator's writes are counted.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from demo import install
from demo.kubectl import Kubectl, Manifest
from demo.load import BackgroundLoad, Load, figures
from demo.where import local
from harness.questions import question
from harness.site import push
from serving_fixtures import make_package

NAMESPACE = "bench-fifty"
FIRST_PORT = 31700
RATE = 50.0


def deployment(name: str) -> Manifest:
    resources = {"requests": {"cpu": "10m", "memory": "96Mi"}, "limits": {"memory": "300Mi"}}
    return {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "champion": {"modelVersionRef": {"name": "sum-1"}},
            "capture": {"percent": 0},
            "serving": {"replicas": 1, "template": {"resources": resources}},
        },
    }


def way_in(name: str, port: int) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{name}-outside", "namespace": NAMESPACE},
        "spec": {
            "type": "NodePort",
            "selector": {"podium.dev/deployment": name, "podium.dev/role": "champion"},
            "ports": [{"port": 80, "targetPort": 8080, "nodePort": port}],
        },
    }


def operator_cost() -> tuple[float, float]:
    """CPU seconds so far and resident MB, over the operator's processes in the cluster."""
    seconds, megabytes = 0.0, 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"podium_operator" not in (folder / "cmdline").read_bytes():
                continue
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            resident = int((folder / "statm").read_text().split()[1])
        except OSError:
            continue
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        megabytes += resident * os.sysconf("SC_PAGE_SIZE") / 1e6
    return seconds, megabytes


def writes(system: Kubectl) -> dict[str, float]:
    """Changed objects by kind and verb, summed over the operator's replicas."""
    found: dict[str, float] = {}
    for pod in system.list("pods", "app.kubernetes.io/component=operator"):
        path = f"/api/v1/namespaces/{install.SYSTEM}/pods/{pod['metadata']['name']}:8085/proxy/metrics"
        for family in text_string_to_metric_families(system("get", "--raw", path)):
            for sample in family.samples:
                if sample.name == "podium_operator_writes_total":
                    key = f"{sample.labels['kind']} {sample.labels['verb']}"
                    found[key] = found.get(key, 0.0) + sample.value
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    where = local(bring_up=True)
    install.install(where, install.build_images(where))
    kubectl, system = Kubectl(where, NAMESPACE), Kubectl(where, install.SYSTEM)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    try:
        print(json.dumps(measure(kubectl, system, arguments.count, arguments.seconds), indent=2))
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    return 0


def measure(kubectl: Kubectl, system: Kubectl, count: int, seconds: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        digest = make_package(Path(folder), name="sum", version="sum-1")
        model = push(kubectl.where, Path(folder), "sum-1", digest)
    kubectl.apply(model.manifest(NAMESPACE))
    kubectl.wait_ready("mv", "sum-1")
    names = [f"many-{number:02d}" for number in range(count)]
    kubectl.apply(*(way_in(name, FIRST_PORT + number) for number, name in enumerate(names)))
    cpu_before, _ = operator_cost()
    start = time.monotonic()
    kubectl.apply(*(deployment(name) for name in names))
    kubectl.wait("all are Ready", lambda: ready(kubectl) == count, 900, 1.0)
    took = time.monotonic() - start
    cpu_ready, _ = operator_cost()
    kubectl.wait("the status of traffic settles", lambda: time.monotonic() > start + took + 75 or None, 120, 5)
    turn = itertools.cycle(range(count))

    def url() -> str:
        number = next(turn)
        return f"http://127.0.0.1:{FIRST_PORT + number}/v2/models/{names[number]}/infer"

    with BackgroundLoad(Load(url, [question()], rate=RATE, connections=64)) as outcomes:
        time.sleep(75)
        before, (cpu_start, _) = writes(system), operator_cost()
        time.sleep(seconds)
        after, (cpu_end, megabytes) = writes(system), operator_cost()
    changed = {key: value - before.get(key, 0.0) for key, value in after.items() if value != before.get(key, 0.0)}
    return {
        "deployments": count,
        "seconds_to_all_ready": round(took, 1),
        "operator_cpu_seconds_until_ready": round(cpu_ready - cpu_before, 1),
        "operator_cpu_percent_of_a_core_afterwards": round(100 * (cpu_end - cpu_start) / seconds, 1),
        "operator_resident_megabytes_all_replicas": round(megabytes),
        "seconds_observed": seconds,
        "requests": len(outcomes),
        "requests_failed": figures(outcomes).failed,
        "writes": changed,
    }


def ready(kubectl: Kubectl) -> int:
    found = kubectl.list("mdep")
    return sum(
        any(c["type"] == "Ready" and c["status"] == "True" for c in item.get("status", {}).get("conditions", []))
        for item in found
    )


if __name__ == "__main__":
    sys.exit(main())
