"""The keeper as a process of a recording: it keeps what it finds, says how it is, and ends when asked to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.config import checked
from recorder.folder import DataFolder
from recorder.recording.processes import Handover
from recorder.spool import fsck
from recorder.spool.lock import FolderLock
from tests.support.kept import make_spool, read_frames
from tests.support.recordings import until

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60


@pytest.mark.parametrize("is_held", [False, True])
def test_it_keeps_a_spool_and_waits_for_another_keeper_to_end(tmp_path: Path, is_held: bool) -> None:
    written = make_spool(tmp_path / "spool", 200)
    config = checked(data=tmp_path, recorder="here", market=[{"symbols": ["BTCUSDT"]}])
    folder = DataFolder(tmp_path)
    other = FolderLock(folder.spool, "keeper.lock") if is_held else None
    command = [sys.executable, "-m", "recorder", "keeper"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(Handover(config).encoded(os.getpid()))
        process.stdin.flush()
        try:
            assert json.loads(process.stdout.readline()) == {"ready": True}
            if other is not None:
                until(lambda: bool(folder.read_status("keeper").get("troubles")), "a held lock")
                assert not list(folder.spool.glob("*.seal"))
                other.release()
            until(lambda: folder.read_status("keeper").get("compressed") == 2, "a keeper")
            process.terminate()
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
    assert read_frames(folder.spool) == written
    assert fsck.check(folder.spool).is_sound
