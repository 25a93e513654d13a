"""The same client against the registry program that clusters run, where it is installed."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from podium_crds.package import CONFIG_FILE, MANIFEST_FILE, MANIFEST_MEDIA_TYPE, manifest_files, sha256_digest
from podium_serving.fetch.cache import Cache
from podium_serving.fetch.errors import DigestMismatch, PackageNotFound
from podium_serving.fetch.packages import Packages
from podium_serving.model.package import read_package
from podium_serving.web.client import Client
from ports import HOST, free_port
from serving_fixtures import make_package
from swap_fixtures import eventually

PROGRAM = shutil.which("docker-registry")
pytestmark = [pytest.mark.process, pytest.mark.skipif(PROGRAM is None, reason="docker-registry is not installed")]

CONFIGURATION = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: "{root}"}}}}
http: {{addr: "{address}"}}
"""


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
async def address(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[str]:
    assert PROGRAM is not None
    address = f"{HOST}:{free_port()}"
    configuration = tmp_path / "registry.yaml"
    configuration.write_text(CONFIGURATION.format(root=tmp_path / "registry", address=address))
    log = asyncio.subprocess.DEVNULL
    registry = await asyncio.create_subprocess_exec(PROGRAM, "serve", str(configuration), stdout=log, stderr=log)

    async def answers() -> bool:
        try:
            async with session.get(f"http://{address}/v2/") as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    try:
        await eventually(answers)
        yield address
    finally:
        registry.terminate()
        await registry.wait()


async def push(session: aiohttp.ClientSession, address: str, folder: Path, tag: str) -> None:
    """As any OCI client pushes."""
    manifest = (folder / MANIFEST_FILE).read_bytes()
    for name in [CONFIG_FILE, *(entry.name for entry in manifest_files(manifest))]:
        content = (folder / name).read_bytes()
        async with session.post(f"http://{address}/v2/team/churn/blobs/uploads/") as response:
            place = response.headers["Location"]
        async with session.put(place + f"&digest={sha256_digest(content)}", data=content) as response:
            assert response.status == 201
    async with session.put(
        f"http://{address}/v2/team/churn/manifests/{tag}", data=manifest, headers={"Content-Type": MANIFEST_MEDIA_TYPE}
    ) as response:
        assert response.status == 201


async def test_a_pushed_package_arrives_with_its_digest(
    session: aiohttp.ClientSession, address: str, tmp_path: Path
) -> None:
    digest = make_package(tmp_path / "p")
    await push(session, address, tmp_path / "p", "v1")
    async with Client() as client:
        packages = Packages(Cache(tmp_path / "cache"), client, [address])
        uri = f"oci://{address}/team/churn"
        assert read_package(await packages.folder(f"{uri}:v1", digest)).digest == digest
        wanted = "sha256:" + "a" * 64
        with pytest.raises(PackageNotFound):
            await packages.folder(uri, wanted)
        with pytest.raises(DigestMismatch, match=f"the tag 'v1' there is {digest}"):
            await packages.folder(f"{uri}:v1", wanted)
