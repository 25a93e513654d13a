"""What the machine was like before `up` changed it, written down once: `down` puts it back after this record.

A reboot undoes settings, rules and interfaces by itself, so what the kernel holds is recorded anew after one.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster import firewall, kernel
from cluster.layout import Paths

SIDE_FOLDERS = (
    "/etc/docker",
    "/run/containerd",
    "/run/containerd/s",
    "/run/docker",
    "/run/docker/plugins",
    "/var/lib/cni",
    "/var/lib/cni/results",
    "/var/lib/kubelet",
    "/var/lib/kubelet/device-plugins",
    "/var/log/containers",
)
"""Where containerd, Docker, the CNI library and the kubelet write whatever they are told; parents come first."""


@dataclass(frozen=True)
class Found:
    boot_id: str
    sysctls: dict[str, str]
    chains: dict[str, list[str]]
    tables: dict[str, list[str]]
    side_entries: list[str]


def side_entries() -> list[str]:
    """The side folders and their direct contents that exist."""
    folders = [Path(name) for name in SIDE_FOLDERS if Path(name).exists()]
    children = [child for folder in folders if folder.is_dir() for child in folder.iterdir()]
    return sorted(str(entry) for entry in [*folders, *children])


def look() -> Found:
    return Found(
        boot_id=kernel.boot_id(),
        sysctls=kernel.read_sysctls(),
        chains={tool: sorted(firewall.chains_in(firewall.saved_rules(tool))) for tool in firewall.TOOLS},
        tables={tool: firewall.tables_of(tool) for tool in firewall.TOOLS},
        side_entries=side_entries(),
    )


def record_file(paths: Paths) -> Path:
    return paths.state / "found.json"


def load(paths: Paths) -> Found | None:
    file = record_file(paths)
    return Found(**json.loads(file.read_text())) if file.exists() else None


def record(paths: Paths) -> None:
    """Before the first change. The side entries of an earlier record stay: they are on the disk and survive a reboot."""
    before = load(paths)
    now = look()
    if before and before.boot_id == now.boot_id:
        return
    content = asdict(now) | ({"side_entries": before.side_entries} if before else {})
    paths.state.mkdir(parents=True, exist_ok=True)
    partial = record_file(paths).with_suffix(".partial")
    partial.write_text(kernel.dump(content))
    partial.replace(record_file(paths))
