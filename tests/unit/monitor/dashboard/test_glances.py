"""What is noted of a deployment for the overview: small, there after a restart, never of another deployment of the name."""

from dataclasses import replace
from pathlib import Path

import msgspec

from dashboard_fixtures import Story, evaluation, findings, watched
from podium_monitor.dashboard.glances import Glances
from podium_monitor.dashboard.views.overview import row
from podium_monitor.lake.store import FolderStore

STORY = Story()
DOCUMENT = evaluation(STORY)


def noted(folder: Path) -> Glances:
    one, glances = watched(STORY), Glances(FolderStore(folder))
    glances.note(one, DOCUMENT, findings(one, DOCUMENT))
    return glances


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_new_process_shows_what_was_noted_before(tmp_path: Path) -> None:
    one, found = watched(STORY), noted(tmp_path).of(watched(STORY))
    assert found is not None
    assert Glances(FolderStore(tmp_path)).of(one) == found
    [file] = files(tmp_path)
    assert file.stat().st_size < len(msgspec.json.encode(DOCUMENT)) / 100
    made = row(one, found, None)
    assert (made.health.text, made.drift.text, made.performance.detail) == ("Performance degraded", "2 of 31", "AUC")


def test_only_what_is_new_is_written(tmp_path: Path) -> None:
    glances, one = noted(tmp_path), watched(STORY)
    [file] = files(tmp_path)
    before = file.stat().st_mtime_ns, file.stat().st_ino
    glances.note(one, DOCUMENT, findings(one, DOCUMENT))
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
    document = msgspec.structs.replace(DOCUMENT, label_coverage=0.5)
    glances.note(one, document, findings(one, document))
    found = Glances(FolderStore(tmp_path)).of(one)
    assert found is not None
    assert found.label_coverage == 0.5


def test_what_is_not_known_is_nothing(tmp_path: Path) -> None:
    noted(tmp_path)
    one = watched(STORY)
    glances = Glances(FolderStore(tmp_path))
    assert glances.of(replace(one, name="other")) is None
    assert glances.of(replace(one, uid="uid-of-another")) is None, "it was deleted and made anew"
    files(tmp_path)[0].write_text('{"alarm": 3}')
    assert glances.of(one) is None, "a release that wrote it otherwise"
