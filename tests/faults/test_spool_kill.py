"""`kill -9` of the writer, two processes at one folder, and readers beside a writer."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from ext.journal import Record, RecordKind
from recorder.spool.lock import FolderInUseError
from recorder.spool.reader import SpoolReader
from recorder.spool.writer import Spool
from tests.support.spools import Ticks
from tests.support.waiting import is_readable

ROOT = Path(__file__).resolve().parents[2]
SEGMENT_BYTES = 256 << 10
KILLS = 25
DEADLINE_S = 30


@contextmanager
def writer(folder: Path, seed: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes numbered frames and tells of each, when its listener call would begin."""
    command = [sys.executable, "-m", "tests.support.spool_writer", str(folder), str(seed), str(SEGMENT_BYTES)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            yield process
        finally:
            process.kill()


def read_to_end(folder: Path, reader: SpoolReader) -> list[Record]:
    records = []
    while (item := reader.poll()) is not None:
        assert isinstance(item, Record), f"{item} after kill -9 in {folder}"
        records.append(item)
    return records


def witness(process: subprocess.Popen[bytes], lines: int) -> list[int]:
    """Read what a writer tells until it told `lines` positions, kill it, and read the rest."""
    assert process.stdout is not None
    told = b""
    while told.count(b"\n") < lines:
        assert is_readable(process.stdout, DEADLINE_S), "the writer is silent"
        told += os.read(process.stdout.fileno(), 4096)
    process.send_signal(signal.SIGKILL)
    told += process.stdout.read()
    return [int(line) for line in told.split(b"\n")[:-1]]


def test_every_frame_whose_callback_began_survives_kill_9(tmp_path: Path, random: Random) -> None:
    told: list[int] = []
    for _ in range(KILLS):
        with writer(tmp_path, random.randrange(1 << 30)) as process:
            told += witness(process, random.choice([1, 10, 300, 2000]))
    before = {record.position: record for record in read_to_end(tmp_path, SpoolReader(tmp_path))}
    assert not set(told) - set(before)
    # Recovery takes nothing away either, and what it kept are whole frames in their order.
    Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES).close()
    records = read_to_end(tmp_path, SpoolReader(tmp_path))
    assert set(before) <= {record.position for record in records}
    frames = [record for record in records if record.kind == RecordKind.FRAME]
    assert all(record.payload == b"%d" % record.recv_ns * (record.recv_ns % 40) for record in frames)
    positions = [record.position for record in records]
    assert positions == sorted(set(positions))
    assert len({position >> 32 for position in positions}) > KILLS


def test_a_reader_in_another_process_sees_a_growing_prefix(tmp_path: Path) -> None:
    read: list[Record] = []
    told = b""
    with writer(tmp_path, 5) as process, SpoolReader(tmp_path) as reader:
        assert process.stdout is not None
        while told.count(b"\n") < 20_000:
            told += os.read(process.stdout.fileno(), 1 << 16)
            read += read_to_end(tmp_path, reader)
            # What was told before the reader looked must have been there.
            *_, last = (0, *told[-64:].split(b"\n")[1:-1])
            assert int(last) <= read[-1].position
    everything = read_to_end(tmp_path, SpoolReader(tmp_path))
    assert [record.position for record in read] == [record.position for record in everything[: len(read)]]
    assert everything[len(read) - 1].payload == read[-1].payload
    assert len({record.position >> 32 for record in read}) > 3


def test_two_processes_cannot_write_one_folder_and_the_end_of_one_frees_it(tmp_path: Path) -> None:
    with writer(tmp_path, 5) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(FolderInUseError, match=f"is in use by process {process.pid} on "):
            Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES)
        process.kill()
        process.wait(DEADLINE_S)
    Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES).close()
