"""What a crash leaves of a spool, made fit to be continued. See docs/spool.md."""

import os
from dataclasses import dataclass
from pathlib import Path

from ext.journal import Record
from ext.segment import Damage
from recorder.spool.durable import remove
from recorder.spool.seals import read_gone
from recorder.spool.segments import (
    MAGIC,
    POSITION_END,
    Segment,
    SpoolError,
    first_payload,
    last_number,
    open_segment,
    segments,
    strangers,
    wrong_format,
)

__all__ = ["Recovered", "owner", "recover"]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found in a spool: where it ends, what was cut off, and what is damaged in its last segment."""

    next_segment: int
    position: int
    recv_ns: int
    cut_bytes: int
    damage: tuple[Damage, ...]


def recover(folder: Path, recorder: str) -> Recovered:
    """Make a spool that nobody writes to fit to be continued: cut the torn tail, remove blank segments.

    SpoolError, and nothing changed, where the folder is no spool, or of another recorder or format.
    """
    found = segments(folder)
    _refuse_other(folder, recorder)
    recovered = _gone(folder)
    blank = []
    for segment in reversed(found):
        reader = open_segment(segment, final=True)
        damage = reader.skip(segment.number << 32 | POSITION_END)
        reader.close()
        if reader.offset > 0:
            cut_bytes = 0 if segment.is_compressed else _cut(segment, reader.offset)
            recovered = Recovered(
                recovered.next_segment, reader.position, reader.recv_ns, cut_bytes, tuple(damage)
            )
            break
        if not segment.is_compressed:
            blank.append(segment.path)
    remove(folder, *blank)
    return recovered


def _gone(folder: Path) -> Recovered:
    """Return where a spool ends of which no segment is left; 0 where there never was one."""
    gone = read_gone(folder)
    number = max(last_number(folder), gone[-1].last_segment if gone else 0)
    position, recv_ns = (gone[-1].last_position, gone[-1].last_recv_ns) if gone else (0, 0)
    return Recovered(number + 1, position, recv_ns, 0, ())


def _refuse_foreign(folder: Path) -> None:
    names = strangers(folder)
    if names:
        raise SpoolError(
            f"{folder} is no spool, it holds {', '.join(names[:3])}{' ...' if names[3:] else ''}",
            "choose an empty or a new folder",
        )


def owner(folder: Path) -> str | None:
    """Return the recorder of a spool, None if it holds nothing. SpoolError for what is no spool of ours."""
    found = segments(folder)
    if not found:
        _refuse_foreign(folder)
    owners = (_owner(segment) for segment in reversed(found))
    return next((name for name in owners if name is not None), None)


def _refuse_other(folder: Path, recorder: str) -> None:
    found = owner(folder)
    if found not in (recorder, None):
        raise SpoolError(
            f"the spool {folder} is of recorder {found!r}, was opened as {recorder!r}",
            "use that name or another folder",
        )


def _owner(segment: Segment) -> str | None:
    """Return the recorder that a segment names; None where its beginning is blank, torn or damaged."""
    with segment.path.open("rb") as file:
        start = file.read(len(MAGIC))
    if segment.is_started and start[:3] == MAGIC[:3] and start != MAGIC:
        raise wrong_format(start[3:].decode("ascii", "replace"))
    reader = open_segment(segment, final=True)
    record = reader.next()
    reader.close()
    if isinstance(record, Record):
        return str(first_payload(record)["recorder"])
    if record is None and segment.is_started and start != MAGIC and not segment.is_compressed:
        raise SpoolError(
            f"{segment.path} is no segment of a spool", "choose another folder, or move that file away"
        )
    return None


def _cut(segment: Segment, end: int) -> int:
    """Cut a segment to its records; return how many bytes of the rest were not zero fill."""
    torn = 0
    with segment.path.open("r+b") as file:
        file.seek(end)
        while chunk := file.read(1 << 20):
            written = len(chunk.rstrip(b"\0"))
            if written:
                torn = file.tell() - len(chunk) + written - end
        file.truncate(end)
        os.fsync(file.fileno())
    return torn
