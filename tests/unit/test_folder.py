"""What lies in the folder of a recording."""

import errno
import logging
from pathlib import Path

import pytest

from recorder.folder import DataFolder


def test_a_status_that_has_no_room_is_logged_once_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = DataFolder(tmp_path)
    folder.write_status("capture", {"frames": 1})

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(Path, "write_text", full)
        folder.write_status("capture", {"frames": 2})
        folder.write_status("capture", {"frames": 3})
    assert folder.read_status("capture") == {"frames": 1}
    assert caplog.text.count("is not up to date") == 1
    folder.write_status("capture", {"frames": 4})
    assert folder.read_status("capture") == {"frames": 4}


def test_the_server_that_is_recorded_into_is_noted(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.server == ""
    folder.set_server("https://db.example")
    assert DataFolder(tmp_path).server == "https://db.example"
    folder.set_server("")
    assert DataFolder(tmp_path).server == ""
