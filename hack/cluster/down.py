"""`down`: takes back everything `up` made, in the order in which nothing can come back, and says what stays.

Works on a half-made cluster and on a crashed one. The record of what was there before says what it may remove; a folder
without one is left alone.
"""

import os
import shutil
from pathlib import Path

from cluster import accounting, cgroups, debian, firewall, found, kernel, processes
from cluster.build import exclusive
from cluster.console import Failure, say, step
from cluster.found import Found
from cluster.layout import Paths

LAST = ("etcd", "containerd")
"""These end after the others: who ends first must find them, or it writes errors and waits."""

GRACE_SECONDS = 1.0
"""Short: what they would save is deleted, and the API server would wait for its watchers to leave."""


def down(paths: Paths) -> None:
    if os.geteuid() != 0:
        raise Failure("this needs root, as `up` did")
    with exclusive(paths.cache / "cluster.lock"):
        before = found.load(paths)
        if before is None:  # then nothing was changed yet, or the folder is none of ours: both are left alone
            say(f"no cluster is there (in {paths.state})")
        else:
            take_down(paths, before)
    report(paths)


def take_down(paths: Paths, before: Found) -> None:
    with step("processes and containers"):
        own = processes.all_recorded(paths.pids)
        processes.stop_all([process for name, process in own.items() if name not in LAST], GRACE_SECONDS)
        processes.stop_all([process for name, process in own.items() if name in LAST], GRACE_SECONDS)
        cgroups.kill_members()
    with step("mounts, bridges, packet filter, control groups, kernel settings"):
        for folder in (paths.run, paths.state):
            kernel.unmount_below(folder)
        kernel.remove_bridges()
        restore(before)
        cgroups.remove()
    with step("files"):
        remove_side_entries(before, paths)
        for folder in (paths.run, paths.state):
            if kernel.mount_points_below(Path("/proc/mounts").read_text(), folder):
                raise Failure(f"something was mounted below {folder} while it was being taken down; run this again")
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                raise Failure(f"{folder} cannot be removed completely; see what holds it, then run this again")


def restore(before: Found) -> None:
    """Rules and settings go back only if they are of this boot: a reboot undid the cluster's own."""
    if before.boot_id != kernel.boot_id():
        return
    firewall.uninstall(before.chains)
    accounting.remove_counters()
    firewall.drop_empty_tables(before.tables)
    kernel.restore_sysctls(before.sysctls)


def remove_side_entries(before: Found, paths: Paths) -> None:
    """What the programs wrote beside our folders, each by its name: another program's things may have come meanwhile.

    A folder goes only if it is new and empty.
    """
    known = set(before.side_entries)
    for name in reversed(found.SIDE_FOLDERS):
        folder = Path(name)
        # Sorted: a sandbox's loopback file comes before the file that says whose sandbox it is.
        for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
            if str(entry) not in known and is_ours(entry, paths):
                entry.unlink(missing_ok=True)
        if name not in known and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def is_ours(entry: Path, paths: Paths) -> bool:
    """Whether a new entry of a side folder came from the cluster's programs, which have all ended."""
    match str(entry.parent):
        case "/run/containerd/s":
            return entry.is_socket() and str(entry) not in Path("/proc/net/unix").read_text()
        case "/var/lib/cni/results":
            sandbox = entry.name.removeprefix("cni-loopback-").removesuffix("-lo")
            return entry.name.startswith("podium-") or entry.with_name(f"podium-{sandbox}-eth0").exists()
        case "/var/lib/kubelet/device-plugins":
            return entry.name in {"kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION"}
        case "/var/log/containers":
            return entry.is_symlink() and entry.readlink().is_relative_to(paths.state)
        case _:
            return str(entry) == "/etc/docker/key.json"


def report(paths: Paths) -> None:
    """The two things that stay, by name."""
    packages = debian.recorded_packages(paths.cache)
    say("what stays on this machine:")
    say(f"  the cache {paths.cache} (programs, compiler cache, base image); remove the folder when you like")
    if packages:
        say(f"  {len(packages)} Debian packages that `up` installed: {' '.join(packages)}")
