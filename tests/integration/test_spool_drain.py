"""`tapehead spool drain`: what a recording that ended left in its spool, compressed segments included."""

import json
from pathlib import Path

import pytest

from recorder import cli
from recorder.errors import ExitCode
from recorder.lock import FolderLock
from tests.support.kept import keeper, settle
from tests.support.market import SpoolMaker, make_market


def test_everything_is_loaded_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maker = SpoolMaker(tmp_path / "spool", segment_bytes=64 << 10)
    make_market(maker, 600)
    maker.close()
    settle(keeper(tmp_path / "spool"))
    assert list((tmp_path / "spool").glob("*.zst"))
    with FolderLock(tmp_path):
        assert cli.main(["spool", "drain", str(tmp_path), "--json"]) == ExitCode.ENVIRONMENT
        assert "is in use by process " in capsys.readouterr().err
    answers = []
    for _ in range(2):
        assert cli.main(["spool", "drain", str(tmp_path), "--json"]) == ExitCode.OK
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0]["rows"]["trade"] > 100
    assert answers[1]["position"] == answers[0]["position"]
    assert cli.main(["verify", str(tmp_path), "--json"]) == ExitCode.OK
