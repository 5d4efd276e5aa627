"""A disk that is full or fails: frames are still dispatched, the ledger knows, writing resumes by itself."""

import errno
import logging
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import recorder.spool.writer
from ext.journal import Record, RecordKind
from recorder.spool.reader import SpoolReader
from recorder.spool.segments import prepare, segment_path, segments
from recorder.spool.writer import Spool
from tests.support.room import Room
from tests.support.spools import START_NS, Ticks, append_frame, said, take_pending

SEGMENT_BYTES = 64 << 10


class Disk:
    """Stands before `prepare`: `is_full` makes it fail as a full disk does."""

    def __init__(self) -> None:
        self.is_full = False

    def prepare(self, folder: Path, number: int, size: int) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return prepare(folder, number, size)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(recorder.spool.writer, "prepare", disk.prepare)
    monkeypatch.setattr(recorder.spool.writer, "SYNC_INTERVAL_MS", 2)
    monkeypatch.setattr(recorder.spool.writer, "SPACE_RETRY_MS", 4)
    return disk


@pytest.fixture
def room() -> Iterator[Room]:
    with Room() as room:
        yield room


def fill(spool: Spool, start: int = 0, at_most: int = 10_000) -> int:
    """Append frames until one is refused; return how many were not."""
    for index in range(start, start + at_most):
        if append_frame(spool.journal, b"%8d" % index + b"x" * 992, START_NS + index) == 0:
            return index - start
    raise AssertionError("no frame was refused")


def frames(folder: Path) -> list[int]:
    return [int(record.payload[:8]) for record in read_records(folder) if record.kind == RecordKind.FRAME]


def read_records(folder: Path) -> list[Record]:
    records = []
    with SpoolReader(folder) as reader:
        while (item := reader.poll()) is not None:
            assert isinstance(item, Record)
            records.append(item)
    return records


def test_a_full_disk_refuses_tells_and_resumes(
    tmp_path: Path, disk: Disk, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
        disk.is_full = True
        taken = fill(spool)
        assert spool.failure is not None
        assert spool.failure.errno == errno.ENOSPC
        for index in range(taken + 1, taken + 6):
            spool.journal.append_record(RecordKind.FRAME, b"%8d" % index, 1, START_NS + index)
        spool.journal.commit()
        assert [record.position for record in take_pending(spool.journal)] == [0] * 5
        assert spool.take_losses() == []
        onset = read_records(tmp_path)[-1]
        assert onset.kind == RecordKind.LOST
        assert said(onset) == {
            "topics": None,
            "start_ns": START_NS + taken,
            "cause": "own_drop",
            "fault": "ours",
            "detail": "records are refused: No space left on device",
        }
        disk.is_full = False
        room.wait(spool)
        assert append_frame(spool.journal, b"%8d" % 777, START_NS + 777) != 0
        (loss,) = spool.take_losses()
        assert spool.journal.refused == 6
    assert frames(tmp_path) == [*range(taken), 777]
    lost = [record for record in read_records(tmp_path) if record.kind == RecordKind.LOST]
    assert [said(record) for record in lost][1:] == [loss]
    assert (loss["start_ns"], loss["detail"][:18]) == (START_NS + taken, "6 records refused:")
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_closing_while_the_disk_is_full_ends_cleanly(tmp_path: Path, disk: Disk) -> None:
    with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
        disk.is_full = True
        taken = fill(spool)
    assert frames(tmp_path) == list(range(taken))
    assert read_records(tmp_path)[-1].kind == RecordKind.LOST
    disk.is_full = False
    with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
        assert spool.recovered.recv_ns == START_NS + taken


def test_opening_on_a_full_disk_is_an_error_and_leaves_the_folder_free(tmp_path: Path, disk: Disk) -> None:
    disk.is_full = True
    with pytest.raises(OSError, match="No space left on device"):
        Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES)
    assert segments(tmp_path) == []
    disk.is_full = False
    Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES).close()


def test_a_failed_preparation_gives_its_blocks_back(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            prepare(tmp_path, 1, 2 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_cannot_be_written_is_left_for_the_next(
    tmp_path: Path, disk: Disk, room: Room
) -> None:
    with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
        taken = [append_frame(spool.journal, b"%8d" % index, START_NS + index) for index in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, hard))
        try:
            for index in range(3, 40):
                append_frame(spool.journal, b"%8d" % index, START_NS + index)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        room.wait(spool)
        append_frame(spool.journal, b"%8d" % 40, START_NS + 40)
        assert spool.journal.write_errors >= 1
        refused = spool.journal.refused
    read = frames(tmp_path)
    assert len(taken) == 3
    assert read[:3] == [0, 1, 2]
    assert read[-1] == 40
    assert len(read) == 41 - refused
    assert all(segment.bytes > 0 for segment in segments(tmp_path))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_real_full_disk(small_disk: Path, disk: Disk, room: Room) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600 << 10))
    folder = small_disk / "spool"
    with Spool(folder, "here", now=Ticks(), segment_bytes=128 << 10) as spool:
        taken = fill(spool)
        assert 200 < taken < 400
        assert not segment_path(folder, 4).exists()
        ballast.unlink()
        room.wait(spool)
        assert append_frame(spool.journal, b"%8d" % 777, START_NS + 777) != 0
    assert frames(folder) == [*range(taken), 777]
