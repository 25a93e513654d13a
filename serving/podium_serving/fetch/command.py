"""`fetch --uri U --digest D --dir DIR`: downloads and checks a package. What a build's init container runs.

Exit 0: DIR holds the package. 1: the package or its address is wrong. 2: the registry could not be used, or has no such
package yet: try again later.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from podium_crds.plan import RegistryCredential
from podium_serving.fetch.cache import Cache
from podium_serving.fetch.errors import FetchFailed, PackageError, PackageNotFound
from podium_serving.fetch.packages import Packages
from podium_serving.fetch.references import credential_for, parse_reference
from podium_serving.web.client import Client

CREDENTIAL_FILE = "PODIUM_REGISTRY_AUTH_FILE"
INSECURE_REGISTRIES = "PODIUM_INSECURE_REGISTRIES"
_MAX_CREDENTIAL_BYTES = 1024 * 1024


def main(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="podium_serving fetch", description="Download and check a model package.")
    parser.add_argument("--uri", required=True, help="oci://registry[:port]/repository[:tag]")
    parser.add_argument("--digest", required=True, help="sha256:<hex> of the package's manifest")
    parser.add_argument("--dir", required=True, type=Path, help="where its files go; made if absent")
    given = parser.parse_args(arguments)
    try:
        given.dir.mkdir(parents=True, exist_ok=True)
        asyncio.run(fetch_to(given.dir, given.uri, given.digest, os.environ if environment is None else environment))
    except (PackageError, OSError) as error:
        print(f"{given.uri}@{given.digest}: {error}", file=sys.stderr)
        return 2 if isinstance(error, FetchFailed | PackageNotFound | OSError) else 1
    print(f"{given.dir} holds {given.digest}")
    return 0


async def fetch_to(folder: Path, uri: str, digest: str, environment: Mapping[str, str]) -> None:
    """Puts the package's files, each checked, into `folder`, which is there. Raises PackageError or OSError."""
    insecure = [host.strip() for host in environment.get(INSECURE_REGISTRIES, "").split(",") if host.strip()]
    credential = credential_from(uri, environment)
    # Beside the files: the same disk, so that they arrive by renaming.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as beside:
        async with Client(proxied=True) as client:
            packages = Packages(Cache(Path(beside)), client, insecure)
            try:
                fetched = await packages.folder(uri, digest, credential)
            finally:
                await packages.close()
        for file in fetched.iterdir():
            shutil.move(file, folder / file.name)


def credential_from(uri: str, environment: Mapping[str, str]) -> RegistryCredential | None:
    """The credential for `uri` in the file that the environment names. Raises FetchFailed if it cannot be read."""
    path = environment.get(CREDENTIAL_FILE, "")
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_CREDENTIAL_BYTES)
    except OSError as error:
        raise FetchFailed(f"cannot read {path} (${CREDENTIAL_FILE}): {error.strerror}") from None
    return credential_for(parse_reference(uri).host, content)
