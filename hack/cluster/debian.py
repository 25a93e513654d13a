"""The Debian packages of the node: which programs are missing, and their installation without side effects.

A program counts, not a package: who has Docker's own packages keeps them (--no-remove: nothing is ever taken away).
Services of the new packages are neither started nor enabled; the cluster runs its own instances.
"""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cluster.console import Failure, run, step

PACKAGE_OF = {
    "containerd": "containerd",
    "runc": "runc",
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "conntrack": "conntrack",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "ipset": "ipset",
    "iptables": "iptables",
    "modprobe": "kmod",
    "mount": "mount",
    "nft": "nftables",
    "openssl": "openssl",
    "socat": "socat",
}
TESTED_WITH = {"promtool": "prometheus", "java": "default-jre-headless", "mvn": "maven"}
"""Programs that only tests start: the cluster goes without them."""
TEST_PACKAGE_OF = {"chromium": "chromium"}
"""Programs of tests that are skipped without them. Ubuntu's archive has no Chromium that apt could install."""
CNI_PACKAGE = "containernetworking-plugins"
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
SERVICES = ("containerd.service", "docker.service", "docker.socket", "docker-registry.service", "prometheus.service")
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# Put here by podium's local cluster for the time of an installation.\nexit 101\n"


def find_program(name: str) -> str | None:
    """Looks in the system's folders too: a user's PATH often lacks the sbin ones."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SEARCH_PATH}")


def cni_plugins() -> Path | None:
    return next(
        (folder for folder in CNI_FOLDERS if all((folder / name).exists() for name in ("bridge", "host-local", "loopback"))),
        None,
    )


def missing_packages() -> list[str]:
    missing = [package for program, package in PACKAGE_OF.items() if find_program(program) is None]
    return missing if cni_plugins() else [*missing, CNI_PACKAGE]


def missing_packages_of_tests() -> list[str]:
    return missing_packages() + [package for program, package in TESTED_WITH.items() if find_program(program) is None]


def missing_test_packages() -> list[str]:
    """Those of them that the archive has, as far as apt knows it now."""
    missing = [package for program, package in TEST_PACKAGE_OF.items() if find_program(program) is None]
    return [package for package in missing if run(["apt-cache", "--names-only", "search", f"^{package}$"]).strip()]


@contextlib.contextmanager
def services_held(policy: Path = POLICY) -> Iterator[None]:
    """While this lasts, no installation starts a service. A policy of the user's is put aside and put back."""
    aside = policy.with_name(f"{policy.name}.podium-aside")
    if policy.exists() and policy.read_text() != POLICY_TEXT:
        policy.replace(aside)
    policy.write_text(POLICY_TEXT)
    policy.chmod(0o755)
    try:
        yield
    finally:
        if aside.exists():
            aside.replace(policy)
        else:
            policy.unlink()


def installed() -> set[str]:
    listing = run(["dpkg-query", "--show", "--showformat", "${binary:Package} ${db:Status-Status}\\n"])
    return {name for name, _, status in (line.partition(" ") for line in listing.splitlines()) if status == "installed"}


def install(packages: list[str], cache: Path) -> None:
    """Installs, and adds what came in (dependencies too) to the cache's record, which outlives the cluster."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    before = installed()
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "--no-remove", "--quiet", *packages]
    with step(f"installing Debian packages: {' '.join(packages)}"):
        run(["apt-get", "update", "--quiet"], env=environment)
        with services_held():
            run(command, env=environment)
        disable_services(before, installed())
    record_installed(cache, installed() - before)
    if missing := missing_packages():
        raise Failure(f"these packages were installed but their programs are not there: {', '.join(missing)}")


def disable_services(before: set[str], after: set[str]) -> None:
    """A new package enables its service for the next boot. Only those of new packages are switched off again."""
    new = {
        service for service in SERVICES if service.partition(".")[0] in {name.partition(".")[0] for name in after - before}
    }
    if new and shutil.which("systemctl"):
        subprocess.run(["systemctl", "disable", "--quiet", *sorted(new)], capture_output=True, check=False)


def record_file(cache: Path) -> Path:
    return cache / "installed-debian-packages.json"


def recorded_packages(cache: Path) -> list[str]:
    file = record_file(cache)
    return [str(name) for name in json.loads(file.read_text())] if file.exists() else []


def record_installed(cache: Path, new: set[str]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    record_file(cache).write_text(json.dumps(sorted(new | set(recorded_packages(cache))), indent=2) + "\n")
