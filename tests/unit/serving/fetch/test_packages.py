"""Packages from a registry with faults, over real sockets."""

import asyncio
import json
import logging
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium_crds.package import FileEntry
from podium_crds.plan import RegistryCredential
from podium_serving.background import NICENESS
from podium_serving.fetch import command
from podium_serving.fetch.cache import Cache
from podium_serving.fetch.contents import Contents
from podium_serving.fetch.errors import DigestMismatch, FetchFailed, PackageNotFound
from podium_serving.fetch.packages import Packages
from podium_serving.model.package import read_package
from podium_serving.web.client import Client
from swap_fixtures import FakeRegistry

pytestmark = pytest.mark.process


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().running() as running:
        yield running


@pytest.fixture
async def packages(registry: FakeRegistry, tmp_path: Path) -> AsyncIterator[Packages]:
    async with Client() as client:
        made = Packages(Cache(tmp_path / "cache"), client, [registry.address])
        yield made
        await made.close()


async def test_a_package_arrives_whole_and_checked(registry: FakeRegistry, packages: Packages, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    folder = await packages.folder(registry.uri, digest)
    assert read_package(folder).digest == digest


class Watched(Cache):
    """Writes down how much its threads stand back."""

    niceness: set[int]

    def holds(self, entry: FileEntry) -> bool:
        self.niceness.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return super().holds(entry)

    def link(self, contents: Contents) -> Path:
        self.niceness.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return super().link(contents)


async def test_whatever_hashes_or_walks_stands_back_behind_requests(registry: FakeRegistry, tmp_path: Path) -> None:
    cache = Watched(tmp_path / "cache")
    cache.niceness = set()
    digest = registry.add_made(tmp_path / "p")
    async with Client() as client:
        packages = Packages(cache, client, [registry.address])
        for _ in range(2):  # from the registry, and from the cache
            await packages.folder(registry.uri, digest)
        await packages.close()
    assert cache.niceness == {min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)}


