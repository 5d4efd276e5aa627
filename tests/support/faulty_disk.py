"""A disk that fails under a process when a test says so, and a writer to run on it.

As a program it writes frames until killed: FOLDER. It tells of each its number and position, 0 where it was
refused, and goes no faster than it is listened to.
"""

import os
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import recorder.spool.writer
from ext.journal import RecordKind
from recorder.spool.writer import Spool
from tests.support.spools import START_NS, Ticks

SOURCE = Path(__file__).with_name("disk_faults.c")
CALLS = ("pwrite", "fdatasync", "fsync", "fallocate", "ftruncate")
SHORT = -1
SEGMENT_BYTES = 64 << 10
PAYLOAD_BYTES = 300


class FaultyDisk:
    """Shared with the processes that are started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faults"
        library = folder / "disk_faults.so"
        compiler = (sysconfig.get_config_var("CC") or "cc").split()
        subprocess.run([*compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
        self._file.write_bytes(bytes(4 * len(CALLS)))
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "DISK_FAULTS": str(self._file)}

    def fail(self, call: str, error: int) -> None:
        """Have a call fail with an errno, with SHORT as a disk does that fills up, with 0 no more."""
        with self._file.open("r+b") as file:
            file.seek(4 * CALLS.index(call))
            file.write(struct.pack("=i", error))


def payload(number: int) -> bytes:
    """Return the frame of a number."""
    return b"%d " % number * (PAYLOAD_BYTES // 8)


def main(folder: Path) -> None:
    """Write until killed."""
    recorder.spool.writer.SYNC_INTERVAL_MS = 2  # type: ignore[misc]  # it is final for everybody else
    recorder.spool.writer.SPACE_RETRY_MS = 4  # type: ignore[misc]  # it is final for everybody else
    spool = Spool(folder, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES)
    number = 0
    while True:
        number += 1
        spool.journal.append_record(RecordKind.FRAME, payload(number), 1, START_NS + number)
        spool.journal.commit()
        while (record := spool.journal.next_pending()) is not None:
            os.write(1, b"%d %d\n" % (number, record.position))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
