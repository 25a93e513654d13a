"""A mounted folder that is exchanged while it is read."""

import logging
from pathlib import Path

import pytest

from podium_serving.security.folder import Folder
from security_fixtures import mount


def test_a_folder_that_goes_while_it_is_read_is_looked_for_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mount(tmp_path, {"tls.crt": b"old"})
    taken: list[bytes] = []

    def read(folder: Path) -> bytes:
        if not taken:
            taken.append(b"")
            mount(tmp_path, {"tls.crt": b"new"})
        return (folder / "tls.crt").read_bytes()

    with caplog.at_level(logging.INFO):
        Folder(tmp_path, read, taken.append, "the certificate").load()
    assert taken == [b"", b"new"]
    assert caplog.text == ""


def test_a_file_that_is_missing_in_the_folder_of_today_is_told(tmp_path: Path) -> None:
    mount(tmp_path, {"tls.crt": b"old"})
    with pytest.raises(FileNotFoundError, match=r"tls\.key"):
        Folder(tmp_path, lambda folder: (folder / "tls.key").read_bytes(), lambda content: None, "the certificate").load()
