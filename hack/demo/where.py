"""Where the demo runs: the local cluster of hack/cluster, or the one that DEMO_KUBECONFIG and DEMO_REGISTRY name.

An ambient KUBECONFIG is never used: a demo must not land in somebody's production by accident.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class DemoError(Exception):
    """The demo cannot go on. The message says what happened and what to do."""


@dataclass(frozen=True)
class Where:
    local: bool
    registry: str
    """host[:port] of the registry that the cluster pulls from."""
    environment: Mapping[str, str] = field(repr=False)
    """For subprocesses: KUBECONFIG, DOCKER_HOST and the PATH with kubectl and helm."""

    def run(self, *command: str, stdin: str | None = None, check: bool = True, timeout: float = 600) -> str:
        """Standard output. Raises DemoError with the last lines of a failed command."""
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            env=dict(self.environment),
            cwd=ROOT,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
            raise DemoError(f"`{shlex.join(command[:6])}` failed with exit code {done.returncode}:\n{tail}")
        return done.stdout

    def show(self, *command: str) -> None:
        """Runs with its progress on the screen."""
        done = subprocess.run(command, env=dict(self.environment), cwd=ROOT, check=False)
        if done.returncode:
            raise DemoError(f"`{shlex.join(command[:6])}` failed with exit code {done.returncode}; its output is above")


def local(*, bring_up: bool) -> Where:
    """The local cluster, brought up if asked."""
    script = str(ROOT / "hack" / "cluster")
    environment = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "DOCKER_HOST")}
    if bring_up:
        Where(True, "", environment).show(sys.executable, script, "up")
    lines = Where(True, "", environment).run(sys.executable, script, "env").splitlines()
    for line in lines:
        name, separator, value = line.removeprefix("export ").partition("=")
        if separator:
            environment[name] = os.path.expandvars(" ".join(shlex.split(value))).replace(
                "$PATH", environment.get("PATH", "")
            )
    return Where(True, environment["PODIUM_REGISTRY"], environment)


def chosen(*, bring_up: bool) -> Where:
    """What the user's environment names, else the local cluster."""
    kubeconfig, registry = os.environ.get("DEMO_KUBECONFIG"), os.environ.get("DEMO_REGISTRY")
    if not kubeconfig and not registry:
        return local(bring_up=bring_up)
    if not kubeconfig or not registry:
        raise DemoError("set both DEMO_KUBECONFIG and DEMO_REGISTRY to use another cluster, or neither for the local one")
    if not Path(kubeconfig).is_file():
        raise DemoError(f"DEMO_KUBECONFIG names {kubeconfig}, which is no file")
    return Where(False, registry, {**os.environ, "KUBECONFIG": kubeconfig, "PODIUM_REGISTRY": registry})
