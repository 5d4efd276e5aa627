"""What the keeper notes beside segments: the seal of each, and which are gone. See docs/recorder.md."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import orjson

from recorder.spool.durable import put
from recorder.spool.segments import SpoolError

__all__ = [
    "EXPIRED_FILE",
    "SEAL_FORMAT",
    "Gone",
    "Reason",
    "Seal",
    "add_gone",
    "beyond",
    "covers",
    "read_gone",
    "read_seal",
    "seal_path",
    "write_seal",
]

SEAL_FORMAT: Final = 1
EXPIRED_FILE: Final = "expired.json"


@dataclass(frozen=True, slots=True)
class Seal:
    """What a final segment holds. ``bytes`` and ``sha256`` are of its records, compressed or not.

    ``previous`` is the position before its first record, as that says. ``damage`` has ``[start, end, records
    lost]`` of each stretch that is no record; ``compressed_bytes`` is 0 while it is not compressed.
    """

    recorder: str
    segment: int
    bytes: int
    sha256: str
    previous: int
    first_position: int
    last_position: int
    records: int
    frames: int
    first_recv_ns: int
    last_recv_ns: int
    damage: tuple[tuple[int, int, int], ...] = ()
    compressed_bytes: int = 0
    format: int = SEAL_FORMAT


class Reason(StrEnum):
    """Why segments are gone."""

    EXPIRED = "expired"  # loaded, and kept as long as was wished
    DROPPED = "dropped"  # not loaded, and the quota had no room


@dataclass(frozen=True, slots=True)
class Gone:
    """Segments that were deleted, in a row; ``topics`` by category were desired in those dropped."""

    reason: Reason
    first_segment: int
    last_segment: int
    first_position: int
    last_position: int
    first_recv_ns: int
    last_recv_ns: int
    records: int
    topics: dict[str, list[str]]

    @classmethod
    def of(cls, seal: Seal, reason: Reason, topics: dict[str, list[str]] | None = None) -> Self:
        """Return what is to be told of one segment."""
        number = seal.segment
        return cls(
            reason,
            number,
            number,
            seal.first_position,
            seal.last_position,
            seal.first_recv_ns,
            seal.last_recv_ns,
            seal.records,
            topics or {},
        )

    @property
    def position(self) -> int:
        """That of the record before, as a Damage has it."""
        return self.first_position - 1

    @property
    def next_position(self) -> int:
        """That after the last record, as a Damage has it."""
        return self.last_position + 1

    def after(self, position: int, recv_ns: int) -> Self | None:
        """Return what of it comes after a record that was read; None if nothing."""
        if self.last_position <= position:
            return None
        if self.first_position > position:
            return self
        return replace(self, first_position=position + 1, first_recv_ns=max(self.first_recv_ns, recv_ns))

    def joined(self, later: "Gone", previous: int) -> "Gone | None":
        """Return this and a later one as one; None where they differ, or something lies between them."""
        if (self.reason, self.topics) != (later.reason, later.topics) or previous != self.last_position:
            return None
        return replace(
            self,
            last_segment=later.last_segment,
            last_position=later.last_position,
            last_recv_ns=max(self.last_recv_ns, later.last_recv_ns),
            records=self.records + later.records,
        )


def seal_path(folder: Path, number: int) -> Path:
    """Return the path of a segment's seal, whether it exists or not."""
    return folder / f"{number:08}.seal"


def read_seal(folder: Path, number: int) -> Seal | None:
    """Return the seal of a segment; None if it has none. Raises SpoolError for one that cannot be read."""
    path = seal_path(folder, number)
    said = _read(path)
    if said is None:
        return None
    try:
        damage = tuple((start, end, records) for start, end, records in said.pop("damage"))
        seal = Seal(**said, damage=damage)
    except (KeyError, TypeError, ValueError):
        raise _unreadable(path) from None
    if seal.segment != number:
        raise _unreadable(path)
    return seal


def write_seal(folder: Path, seal: Seal) -> None:
    """Put a seal beside its segment. Raises OSError."""
    put(seal_path(folder, seal.segment), orjson.dumps(asdict(seal), option=orjson.OPT_INDENT_2))


def read_gone(folder: Path) -> list[Gone]:
    """Return what is gone from a spool, in order. Raises SpoolError where that cannot be read."""
    path = folder / EXPIRED_FILE
    said = _read(path)
    if said is None:
        return []
    try:
        names = {field.name for field in fields(Gone)}
        return [
            Gone(**{**{name: one[name] for name in names}, "reason": Reason(one["reason"])})
            for one in said["ranges"]
        ]
    except (KeyError, TypeError, ValueError):
        raise _unreadable(path) from None


def add_gone(folder: Path, recorder: str, gone: Gone, previous: int) -> None:
    """Note that a segment, later than all noted before, is about to be deleted. Raises OSError, SpoolError.

    ``previous`` is the position before its first record.
    """
    ranges = read_gone(folder)
    joined = ranges[-1].joined(gone, previous) if ranges else None
    ranges = [*ranges[:-1], joined] if joined is not None else [*ranges, gone]
    said = {"format": SEAL_FORMAT, "recorder": recorder, "ranges": [asdict(one) for one in ranges]}
    put(folder / EXPIRED_FILE, orjson.dumps(said, option=orjson.OPT_INDENT_2))


def covers(ranges: Sequence[Gone], number: int) -> bool:
    """Whether a segment is among those that are gone."""
    return any(one.first_segment <= number <= one.last_segment for one in ranges)


def beyond(ranges: Sequence[Gone], mark: int) -> list[Gone]:
    """Return what expired after it was loaded and is not in a database that is loaded up to ``mark``."""
    return [one for one in ranges if one.reason is Reason.EXPIRED and one.last_position > mark]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        said: dict[str, Any] = orjson.loads(path.read_bytes())
        written = said["format"]
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError):
        raise _unreadable(path) from None
    if written != SEAL_FORMAT:
        raise SpoolError(
            f"{path} is of format {written}; this version reads format {SEAL_FORMAT}",
            "use the version that wrote it",
        )
    return said


def _unreadable(path: Path) -> SpoolError:
    remedy = "put it back from a backup, or move it away: what is gone is then told as damage"
    if path.name != EXPIRED_FILE:
        remedy = "`tapehead spool repair` removes it, and the segment is sealed anew"
    return SpoolError(f"{path} cannot be read: its contents are damaged", remedy)
