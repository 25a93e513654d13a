"""What may be removed, and what may not."""

from pathlib import Path

import pytest

from cluster import down, found, up
from cluster.console import Failure
from cluster.found import Found
from cluster.layout import Paths


def paths(folder: Path) -> Paths:
    return Paths(state=folder / "state", run=folder / "run", cache=folder / "cache")


def record(*side_entries: str) -> Found:
    return Found("boot-1", {}, {}, {}, list(side_entries))


def test_a_folder_with_somebodys_files_is_never_taken_for_a_cluster(tmp_path: Path) -> None:
    where = paths(tmp_path)
    where.state.mkdir()
    (where.state / "thesis.tex").write_text("years of work")
    with pytest.raises(Failure, match="is not empty and holds no cluster"):
        up.check_machine(where)


def test_down_leaves_a_folder_without_a_record_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    where = paths(tmp_path)
    where.state.mkdir()
    (where.state / "thesis.tex").write_text("years of work")
    down.down(where)
    assert (where.state / "thesis.tex").exists()


def test_only_new_and_empty_side_folders_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, used = (tmp_path / name for name in ("old", "new", "used"))
    for folder in (old, new, used):
        folder.mkdir()
    (used / "of-another-program").write_text("")
    monkeypatch.setattr(found, "SIDE_FOLDERS", tuple(str(folder) for folder in (old, new, used)))
    down.remove_side_entries(record(str(old)), paths(tmp_path))
    assert (old.exists(), new.exists(), used.exists()) == (True, False, True)


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        ("/var/lib/cni/results/podium-0123-eth0", True),
        ("/var/lib/cni/results/cni-loopback-0123-lo", False),
        ("/var/lib/kubelet/device-plugins/kubelet.sock", True),
        ("/var/lib/kubelet/device-plugins/gpu.sock", False),
        ("/etc/docker/key.json", True),
        ("/etc/docker/daemon.json", False),
        ("/run/containerd/io.containerd.grpc.v1.cri", False),
    ],
)
def test_entries_are_known_by_name(tmp_path: Path, entry: str, ours: bool) -> None:
    assert down.is_ours(Path(entry), paths(tmp_path)) is ours
