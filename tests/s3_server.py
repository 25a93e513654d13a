"""A real S3 server on this machine: the Versity gateway on a folder, compiled once and kept in the cache by its version."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cluster.build import SOURCES, Program, compile_program, exclusive, folder_name
from cluster.layout import paths
from podium_monitor.lake.opening import LakeSettings
from ports import free_port

GATEWAY = Program(
    "versitygw", "1.8.0", "about 2 minutes on two cores, once", module="github.com/versity/versitygw/cmd/versitygw"
)
BUCKET = "lake"
ACCESS_KEY, SECRET_KEY = "podium", "podium-secret"
_START_SECONDS = 180.0


def gateway() -> Path:
    """The program. The first call compiles it."""
    cache = paths(os.environ).cache
    folder = cache / folder_name(GATEWAY, SOURCES)
    if not folder.is_dir():
        with exclusive(cache / "versitygw.lock"):
            if not folder.is_dir():
                compile_program(GATEWAY, folder, cache, f"compiling {GATEWAY.name} {GATEWAY.version} ({GATEWAY.duration})")
    return folder / GATEWAY.name


@dataclass
class S3Server:
    """One bucket on `folder`, restartable. Its objects are plain files below `folder`/lake."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the monitor needs to use it."""
        return {
            "PODIUM_LAKE": f"s3://{BUCKET}/podium",
            "PODIUM_LAKE_S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def settings(self, cache: Path) -> LakeSettings:
        return LakeSettings(f"s3://{BUCKET}/podium", self.endpoint, cache=cache)

    def start(self) -> None:
        (self.folder / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
        command = [str(gateway()), "--access", ACCESS_KEY, "--secret", SECRET_KEY, "--port", f"127.0.0.1:{self.port}"]
        with (self.folder / "s3.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--quiet", "posix", str(self.folder / "data")], env=dict(os.environ), stdout=log, stderr=log
            )
        ends = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"the S3 server does not answer: {(self.folder / 's3.log').read_text()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint, timeout=10).close()
        except urllib.error.HTTPError:
            return True  # it wants a signature
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)


@contextmanager
def serving(folder: Path) -> Iterator[S3Server]:
    server = S3Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
