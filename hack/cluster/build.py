"""Compiles the cluster's programs once and keeps them in the cache, keyed by their inputs.

A build goes into a temporary folder that is renamed when it is complete: a folder that exists can be trusted.
"""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cluster.console import Failure, run, say, step
from cluster.layout import KUBERNETES_VERSION
from cluster.toolchain import find_go, go_environment

SOURCES = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """Something to compile: a module folder of ours (`folder`), or a published module at a version (`module`)."""

    name: str
    version: str
    duration: str
    folder: str = ""
    module: str = ""
    variables: tuple[str, ...] = ()
    aliases: tuple[str, ...] = field(default=())


PROGRAMS = (
    Program(
        "kubernetes",
        KUBERNETES_VERSION,
        "about 5 minutes on two cores, once",
        folder="kubernetes",
        variables=(f"k8s.io/component-base/version.gitVersion=v{KUBERNETES_VERSION}",),
        aliases=(
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        ),
    ),
    Program("pause", "1", "seconds", folder="pause"),
    Program("coredns", "1.13.1", "about 2 minutes, once", module="github.com/coredns/coredns"),
    Program("metrics-server", "0.9.0", "about 2 minutes, once", module="sigs.k8s.io/metrics-server/cmd/metrics-server"),
    Program("helm", "3.19.4", "about 90 seconds, once", module="helm.sh/helm/v3/cmd/helm"),
    Program("kubeconform", "0.7.0", "seconds", module="github.com/yannh/kubeconform/cmd/kubeconform"),
)


def fingerprint(parts: Sequence[bytes]) -> str:
    """Sixteen hex digits of the sha256 over the parts and their lengths: moving bytes between parts changes it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()[:16]


def folder_name(program: Program, sources: Path) -> str:
    """The program's folder in the cache: `<name>-<hash of what it is made from>`. The compiler's version is no input."""
    parts = [repr(program).encode()]
    if program.folder:
        files = sorted(file for file in (sources / program.folder).iterdir() if file.suffix in {".go", ".mod", ".sum"})
        for file in files:
            parts += [file.name.encode(), file.read_bytes()]
    return f"{program.name}-{fingerprint(parts)}"


def go_command(go: Path, program: Program, output: Path) -> list[str]:
    """The compiler's command line. A published module's checksums are verified by Go itself."""
    flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in program.variables)])
    if program.folder:
        return [str(go), "build", "-ldflags", flags, "-o", str(output / program.name), "."]
    return [str(go), "install", "-ldflags", flags, f"{program.module}@v{program.version}"]


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """One process at a time. The lock goes with its holder, whatever way that ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run to finish (lock {lock})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compile_program(program: Program, target: Path, cache: Path, title: str) -> None:
    temporary = target.with_name(f"{target.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    go = find_go(cache)
    environment = go_environment(cache) | {"GOBIN": str(temporary)}
    with step(title):
        run(go_command(go, program, temporary), env=environment, cwd=SOURCES / program.folder)
    for alias in program.aliases:
        (temporary / alias).symlink_to(program.name)
    temporary.rename(target)


def build(cache: Path, only: Sequence[str] = ()) -> dict[str, Path]:
    """Builds what is missing and returns each program's folder by name. `only` names programs; empty means all."""
    wanted = [program for program in PROGRAMS if not only or program.name in only]
    if unknown := set(only) - {program.name for program in wanted}:
        known = ", ".join(program.name for program in PROGRAMS)
        raise Failure(f"nothing is called {', '.join(sorted(unknown))}; there are: {known}")
    folders = {program.name: cache / folder_name(program, SOURCES) for program in wanted}
    if all(folder.is_dir() for folder in folders.values()):
        return folders
    with exclusive(cache / "build.lock"):
        for number, program in enumerate(wanted, start=1):
            if not folders[program.name].is_dir():
                title = f"[{number}/{len(wanted)}] compiling {program.name} {program.version} ({program.duration})"
                compile_program(program, folders[program.name], cache, title)
    return folders
