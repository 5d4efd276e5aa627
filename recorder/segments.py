"""The files of a spool: their names, how one is made, and what a crash leaves of them. See docs/spool.md."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from engine.errors import UsageError
from ext.journal import Record
from ext.segment import Damage, SegmentReader

__all__ = [
    "FORMAT",
    "SEGMENT_BYTES",
    "SEGMENT_BYTES_MAX",
    "SEGMENT_BYTES_MIN",
    "Recovered",
    "Segment",
    "SpoolError",
    "first_payload",
    "following",
    "prepare",
    "recover",
    "segment_path",
    "segments",
    "sync_folder",
]

FORMAT: Final = 1
SEGMENT_BYTES: Final = 64 << 20
SEGMENT_BYTES_MIN: Final = 64 << 10
SEGMENT_BYTES_MAX: Final = 1 << 30

SUFFIX: Final = ".tape"
MAGIC: Final = b"TAP1"
POSITION_END: Final = 0xFFFFFFFF  # no segment has a record of this number


class SpoolError(UsageError):
    """A folder cannot be used as the spool it should be; nothing in it was changed."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment file. ``is_started`` is false while it is only prepared: it holds no record."""

    number: int
    path: Path
    bytes: int
    is_started: bool


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found in a spool: where it ends, what was cut off, and what is damaged in its last segment."""

    next_segment: int
    position: int
    recv_ns: int
    cut_bytes: int
    damage: tuple[Damage, ...]


def segment_path(folder: Path, number: int) -> Path:
    """Return the path of a segment, whether it exists or not."""
    return folder / f"{number:08}{SUFFIX}"


def segments(folder: Path) -> list[Segment]:
    """Return the segments of a spool in their order; needs no lock."""
    paths = [path for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal()]
    return sorted(_examine(paths), key=lambda segment: segment.number)


def _examine(paths: list[Path]) -> list[Segment]:
    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                start = file.read(len(MAGIC))
                size = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            continue  # a prepared segment that its writer has just taken back
        found.append(Segment(int(path.stem), path, size, bool(start.strip(b"\0"))))
    return found


def following(folder: Path, number: int) -> Segment | None:
    """Return the first segment after ``number`` that holds a record."""
    if segment_path(folder, number + 1).exists():
        candidates = _examine([segment_path(folder, number + 1)])
    else:
        candidates = [segment for segment in segments(folder) if segment.number > number]
    return next((segment for segment in candidates if segment.is_started), None)


def prepare(folder: Path, number: int, size: int) -> int:
    """Create a segment of ``size`` zero bytes, its blocks allocated, and return its file descriptor.

    Leaves nothing behind where that fails (OSError): a file system may keep the blocks it got so far.
    """
    path = segment_path(folder, number)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        os.posix_fallocate(fd, 0, size)
        sync_folder(folder)
    except OSError:
        os.close(fd)
        path.unlink()
        raise
    return fd


def sync_folder(folder: Path) -> None:
    """Make created, removed and renamed files of a folder survive a power failure."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def first_payload(record: Record) -> dict[str, Any]:
    """Return what a ``SEGMENT`` record says; SpoolError where this version does not read its format."""
    payload: dict[str, Any] = orjson.loads(record.payload)
    if payload["format"] != FORMAT:
        raise _wrong_format(payload["format"])
    return payload


def recover(folder: Path, recorder: str) -> Recovered:
    """Make a spool that nobody writes to fit to be continued: cut the torn tail, remove blank segments.

    SpoolError, and nothing changed, where the folder is no spool, or of another recorder or format.
    """
    found = segments(folder)
    if not found:
        _refuse_foreign(folder)
        return Recovered(1, 0, 0, 0, ())
    _refuse_other(folder, found, recorder)
    blank = []
    recovered = Recovered(found[-1].number + 1, 0, 0, 0, ())
    for segment in reversed(found):
        reader = SegmentReader(segment.path, segment.number, final=True)
        damage = reader.skip(segment.number << 32 | POSITION_END)
        reader.close()
        if reader.offset > 0:
            cut_bytes = _cut(segment, reader.offset)
            recovered = Recovered(
                recovered.next_segment, reader.position, reader.recv_ns, cut_bytes, tuple(damage)
            )
            break
        blank.append(segment)
    for segment in blank:
        segment.path.unlink()
    sync_folder(folder)
    return recovered


def _refuse_foreign(folder: Path) -> None:
    strangers = sorted(path.name for path in folder.iterdir() if path.name != "lock")
    if strangers:
        raise SpoolError(
            f"{folder} is no spool, it holds {', '.join(strangers[:3])}{' ...' if strangers[3:] else ''}",
            "choose an empty or a new folder",
        )


def _refuse_other(folder: Path, found: list[Segment], recorder: str) -> None:
    owners = (_owner(segment) for segment in reversed(found))
    owner = next((owner for owner in owners if owner is not None), recorder)
    if owner != recorder:
        raise SpoolError(
            f"the spool {folder} is of recorder {owner!r}, was opened as {recorder!r}",
            "use that name or another folder",
        )


def _owner(segment: Segment) -> str | None:
    """Return the recorder that a segment names; None where its beginning is blank, torn or damaged."""
    with segment.path.open("rb") as file:
        start = file.read(len(MAGIC))
    if segment.is_started and start[:3] == MAGIC[:3] and start != MAGIC:
        raise _wrong_format(start[3:].decode("ascii", "replace"))
    reader = SegmentReader(segment.path, segment.number, final=True)
    record = reader.next()
    reader.close()
    if isinstance(record, Record):
        return str(first_payload(record)["recorder"])
    if record is None and segment.is_started and start != MAGIC:
        raise SpoolError(
            f"{segment.path} is no segment of a spool", "choose another folder, or move that file away"
        )
    return None


def _wrong_format(found: object) -> SpoolError:
    return SpoolError(
        f"the spool is of format {found}; this version reads format {FORMAT}", "use the version that wrote it"
    )


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
