"""What is done to the machine's files, tried in a folder."""

import json
import os
import stat
from pathlib import Path

import pytest

from cluster import accounting, debian, found, images, layout, toolchain
from cluster.console import Failure
from cluster.layout import Paths


def paths(folder: Path) -> Paths:
    return Paths(state=folder / "state", run=folder / "run", cache=folder / "cache")


def test_the_folders_come_from_the_environment() -> None:
    where = layout.paths({"PODIUM_CLUSTER_DIR": "/data/c", "XDG_CACHE_HOME": "/data/cache", "HOME": "/home/x"})
    assert (where.state, where.cache) == (Path("/data/c"), Path("/data/cache/podium"))
    assert layout.paths({"HOME": "/home/x"}).cache == Path("/home/x/.cache/podium")


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.19 linux/amd64", (1, 19, 0)),
        ("go version devel +abc linux/amd64", None),
        ("", None),
    ],
)
def test_the_compilers_version_is_read(answer: str, version: tuple[int, ...] | None) -> None:
    assert toolchain.go_version(answer) == version


def test_services_are_held_and_the_users_policy_comes_back(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    with debian.services_held(policy):
        assert policy.read_text().endswith("exit 101\n")
        assert policy.stat().st_mode & stat.S_IXUSR
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert os.listdir(tmp_path) == ["policy-rc.d"]


def test_services_are_held_where_there_was_no_policy(tmp_path: Path) -> None:
    with debian.services_held(tmp_path / "policy-rc.d"):
        pass
    assert os.listdir(tmp_path) == []


def test_an_interrupted_installation_loses_no_policy(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("the user's")
    held = debian.services_held(policy)
    held.__enter__()  # and then the machine loses power
    with debian.services_held(policy):
        pass
    assert policy.read_text() == "the user's"


def test_installed_packages_are_recorded_over_several_runs(tmp_path: Path) -> None:
    debian.record_installed(tmp_path, {"runc"})
    debian.record_installed(tmp_path, {"conntrack"})
    assert debian.recorded_packages(tmp_path) == ["conntrack", "runc"]


def test_the_archive_is_the_one_of_apts_own_configuration() -> None:
    targets = (
        "http://a.example/x/|sid|main\nhttp://b.example/debian/|bookworm|contrib\nhttp://c.example/debian/|bookworm|main\n"
    )
    assert images.mirror(targets, "bookworm") == "http://c.example/debian/"
    with pytest.raises(Failure, match="names no archive for 'trixie main'"):
        images.mirror(targets, "trixie")


def test_a_layer_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        folder = tmp_path / name / "pause-0123456789abcdef"
        folder.mkdir(parents=True)
        (folder / "pause").write_bytes(b"program" * 1000)
        image = images.program_image("pause", folder / "pause", "/pause", "65535:65535")
        assert image.reference == "10.244.0.1:5000/podium/pause:0123456789abcdef"
        folders.append((image.layer.read_bytes(), json.loads(images.layer_facts(image.layer).read_text())))
    assert folders[0] == folders[1]


def test_a_record_of_this_boot_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter(["first", "second"])
    monkeypatch.setattr(found, "look", lambda: machine("boot-1", next(seen)))
    found.record(paths(tmp_path))
    found.record(paths(tmp_path))
    kept = found.load(paths(tmp_path))
    assert kept is not None
    assert kept.sysctls == {"name": "first"}


def test_after_a_reboot_the_kernels_part_is_recorded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([machine("boot-1", "first"), machine("boot-2", "second", "/etc/docker/key.json")])
    monkeypatch.setattr(found, "look", lambda: next(seen))
    found.record(paths(tmp_path))
    found.record(paths(tmp_path))
    kept = found.load(paths(tmp_path))
    assert kept is not None
    assert kept.sysctls == {"name": "second"}
    assert kept.side_entries == []


def machine(boot_id: str, value: str, *side_entries: str) -> found.Found:
    return found.Found(boot_id, {"name": value}, {}, {}, list(side_entries))


def test_a_counters_name_is_padded_in_its_message() -> None:
    message = accounting.delete_message("abc")
    assert message[:4] == len(message).to_bytes(4, "little")
    assert len(message) % 4 == 0
    assert message.endswith(b"abc\0")
