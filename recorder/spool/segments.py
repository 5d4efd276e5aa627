"""The files of a spool: their names, how one is made and found. See docs/spool.md."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from engine.errors import UsageError
from ext.journal import Record, RecordKind
from ext.segment import SegmentReader
from recorder.spool.compressed import plain
from recorder.spool.durable import sync_folder

__all__ = [
    "FORMAT",
    "MAGIC",
    "POSITION_END",
    "SEGMENT_BYTES",
    "SEGMENT_BYTES_MAX",
    "SEGMENT_BYTES_MIN",
    "Segment",
    "SpoolError",
    "compressed_path",
    "first_begun",
    "first_number",
    "first_payload",
    "following",
    "last_number",
    "loaded_through",
    "open_segment",
    "prepare",
    "segment_path",
    "segments",
    "spool_bytes",
    "strangers",
    "wrong_format",
]

FORMAT: Final = 1
SEGMENT_BYTES: Final = 64 << 20
SEGMENT_BYTES_MIN: Final = 64 << 10
SEGMENT_BYTES_MAX: Final = 1 << 30

SUFFIX: Final = ".tape"
COMPRESSED_SUFFIX: Final = ".tape.zst"
STATE_SUFFIX: Final = ".state"
MAGIC: Final = b"TAP1"
POSITION_END: Final = 0xFFFFFFFF  # no segment has a record of this number
OF_A_SPOOL: Final = re.compile(r"(\d{8,10})\.[a-z.]+|(?:keeper\.)?lock|expired\.json(?:\.new)?")


class SpoolError(UsageError):
    """A folder cannot be used as the spool it should be; nothing in it was changed."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment file. ``is_started`` is false while it is only prepared: it holds no record."""

    number: int
    path: Path
    bytes: int
    is_started: bool

    @property
    def is_compressed(self) -> bool:
        """Whether its records are in zstd frames."""
        return self.path.name.endswith(COMPRESSED_SUFFIX)


def segment_path(folder: Path, number: int) -> Path:
    """Return the path of a segment, whether it exists or not."""
    return folder / f"{number:08}{SUFFIX}"


def compressed_path(folder: Path, number: int) -> Path:
    """Return the path of a segment that is compressed, whether it exists or not."""
    return folder / f"{number:08}{COMPRESSED_SUFFIX}"


def segments(folder: Path) -> list[Segment]:
    """Return the segments of a spool in their order; needs no lock."""
    numbers = _numbers(folder, SUFFIX) | _numbers(folder, COMPRESSED_SUFFIX)
    found = (_find(folder, number) for number in sorted(numbers))
    return [segment for segment in found if segment is not None]


def following(folder: Path, number: int) -> Segment | None:
    """Return the first segment after ``number`` that holds a record."""
    candidate = _find(folder, number + 1)
    if candidate is not None and (candidate.is_started or _find(folder, number + 2) is None):
        return candidate if candidate.is_started else None
    later = (segment for segment in segments(folder) if segment.number > number)
    return next((segment for segment in later if segment.is_started), None)


def open_segment(segment: Segment, *, final: bool = False) -> SegmentReader:
    """Return a reader of a segment. FileNotFoundError where it was compressed or deleted since."""
    if segment.is_compressed:
        return SegmentReader(plain(segment.path.read_bytes()), segment.number, True)
    return SegmentReader(segment.path, segment.number, final)


def loaded_through(folder: Path) -> int:
    """Return the number of the last segment that is in the database, with all before it; 0: none."""
    return max(_numbers(folder, STATE_SUFFIX), default=0)


def last_number(folder: Path) -> int:
    """Return the greatest number that any file of a spool bears; 0: none."""
    named = (OF_A_SPOOL.fullmatch(path.name) for path in folder.iterdir())
    return max((int(match[1]) for match in named if match is not None and match[1]), default=0)


def first_number(folder: Path) -> int:
    """Return the number of the first segment that is there; 0: none is."""
    return min(_numbers(folder, SUFFIX) | _numbers(folder, COMPRESSED_SUFFIX), default=0)


def first_begun(folder: Path) -> tuple[int, int]:
    """Return the first segment whose first record is whole, and when that was received; 0, 0: none is."""
    for segment in segments(folder):
        try:
            reader = open_segment(segment)
        except FileNotFoundError:
            continue  # its keeper was faster
        record = reader.next()
        reader.close()
        if isinstance(record, Record) and record.kind == RecordKind.SEGMENT:
            return segment.number, record.recv_ns
    return 0, 0


def strangers(folder: Path) -> list[str]:
    """Return the names of what lies in a folder and is no part of a spool."""
    return sorted(path.name for path in folder.iterdir() if OF_A_SPOOL.fullmatch(path.name) is None)


def spool_bytes(folder: Path) -> int:
    """Return how many bytes the files of a spool have, what is only prepared included."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue  # gone since it was listed
    return total


def _numbers(folder: Path, suffix: str) -> set[int]:
    stems = (path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))
    return {int(stem) for stem in stems if stem.isdecimal()}


def _find(folder: Path, number: int) -> Segment | None:
    """Return a segment as it is now; None where there is none, or its writer has just taken it back."""
    for path in (segment_path(folder, number), compressed_path(folder, number)):
        try:
            with path.open("rb") as file:
                start = file.read(len(MAGIC))
                size = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            continue  # where one becomes the other, the second is there before the first goes
        return Segment(number, path, size, bool(start.strip(b"\0")))
    return None


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


def first_payload(record: Record) -> dict[str, Any]:
    """Return what a ``SEGMENT`` record says; SpoolError where this version does not read its format."""
    payload: dict[str, Any] = orjson.loads(record.payload)
    if payload["format"] != FORMAT:
        raise wrong_format(payload["format"])
    return payload


def wrong_format(found: object) -> SpoolError:
    """Return the error of a spool that this version does not read."""
    return SpoolError(
        f"the spool is of format {found}; this version reads format {FORMAT}", "use the version that wrote it"
    )
