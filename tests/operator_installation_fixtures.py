"""An installation for one test: an operator namespace, a watched namespace, and operators as processes.

No pod ever runs: a test says how a Job's pod ended by writing its status, as a kubelet would.
"""

import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

from harness.operator_process import OperatorProcess
from podium_crds.verification import VerificationReport

Manifest = dict[str, Any]
T = TypeVar("T")
REPOSITORY = Path(__file__).parents[1]
SHORT_LEASE = {"PODIUM_LEASE_SECONDS": "15", "PODIUM_LEASE_RENEW_SECONDS": "11"}
"""Of who is killed or frozen: so long the next one waits. Who renews late ends, so others hold a longer one."""
SCORING_IMAGE = "registry.example/scoring@sha256:" + "a" * 64
PASSED = VerificationReport(
    passed=True, reason="GoldenRowsReproduced", message="20 golden rows reproduced", golden_rows=20, contract=2
)


@dataclass
class Kubectl:
    program: Path
    kubeconfig: Path

    def __call__(self, *words: str, stdin: Manifest | None = None) -> str:
        command = [str(self.program), "--kubeconfig", str(self.kubeconfig), *words]
        done = subprocess.run(
            command, input=json.dumps(stdin) if stdin else None, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def get(self, namespace: str, kind: str, name: str) -> Manifest | None:
        found = self("-n", namespace, "get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(found) if found.strip() else None

    def items(self, namespace: str, kind: str, labels: str = "") -> list[Manifest]:
        selector = ["-l", labels] if labels else []
        found: list[Manifest] = json.loads(self("-n", namespace, "get", kind, *selector, "-o", "json"))["items"]
        return found

    def apply(self, *manifests: Manifest) -> None:
        self("apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": list(manifests)})

    def grants(self, rules: Sequence[Manifest], namespace: str = "", **who: Any) -> bool:
        """Whether `who` (user, groups) may do the first thing of each rule: a role counts a moment after it is made."""
        return all(self._may({"namespace": namespace, **_first(rule)}, who) for rule in rules)

    def _may(self, what: Manifest, who: Manifest) -> bool:
        spec = {"user": "somebody", **who, "resourceAttributes": what}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        return bool(json.loads(self("create", "-o", "json", "-f", "-", stdin=review))["status"]["allowed"])


def _first(rule: Manifest) -> Manifest:
    resource, _, subresource = rule["resources"][0].partition("/")
    return {"group": rule["apiGroups"][0], "resource": resource, "subresource": subresource, "verb": rule["verbs"][0]}


@dataclass
class Installation:
    kubectl: Kubectl
    folder: Path
    namespace: str = field(default_factory=lambda: f"operator-{secrets.token_hex(3)}")
    users: str = field(default_factory=lambda: f"users-{secrets.token_hex(3)}")
    operators: list[OperatorProcess] = field(default_factory=list)

    def start_operator(self, name: str, kubeconfig: Path | None = None, **more: str) -> OperatorProcess:
        environment = {
            "PODIUM_NAMESPACE": self.namespace,
            "PODIUM_WATCH_NAMESPACES": self.users,
            "PODIUM_SCORING_IMAGE": SCORING_IMAGE,
            "PODIUM_OPERATOR_IMAGE": "registry.example/operator:1",
            "PODIUM_HEALTH_BIND": "127.0.0.1",
            "PODIUM_HEALTH_PORT": "0",
            "PODIUM_LEASE_SECONDS": "60",
            "PODIUM_LEASE_RENEW_SECONDS": "45",
            "PODIUM_LEASE_RETRY_SECONDS": "0.3",
            **more,
        }
        operator = OperatorProcess(name, kubeconfig or self.kubectl.kubeconfig, self.folder, environment)
        operator.start()
        self.operators.append(operator)
        return operator

    def until(self, what: str, look: Callable[[], T | None], seconds: float = 180) -> T:
        """What `look` finds. Fails with the operators' last words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := look():
                return found
            time.sleep(0.1)
        raise AssertionError(f"{what} did not come within {seconds:g} s\n" + "\n".join(o.tail() for o in self.operators))

    def leading(self, operator: OperatorProcess) -> int:
        """Waits until this process leads; the term."""
        marker = f"{operator.name}_"
        lines = self.until(
            f"leadership of {operator.name}",
            lambda: [line for line in operator.tail(1000).splitlines() if marker in line and "leads, term" in line],
        )
        return int(lines[-1].rsplit(" ", 1)[1])

    def page(self, operator: OperatorProcess, path: str) -> str:
        mark = "health and metrics on port "
        found = self.until(f"{operator.name}'s port", lambda: re.findall(mark + r"(\d+)", operator.tail(1000)))
        port = found[-1]
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                text: str = answer.read().decode()
        except HTTPError as error:
            with error:
                return error.read().decode()
        return text

    def version(self, name: str, **spec: Any) -> None:
        artifact = {"uri": f"oci://registry.example/models/churn:{name}", "digest": "sha256:" + "b" * 64}
        artifact |= spec.pop("artifact", {})
        self.kubectl.apply(
            {
                "apiVersion": "podium.dev/v1alpha1",
                "kind": "ModelVersion",
                "metadata": {"name": name, "namespace": self.users},
                "spec": {"artifact": artifact, **spec},
            }
        )

    def status(self, name: str) -> Manifest:
        return (self.kubectl.get(self.users, "modelversion", name) or {}).get("status") or {}

    def ready(self, name: str) -> tuple[str, str]:
        """Status and reason of the condition Ready."""
        found = [c for c in self.status(name).get("conditions", []) if c["type"] == "Ready"]
        return (found[0]["status"], found[0]["reason"]) if found else ("", "")

    def end_verification(self, name: str, report: VerificationReport) -> None:
        """As if the newest Job's pod had run and written this report."""
        labels = f"podium.dev/model-version={name},podium.dev/job=verify"
        pod = self.until(
            f"the pod that verifies {name}",
            lambda: next(
                (p for p in self.kubectl.items(self.users, "pods", labels) if p["status"]["phase"] == "Pending"), None
            ),
        )
        end = {"exitCode": 0, "reason": "Completed", "message": report.model_dump_json()}
        container = {"name": "verify", "image": "i", "imageID": "i", "ready": False, "restartCount": 0}
        status = {"phase": "Succeeded", "containerStatuses": [{**container, "state": {"terminated": end}}]}
        patch = json.dumps({"status": status})
        self.kubectl(
            "-n", self.users, "patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge", "-p", patch
        )