async def test_a_second_fetch_asks_nobody(registry: FakeRegistry, packages: Packages, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    await packages.folder(registry.uri, digest)
    asked = len(registry.requests)
    await packages.folder(registry.uri, digest)
    assert len(registry.requests) == asked


async def test_fetches_of_one_digest_share_one_run(registry: FakeRegistry, packages: Packages, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    first, *others = [asyncio.create_task(packages.folder(registry.uri, digest)) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()  # One that gives up does not end it for the others.
    assert len(set(await asyncio.gather(*others))) == 1
    assert len(registry.requests) == len(set(registry.requests))


@pytest.mark.parametrize("authentication", ["", "basic", "bearer"])
async def test_the_registry_is_spoken_to_as_it_asks(
    registry: FakeRegistry, packages: Packages, tmp_path: Path, authentication: str
) -> None:
    registry.authentication = authentication
    digest = registry.add_made(tmp_path / "p")
    credential = RegistryCredential(username=registry.username, password=registry.password)
    await packages.folder(registry.uri, digest, credential)


async def test_a_given_token_is_used_as_it_is(registry: FakeRegistry, packages: Packages, tmp_path: Path) -> None:
    registry.authentication = "bearer"
    digest = registry.add_made(tmp_path / "p")
    await packages.folder(registry.uri, digest, RegistryCredential(token="short-lived"))
    assert not any("/token" in request for request in registry.requests)


@pytest.mark.parametrize("authentication", ["basic", "bearer"])
@pytest.mark.parametrize("credential", [None, RegistryCredential(username="puller", password="wrong-word")])
async def test_a_refused_credential_is_said_and_never_shown(
    registry: FakeRegistry,
    packages: Packages,
    tmp_path: Path,
    authentication: str,
    credential: RegistryCredential | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    registry.authentication = authentication
    digest = registry.add_made(tmp_path / "p")
    with pytest.raises(FetchFailed, match="check the pull secret") as caught:
        await packages.folder(registry.uri, digest, credential)
    for text in (str(caught.value), caplog.text):
        assert "wrong-word" not in text
        assert "Basic " not in text


async def test_passing_failures_are_tried_again(registry: FakeRegistry, packages: Packages, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    registry.failures = 3
    await packages.folder(registry.uri, digest)


async def test_a_registry_that_stays_down_is_given_up(registry: FakeRegistry, packages: Packages, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    registry.failures = 1_000
    with pytest.raises(FetchFailed, match="did not give the package: status 503"):
        await packages.folder(registry.uri, digest)


async def test_nobody_listening_is_said_in_words(packages: Packages) -> None:
    with pytest.raises(FetchFailed, match=r"127\.0\.0\.1:9/team/churn did not give the package: cannot connect"):
        await packages.folder("oci://127.0.0.1:9/team/churn", "sha256:" + "a" * 64)


async def test_a_transfer_that_breaks_off_leaves_nothing(registry: FakeRegistry, packages: Packages, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    registry.truncate = True
    with pytest.raises(FetchFailed, match="did not give the package"):
        await packages.folder(registry.uri, digest)
    registry.truncate = False
    assert read_package(await packages.folder(registry.uri, digest)).digest == digest


async def test_other_bytes_than_the_digest_names_are_a_mismatch(
    registry: FakeRegistry, packages: Packages, tmp_path: Path
) -> None:
    digest = registry.add_made(tmp_path / "p")
    blob = next(iter(registry.blobs))
    registry.blobs[blob] = bytes(len(registry.blobs[blob]))
    with pytest.raises(DigestMismatch, match="the content's digest is"):
        await packages.folder(registry.uri, digest)


async def test_another_manifest_than_the_digest_names_is_a_mismatch(
    registry: FakeRegistry, packages: Packages, tmp_path: Path
) -> None:
    digest = registry.add_made(tmp_path / "p")
    registry.manifests[digest] += b" "
    with pytest.raises(DigestMismatch):
        await packages.folder(registry.uri, digest)


async def test_a_missing_package_says_what_lies_under_its_tag(
    registry: FakeRegistry, packages: Packages, tmp_path: Path
) -> None:
    digest = registry.add_made(tmp_path / "p")
    registry.tags["v3"] = digest
    wanted = "sha256:" + "a" * 64
    with pytest.raises(DigestMismatch, match=f"has no package {wanted}; the tag 'v3' there is {digest}"):
        await packages.folder(f"{registry.uri}:v3", wanted)
    with pytest.raises(PackageNotFound, match=f"has no package {wanted}: push it, or correct address or digest"):
        await packages.folder(registry.uri, wanted)


async def test_the_descriptor_alone_can_be_had(registry: FakeRegistry, packages: Packages, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    assert await packages.descriptor(registry.uri, digest) == (tmp_path / "p" / "podium.yaml").read_bytes()
    assert len(registry.requests) == 2


async def test_the_command_downloads_and_checks(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.authentication = "basic"
    digest = registry.add_made(tmp_path / "p")
    auth = tmp_path / "config.json"
    entry = {"username": registry.username, "password": registry.password}
    auth.write_text(json.dumps({"auths": {registry.address: entry}}))
    environment = {"PODIUM_INSECURE_REGISTRIES": registry.address, "PODIUM_REGISTRY_AUTH_FILE": str(auth)}
    arguments = ["--uri", registry.uri, "--digest", digest, "--dir", str(tmp_path / "out" / "deep")]
    assert await asyncio.to_thread(command.main, arguments, environment) == 0
    assert read_package(tmp_path / "out" / "deep").digest == digest
    assert not [path for path in (tmp_path / "out" / "deep").iterdir() if path.name.startswith(".")]
    assert await asyncio.to_thread(command.main, arguments, environment) == 0, "again into the same folder"
    registry.manifests["sha256:" + "a" * 64] = registry.manifests[digest]
    wrong, missing = (["--digest", "sha256:" + letter * 64, *arguments[:2], *arguments[4:]] for letter in "ab")
    assert await asyncio.to_thread(command.main, wrong, environment) == 1
    assert await asyncio.to_thread(command.main, missing, environment) == 2, "it may still be pushed"
    assert await asyncio.to_thread(command.main, arguments, {}) == 2, "https is spoken to a registry of plain http"
    assert registry.password not in capsys.readouterr().err
