"""The cluster's own branch of the control-group tree, on version 1 (one tree per controller) and version 2 (one tree).

/podium-cluster/components holds the programs and the containers' shims, /podium-cluster/kubepods the pods, and
/podium-cluster/docker the builds. So what belongs to the cluster can be found, and ended, with nothing forgotten.
Version 2 is written after the kernel's documentation and was not run: the machine it was made on has version 1.
"""

import os
import signal
import time
from pathlib import Path

from cluster.console import Failure
from cluster.layout import CGROUP

ROOT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuset", "memory", "pids")


def mounted_hierarchies(mounts: str) -> dict[str, Path]:
    """Controller to mount point, from the text of /proc/mounts. Version 2 alone is {"": its mount point}.

    On a hybrid machine, where version 2 is mounted beside version 1, the containers' programs use version 1: so do we.
    """
    known = {
        "cpu",
        "cpuacct",
        "cpuset",
        "memory",
        "pids",
        "devices",
        "freezer",
        "blkio",
        "hugetlb",
        "net_cls",
        "net_prio",
        "perf_event",
        "rdma",
        "misc",
    }
    unified: dict[str, Path] = {}
    found: dict[str, Path] = {}
    for line in mounts.splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup":
            found |= {name: Path(folder) for name in options.split(",") if name in known or name.startswith("name=")}
        elif kind == "cgroup2":
            unified = {"": Path(folder)}
    return found or unified


def hierarchies() -> dict[str, Path]:
    return mounted_hierarchies(Path("/proc/mounts").read_text())


def branches() -> list[Path]:
    """Our branch in every mounted tree where it exists: runc makes one in a hybrid machine's version 2 tree as well."""
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    trees = {Path(fields[1]) for fields in lines if fields[2] in {"cgroup", "cgroup2"}}
    return sorted(tree / CGROUP for tree in trees if (tree / CGROUP).is_dir())


def controllers() -> frozenset[str]:
    """The controllers that containers may use here."""
    trees = hierarchies()
    if "" in trees:
        return frozenset((trees[""] / "cgroup.controllers").read_text().split())
    return frozenset(trees)


def prepare() -> None:
    """Makes the branch with the needed controllers on. Safe to repeat."""
    trees = hierarchies()
    for tree in set(trees.values()):
        branch = tree / CGROUP
        if "" in trees:
            enable(tree)
        branch.mkdir(exist_ok=True)
        if "" in trees:
            enable(branch)
        if tree == trees.get("cpuset"):
            inherit_cpuset(branch)
        (branch / "components").mkdir(exist_ok=True)
        if tree == trees.get("cpuset"):
            inherit_cpuset(branch / "components")


def enable(folder: Path) -> None:
    """Version 2: hands the controllers down to the children. Only missing ones: root's are the service manager's too."""
    control = folder / "cgroup.subtree_control"
    available = set((folder / "cgroup.controllers").read_text().split())
    missing = (available & {*NEEDED, "io", "hugetlb"}) - set(control.read_text().split())
    if missing:
        control.write_text(" ".join(f"+{name}" for name in sorted(missing)))


def inherit_cpuset(folder: Path) -> None:
    """Version 1: a new cpuset is empty and takes no process until it is told its parent's processors."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def adopt(pid: int) -> None:
    """Moves a process to the components: it must not end with the login session or the job that ran `up`."""
    for tree in set(hierarchies().values()):
        (tree / CGROUP / "components" / "cgroup.procs").write_text(str(pid))


def members() -> set[int]:
    """The pids of all processes in the branch, this one apart."""
    pids: set[int] = set()
    for branch in branches():
        for folder, _, _ in os.walk(branch):
            try:
                pids |= {int(pid) for pid in Path(folder, "cgroup.procs").read_text().split()}
            except (FileNotFoundError, OSError):
                continue  # removed while we walked
    return pids - {os.getpid(), 0}


def kill_members(seconds: float = 10.0) -> None:
    """Kills everything in the branch, again and again: a process may fork between the listing and the signal."""
    deadline = time.monotonic() + seconds
    while pids := members():
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise Failure(f"these processes of the cluster cannot be killed: {', '.join(map(str, sorted(pids)))}")
        time.sleep(0.05)


def remove() -> None:
    """Removes the branch, from the leaves up. The kernel needs a moment after the last process has gone."""
    deadline = time.monotonic() + 5.0
    while (left := branches()) and time.monotonic() < deadline:
        for branch in left:
            for folder, _, _ in os.walk(branch, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    continue
        time.sleep(0.05)
