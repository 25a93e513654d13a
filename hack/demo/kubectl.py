"""kubectl as a user types it, with waits that end."""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, TypeVar

from demo.where import DemoError, Where

Manifest = dict[str, Any]
T = TypeVar("T")


class Kubectl:
    def __init__(self, where: Where, namespace: str) -> None:
        self.where, self.namespace = where, namespace

    def __call__(self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 120) -> str:
        return self.where.run("kubectl", "-n", self.namespace, *arguments, stdin=stdin, check=check, timeout=timeout)

    def apply(self, *manifests: Manifest) -> None:
        documents = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self("apply", "--server-side", "--field-manager=demo", "--force-conflicts", "-f", "-", stdin=json.dumps(documents))

    def get(self, kind: str, name: str) -> Manifest | None:
        text = self("get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def list(self, kind: str, selector: str = "") -> list[Manifest]:
        arguments = ["get", kind, "-o", "json", *(["-l", selector] if selector else [])]
        found: list[Manifest] = json.loads(self(*arguments))["items"]
        return found

    def wait(self, what: str, look: Callable[[], T | None], seconds: float = 180, every: float = 0.3) -> T:
        """The first answer that is neither None nor False."""
        end = time.monotonic() + seconds
        while True:
            found = look()
            if found is not None and found is not False:
                return found
            if time.monotonic() > end:
                raise DemoError(f"not within {seconds:g} s: {what}\n{self.overview()}")
            time.sleep(every)

    def overview(self) -> str:
        events = self("get", "events", "--sort-by=.metadata.creationTimestamp", check=False).splitlines()
        return self("get", "mdep,mv,pods", check=False) + "\n".join(events[-12:])

    def wait_ready(self, kind: str, name: str, seconds: float = 240) -> Manifest:
        def look() -> bool:
            found = self.get(kind, name)
            status, reason, message = condition_of(found, "Ready")
            if condition_of(found, "Stalled")[0] == "True":
                raise DemoError(f"{kind} {name} is refused ({reason}): {message}\n{self.overview()}")
            return status == "True"

        self.wait(f"{kind} {name} Ready", look, seconds)
        found = self.get(kind, name)
        assert found is not None
        return found

    def wait_serving(self, name: str, version: str, seconds: float = 240) -> Manifest:
        """Ready, and with `version` as the champion that answers."""
        found = self.wait_ready("mdep", name, seconds)
        serving = found["status"]["champion"]["modelVersion"]
        if serving != version:
            raise DemoError(f"mdep {name} is Ready with {serving}, not {version}\n{self.overview()}")
        return found

    def wait_refused(self, name: str, seconds: float = 240) -> tuple[str, str]:
        """(reason, message) once the deployment says that what it asks for is refused."""

        def look() -> tuple[str, str] | None:
            found = self.get("mdep", name)
            status, reason, message = condition_of(found, "Ready")
            stalled = condition_of(found, "Stalled")[0] == "True"
            return (reason, message) if status == "False" and stalled else None

        return self.wait(f"mdep {name} refused", look, seconds)

    @contextmanager
    def port_forward(self, service: str, port: int, target: int) -> Any:
        """For clusters whose NodePorts this machine does not see."""
        command = ["kubectl", "-n", self.namespace, "port-forward", f"service/{service}", f"{port}:{target}"]
        process = subprocess.Popen(command, env=dict(self.where.environment), stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def condition_of(found: Manifest | None, wanted: str) -> tuple[str, str, str]:
    """(status, reason, message) of a condition that is about the newest generation; Unknown where it is not."""
    for condition in (found or {}).get("status", {}).get("conditions", []):
        if condition["type"] == wanted and found is not None:
            if condition.get("observedGeneration") != found["metadata"]["generation"]:
                return "Unknown", "NotObserved", ""
            return condition["status"], condition["reason"], condition["message"]
    return "Unknown", "Absent", ""
