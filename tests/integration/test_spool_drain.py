"""`tapehead spool drain`: what a recording that ended left in its spool, compressed segments included."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from recorder.errors import ExitCode
from recorder.lock import FolderLock
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
