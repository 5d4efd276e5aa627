"""The frames of a spool as a list."""

from pathlib import Path

from ext.journal import Record, RecordKind
from recorder.spool.reader import SpoolReader


def raw_frames(spool: Path) -> list[bytes]:
    """Return the payload of each frame of a spool, in order."""
    found = []
    with SpoolReader(spool) as reader:
        while (item := reader.poll()) is not None:
            if isinstance(item, Record) and item.kind == RecordKind.FRAME:
                found.append(item.payload)
    return found
