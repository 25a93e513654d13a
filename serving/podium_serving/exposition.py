"""What /metrics says: Prometheus' text format 0.0.4, and what there is to say of the process itself.

Written here, for prometheus-client brings three HTTP servers and the whole of email: 3 MB in every pod.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import os
import platform
import resource
import time
from collections.abc import Iterable
from functools import cache
from math import inf
from pathlib import Path

import msgspec

from podium_serving import build

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STARTED, _VIRTUAL, _RESIDENT, _USER, _SYSTEM = 19, 20, 21, 11, 12
"""Fields of /proc/self/stat after the name (proc(5))."""


class Family(msgspec.Struct, frozen=True):
    """One metric with its samples. A counter's samples end in `_total`, its family does not."""

    name: str
    text: str
    kind: str
    """counter, gauge or histogram."""
    samples: list[tuple[str, dict[str, str], float]]


def text(families: Iterable[Family]) -> bytes:
    """Every family, also those without samples: who looks for a name finds it."""
    lines = []
    for family in families:
        name = f"{family.name}_total" if family.kind == "counter" else family.name
        said = family.text.replace("\\", "\\\\").replace("\n", "\\n")
        lines += [f"# HELP {name} {said}\n", f"# TYPE {name} {family.kind}\n"]
        lines += [f"{sample}{_labels(labels)} {_number(value)}\n" for sample, labels, value in family.samples]
    return "".join(lines).encode()


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(labels[name])}"' for name in sorted(labels)) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if value in (inf, -inf):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if value != value else repr(float(value))


def process_families() -> list[Family]:
    """Of this process, by the names that Prometheus' clients agree on. What the system does not tell is left out."""
    families = [
        Family("python_info", "Python platform information", "gauge", [("python_info", _python(), 1.0)]),
        Family("podium_build_info", "Which Podium this is.", "gauge", [("podium_build_info", build.labels(), 1.0)]),
    ]
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        open_files = len(os.listdir("/proc/self/fd"))
    except OSError:
        return families
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    cpu = (int(stat[_USER]) + int(stat[_SYSTEM])) / _TICKS
    started = _booted() + int(stat[_STARTED]) / _TICKS
    return [
        _gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", int(stat[_VIRTUAL])),
        _gauge("process_resident_memory_bytes", "Resident memory size in bytes.", int(stat[_RESIDENT]) * _PAGE_BYTES),
        _gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", started),
        Family(
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds.",
            "counter",
            [("process_cpu_seconds_total", {}, cpu)],
        ),
        _gauge("process_open_fds", "Number of open file descriptors.", open_files),
        _gauge("process_max_fds", "Maximum number of open file descriptors.", soft),
        *families,
    ]


def _gauge(name: str, said: str, value: float) -> Family:
    return Family(name, said, "gauge", [(name, {}, float(value))])


@cache
def _booted() -> float:
    """Unix seconds. Once: the clock may be set meanwhile, and a start time that moves reads as a restart."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _python() -> dict[str, str]:
    major, minor, patch = platform.python_version_tuple()
    version = platform.python_version()
    implementation = platform.python_implementation()
    return {"implementation": implementation, "major": major, "minor": minor, "patchlevel": patch, "version": version}
