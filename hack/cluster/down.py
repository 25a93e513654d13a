"""`down`: takes back everything `up` made, in the order in which nothing can come back, and says what stays.

Works on a half-made cluster, on a crashed one and on none. What it may remove is told by the record of what was there before.
"""

import shutil
from pathlib import Path

from cluster import cgroups, debian, firewall, found, kernel, processes
from cluster.build import exclusive
from cluster.console import Failure, say, step
from cluster.found import Found
from cluster.layout import Paths

LAST = ("etcd", "containerd")
"""These end after the others: who ends first must find them, or it writes errors and waits."""


def down(paths: Paths) -> None:
    with exclusive(paths.cache / "cluster.lock"):
        before = found.load(paths)
        if before is None and not paths.state.exists() and not paths.run.exists():
            say("no cluster is there")
        else:
            take_down(paths, before)
    report(paths)


def take_down(paths: Paths, before: Found | None) -> None:
    with step("processes and containers"):
        own = processes.all_recorded(paths.pids)
        processes.stop_all([process for name, process in own.items() if name not in LAST])
        processes.stop_all([process for name, process in own.items() if name in LAST])
        cgroups.kill_members()
    with step("mounts, bridges, packet filter, control groups, kernel settings"):
        for folder in (paths.run, paths.state):
            kernel.unmount_below(folder)
        kernel.remove_bridges()
        if before is not None:
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
    """Rules and settings go back only if they are of this boot: a reboot undid the cluster's, and what is there now is the user's."""
    if before.boot_id != kernel.boot_id():
        return
    firewall.uninstall(before.chains)
    firewall.drop_empty_tables(before.tables)
    kernel.restore_sysctls(before.sysctls)


def remove_side_entries(before: Found | None, paths: Paths) -> None:
    """Files that the programs wrote beside our folders: those that were not there before, as far as they are ours."""
    if before is None:
        return
    known = set(before.side_entries)
    for name in reversed(found.side_entries()):
        entry = Path(name)
        if name in known or kernel.mount_points_below(Path("/proc/mounts").read_text(), entry):
            continue
        if entry.is_dir() and not entry.is_symlink():
            if str(entry.parent) not in known or is_side_folder(entry):
                shutil.rmtree(entry, ignore_errors=True)
        elif str(entry.parent) not in known or points_into(entry, paths.state):
            entry.unlink(missing_ok=True)


def is_side_folder(entry: Path) -> bool:
    return str(entry) in found.SIDE_FOLDERS


def points_into(entry: Path, folder: Path) -> bool:
    return entry.is_symlink() and entry.readlink().is_relative_to(folder)


def report(paths: Paths) -> None:
    """The two things that stay, by name."""
    packages = debian.recorded_packages(paths.cache)
    say("what stays on this machine:")
    say(f"  the cache {paths.cache} (programs, compiler cache, base image); remove the folder when you like")
    if packages:
        say(f"  {len(packages)} Debian packages that `up` installed: {' '.join(packages)}")
