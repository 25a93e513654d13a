"""One pod as processes in a network namespace: environment, mounts, restarts, readiness, termination."""

import asyncio
import base64
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from cluster.processes import dying_with
from harness.api import Api, Manifest
from harness.network import TERMINATION_LOG
from shipped import shipped

BACK_OFF_SECONDS = 2.0
"""Before a container that gave up is started again. One that was killed comes back at once."""
PATIENCE = 4
"""So many times what the manifest says, a probe waits for an answer: a kubelet shares its processors with no other runs."""


class PodProcess:
    def __init__(self, manifest: Manifest, netns: str, address: str, folder: Path) -> None:
        self.manifest, self.netns, self.address, self.folder = manifest, netns, address, folder
        self.name: str = manifest["metadata"]["name"]
        self.namespace: str = manifest["metadata"]["namespace"]
        self.container: Manifest = manifest["spec"]["containers"][0]
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = -1
        self.ready = False
        self.reported: Manifest = {}
        self.hold_restart = False
        self.lacks: set[str] = set()
        """Names of Secrets that must be there before the container starts."""
        self._started_at = ""
        self._gave_up_at: float | None = None
        self._kill_at: float | None = None
        self._last_probe = 0.0
        self._unanswered = 0
        self._probing: asyncio.Task[None] | None = None
        self._runs_once = manifest["spec"].get("restartPolicy") == "Never"
        for volume in manifest["spec"].get("volumes", []):
            (folder / volume["name"]).mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        folder.mkdir(parents=True, exist_ok=True)

    # --- faults -------------------------------------------------------------------------------------------------

    def signal(self, number: int) -> None:
        """To the container's process, as the kernel or an operator's hand would send it."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """The container dies; it is restarted in place unless `hold_restart`."""
        self.signal(signal.SIGKILL)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    # --- what a kubelet does ------------------------------------------------------------------------------------

    async def refresh_mounts(self, api: Api) -> None:
        for volume in self.manifest["spec"].get("volumes", []):
            if "configMap" in volume:
                found = await api.get("ConfigMap", volume["configMap"]["name"], self.namespace)
                self._write(volume["name"], {k: v.encode() for k, v in ((found or {}).get("data") or {}).items()})
            elif "secret" in volume:
                name = volume["secret"]["secretName"]
                found = await api.get("Secret", name, self.namespace)
                if found is None and not volume["secret"].get("optional"):
                    self.lacks.add(name)  # what a running pod has mounted stays
                    continue
                self.lacks.discard(name)
                self._write(volume["name"], {k: base64.b64decode(v) for k, v in ((found or {}).get("data") or {}).items()})

    def _write(self, volume: str, files: dict[str, bytes]) -> None:
        folder = self.folder / volume
        for path in folder.iterdir():
            if path.name not in files:
                path.unlink()
        for name, content in files.items():
            path = folder / name
            if not path.exists() or path.read_bytes() != content:
                path.with_suffix(".new").write_bytes(content)
                path.with_suffix(".new").replace(path)

    async def keep_running(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None and (self._runs_once or self.hold_restart or self._kill_at is not None):
            return
        if self.lacks or (self.process is not None and self._backs_off(self.process.returncode)):
            return
        self.restarts += 1
        self.ready = False
        self._spawn()

    def _backs_off(self, code: int) -> bool:
        if code <= 0:
            return False
        if self._gave_up_at is None:
            self._gave_up_at = time.monotonic()
        return time.monotonic() < self._gave_up_at + BACK_OFF_SECONDS

    def _spawn(self) -> None:
        self._gave_up_at = None
        arguments = self._command()
        bind = f'touch {TERMINATION_LOG}; mount --bind {self._termination()} {TERMINATION_LOG}; exec "$@"'
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.netns, "sh", "-c", bind, "sh", *arguments],
                env=self._environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=dying_with(os.getpid()),
                cwd=self.folder,
            )
        self._started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def _termination(self) -> Path:
        path = self.folder / "termination-log"
        path.touch()
        return path

    def _command(self) -> list[str]:
        command = [*self.container.get("command", []), *self.container.get("args", [])]
        if not self.container.get("command"):
            command = ["python", "-m", "podium_serving", *command]
        return [sys.executable if word == "python" or word.endswith("/python") else self._mounted(word) for word in command]

    def _mounted(self, text: str) -> str:
        """A path inside a volume becomes the folder that stands for it."""
        for mount in self.container.get("volumeMounts", []):
            if text == mount["mountPath"] or text.startswith(mount["mountPath"] + "/"):
                return str(self.folder / mount["name"]) + text[len(mount["mountPath"]) :]
        return text

    def _environment(self) -> dict[str, str]:
        environment = {**shipped(), "PATH": os.environ["PATH"], "HOME": str(self.folder)}
        for variable in self.container.get("env", []):
            environment[variable["name"]] = self._mounted(self._value(variable))
        return environment

    def _value(self, variable: dict[str, Any]) -> str:
        source = variable.get("valueFrom")
        if source is None:
            return str(variable.get("value", ""))
        if "fieldRef" in source:
            metadata = self.manifest["metadata"]
            fields = {
                "metadata.name": metadata["name"],
                "metadata.namespace": metadata["namespace"],
                "metadata.uid": metadata["uid"],
                "status.podIP": self.address,
            }
            return str(fields[source["fieldRef"]["fieldPath"]])
        if "resourceFieldRef" in source:
            kind, _, name = source["resourceFieldRef"]["resource"].partition(".")
            return _quantity(self.container.get("resources", {}).get(kind, {}).get(name, "0"))
        raise ValueError(f"the test node knows no valueFrom {source}")

    def terminate(self, grace_seconds: float) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + grace_seconds
            self.ready = False  # a terminating pod leaves its Services
            self.signal(signal.SIGTERM)
        elif time.monotonic() > self._kill_at:
            self.kill()

    def terminated(self) -> bool:
        return self.process is None or self.process.poll() is not None

    async def kill_for_good(self) -> None:
        self._kill_at = time.monotonic()
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        self.thaw()
        self.kill()
        if self.process is not None:
            await asyncio.to_thread(self.process.wait)

    # --- status -------------------------------------------------------------------------------------------------

    async def status(self, now: str) -> Manifest:
        code = self.process.poll() if self.process is not None else None
        if code is not None and self._runs_once:
            return self._finished(code, now)
        if self.process is None:
            return self._creating(now)
        self._probe()
        if code is not None:
            self.ready = False
        since = self._since(self.ready, now)
        ready = "True" if self.ready else "False"
        conditions = [{"type": kind, "status": ready, "lastTransitionTime": since} for kind in ("Ready", "ContainersReady")]
        state = {"running": {"startedAt": self._started_at}} if code is None else {"waiting": {"reason": "CrashLoopBackOff"}}
        return {
            "phase": "Running",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "conditions": [
                *conditions,
                {"type": "PodScheduled", "status": "True"},
                {"type": "Initialized", "status": "True"},
            ],
            "containerStatuses": [self._container_status(state) | self._last_state(code)],
        }

    def _creating(self, now: str) -> Manifest:
        """Its volumes cannot be mounted yet."""
        state = {"waiting": {"reason": "ContainerCreating"}}
        ready = {"type": "Ready", "status": "False", "lastTransitionTime": self._since(False, now)}
        return {
            "phase": "Pending",
            "conditions": [ready, {"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [self._container_status(state)],
        }

    def _last_state(self, code: int | None) -> Manifest:
        """Of a container that gave up, with what it said last, if it asks for that."""
        if code is None or self.container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return {}
        message = self.log.read_text(errors="replace")[-2048:]
        return {"lastState": {"terminated": {"exitCode": code, "reason": "Error", "message": message}}}

    def _finished(self, code: int, now: str) -> Manifest:
        message = (self.folder / "termination-log").read_text()
        reason = "Completed" if code == 0 else "Error"
        terminated = {"exitCode": code, "message": message, "reason": reason, "finishedAt": now}
        if self.reported.get("phase") in ("Succeeded", "Failed"):
            return self.reported
        return {
            "phase": "Succeeded" if code == 0 else "Failed",
            "podIP": self.address,
            "containerStatuses": [self._container_status({"terminated": terminated})],
        }

    def _container_status(self, state: Manifest) -> Manifest:
        return {
            "name": self.container["name"],
            "image": self.container["image"],
            "imageID": self.container["image"],
            "ready": self.ready,
            "restartCount": max(self.restarts, 0),
            "state": state,
        }

    def _since(self, ready: bool, now: str) -> str:
        for condition in self.reported.get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] == str(ready):
                return str(condition["lastTransitionTime"])
        return now

    def _probe(self) -> None:
        """Asks beside the node's turn, which waits for no pod. How often it asks in vain, the manifest says."""
        probe = self.container.get("readinessProbe")
        if probe is None:
            self.ready = True
        elif (self._probing is None or self._probing.done()) and time.monotonic() > self._last_probe + 0.2:
            self._last_probe = time.monotonic()
            self._probing = asyncio.create_task(self._ask(probe))

    async def _ask(self, probe: Manifest) -> None:
        process, asked, answered = self.process, probe["httpGet"], False
        port = _port(self.container, asked["port"])
        url = f"{asked.get('scheme', 'HTTP').lower()}://{self.address}:{port}{asked['path']}"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=probe["timeoutSeconds"] * PATIENCE)) as session,
                session.get(url, ssl=False) as response,  # a kubelet does not check the certificate
            ):
                answered = response.status < 400
        self._unanswered = 0 if answered else self._unanswered + 1
        if self.process is process and self._kill_at is None and (answered or self._unanswered >= probe["failureThreshold"]):
            self.ready = answered


def _port(container: Manifest, port: int | str) -> int:
    if isinstance(port, int):
        return port
    return next(int(entry["containerPort"]) for entry in container["ports"] if entry["name"] == port)


def _quantity(text: str) -> str:
    """Whole cores (rounded up) or bytes, as resourceFieldRef gives them with divisor 1."""
    units = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9}
    for unit, factor in units.items():
        if text.endswith(unit):
            return str(int(float(text[: -len(unit)]) * factor))
    if text.endswith("m"):
        return str(-(-int(text[:-1]) // 1000))
    return text
