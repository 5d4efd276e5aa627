"""A disk that fails under a writer: what was recorded is there, the rest is named, writing resumes."""

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ext.journal import Record, RecordKind
from recorder.spool.writer import Spool
from tests.support.faulty_disk import SEGMENT_BYTES, SHORT, FaultyDisk, payload
from tests.support.kept import read_items
from tests.support.spools import START_NS, Ticks, said
from tests.support.waiting import is_readable

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60


class Writer:
    """A writer on a faulty disk, and what it told."""

    def __init__(self, folder: Path, disk: FaultyDisk) -> None:
        command = [sys.executable, "-m", "tests.support.faulty_disk", str(folder)]
        self.log = folder.with_name("log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                env=disk.environment,
                bufsize=0,
            )
        self.told: dict[int, int] = {}
        self._rest = b""

    def listen(self) -> list[int]:
        """Read what it tells next; return the positions."""
        assert self.process.stdout is not None
        assert is_readable(self.process.stdout, DEADLINE_S), "the writer is silent"
        *lines, self._rest = (self._rest + self.process.stdout.read(4096)).split(b"\n")
        pairs = [tuple(map(int, line.split())) for line in lines]
        self.told.update(pairs)
        return [position for _, position in pairs]

    def until(self, *, refused: bool, times: int = 100) -> None:
        """Listen until so many frames in turn were refused, or recorded."""
        count = 0
        while count < times:
            for position in self.listen():
                count = count + 1 if (position == 0) == refused else 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_S)


@pytest.fixture
def disk(tmp_path: Path) -> FaultyDisk:
    return FaultyDisk(tmp_path)


@pytest.fixture
def writer(tmp_path: Path, disk: FaultyDisk) -> Iterator[Writer]:
    one = Writer(tmp_path / "spool", disk)
    with one.process:
        yield one
        one.process.kill()


def check(folder: Path, told: dict[int, int]) -> None:
    items = read_items(folder)
    records = {item.position: item for item in items if isinstance(item, Record)}
    assert len(records) == len(items), "a failing disk is no damage"
    losses = [item for item in records.values() if item.kind == RecordKind.LOST]
    intervals = [(said(loss)["start_ns"], loss.recv_ns) for loss in losses]
    for number, position in told.items():
        if position:
            assert records[position].payload == payload(number), number
        else:
            assert any(start <= START_NS + number <= end for start, end in intervals), number
    with Spool(folder, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
        assert spool.recovered.damage == ()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("pwrite", errno.EIO),
        ("pwrite", errno.ENOSPC),
        ("pwrite", SHORT),
        ("fallocate", errno.ENOSPC),
        ("fallocate", errno.EIO),
    ],
)
def test_what_cannot_be_written_is_refused_and_named_and_writing_resumes(
    writer: Writer, disk: FaultyDisk, tmp_path: Path, call: str, error: int
) -> None:
    for _ in range(2):
        writer.until(refused=False)
        disk.fail(call, error)
        writer.until(refused=True, times=1 if error == SHORT else 100)
        disk.fail(call, 0)
    writer.until(refused=False, times=500)
    writer.kill()
    assert 0 in writer.told.values()
    check(tmp_path / "spool", writer.told)


@pytest.mark.parametrize(
    ("call", "said"),
    [("fdatasync", "cannot sync"), ("fsync", "cannot finish"), ("ftruncate", "cannot finish")],
)
def test_a_disk_that_cannot_sync_or_cut_refuses_nothing(
    writer: Writer, disk: FaultyDisk, tmp_path: Path, call: str, said: str
) -> None:
    writer.until(refused=False)
    disk.fail(call, errno.EIO)
    while len(list((tmp_path / "spool").glob("*.tape"))) < 5 or said not in writer.log.read_text():
        assert 0 not in writer.listen()
    disk.fail(call, 0)
    writer.until(refused=False)
    writer.kill()
    assert 0 not in writer.told.values()
    check(tmp_path / "spool", writer.told)
