"""`tapehead spool drain`: what a recording that ended left in its spool, compressed segments included."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recorder.cli import main
from recorder.errors import ExitCode
from recorder.spool import writer as spool
from recorder.spool.lock import FolderLock
from tests.support.kept import keeper, settle
from tests.support.market import SpoolMaker, make_market

ROOT = Path(__file__).resolve().parents[2]
MAIN = "import sys; from recorder.cli import main; sys.exit(main())"


def tapehead(*arguments: object) -> tuple[int, Any]:
    """Run the command in a process of its own, which the database engine wants for each folder."""
    command = [sys.executable, "-c", MAIN, *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=90)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_everything_is_loaded_once(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool", segment_bytes=64 << 10)
    make_market(maker, 600)
    maker.close()
    settle(keeper(tmp_path / "spool"))
    assert list((tmp_path / "spool").glob("*.zst"))
    with FolderLock(tmp_path):
        code, answer = tapehead("spool", "drain", tmp_path)
    assert (code, "is in use by process " in answer["error"]["message"]) == (ExitCode.ENVIRONMENT, True)
    found = []
    for _ in range(2):
        code, answer = tapehead("spool", "drain", tmp_path)
        assert code == ExitCode.OK
        found += answer["recorders"]
    assert found[0]["rows"]["trade"] > 100
    assert (found[1]["position"], found[1]["batches"]) == (found[0]["position"], 0)
    code, answer = tapehead("verify", tmp_path)
    assert (code, answer["is_right"]) == (ExitCode.OK, True)


def test_a_spool_of_another_version_is_refused_and_nothing_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(spool, "FORMAT", 2)
        make_market(maker := SpoolMaker(tmp_path / "spool"), 5)
        maker.close()
    before = (tmp_path / "spool" / "00000001.tape").read_bytes()
    for arguments in (
        ["load", "--data", str(tmp_path)],
        ["replay", "--data", str(tmp_path)],
        ["spool", "fsck", str(tmp_path)],
    ):
        assert main(arguments) == ExitCode.USAGE
        assert "the spool is of format 2; this version reads format 1" in capsys.readouterr().err
    assert (tmp_path / "spool" / "00000001.tape").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"spool", "lock"}
