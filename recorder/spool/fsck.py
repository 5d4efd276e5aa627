"""Checking a spool from end to end, and rewriting damaged segments without their damage."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from ext.journal import Record, RecordKind
from ext.segment import Damage, SegmentReader
from recorder.spool import sealing
from recorder.spool.compressed import frames, plain
from recorder.spool.durable import NEW, remove, sync_folder, write_new
from recorder.spool.keeper import KEEPER_LOCK
from recorder.spool.lock import FolderLock
from recorder.spool.reader import SpoolReader
from recorder.spool.recovery import owner
from recorder.spool.seals import Gone, read_seal, seal_path
from recorder.spool.segments import (
    Segment,
    SpoolError,
    last_number,
    loaded_through,
    segment_path,
    segments,
    strangers,
)

__all__ = ["DAMAGED", "Fault", "Problem", "Repaired", "Report", "check", "repair"]

DAMAGED: Final = ".damaged"  # ends the name of a segment as it was before it was repaired


class Fault(StrEnum):
    """What can be wrong with a spool."""

    DAMAGE = "damage"  # bytes that are no record, and the records lost to them
    MISSING = "missing"  # segments that are not there, and that the keeper did not delete
    CHANGED = "changed"  # a segment is not what was sealed
    SEAL = "seal"  # a seal, or the list of what is gone, cannot be read
    FOREIGN = "foreign"  # a file that is no part of a spool


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``segment`` is 0 where it is about none; ``records`` lost, -1 for unknown."""

    fault: Fault
    segment: int
    detail: str
    records: int = 0


@dataclass(slots=True)
class Report:
    """What a check found. ``gone`` is what the keeper deleted on purpose, and no problem."""

    folder: Path
    recorder: str | None
    segments: int = 0
    records: int = 0
    frames: int = 0
    problems: list[Problem] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        said = {
            name: getattr(self, name) for name in ("recorder", "segments", "records", "frames", "is_sound")
        }
        lists = {name: [asdict(one) for one in getattr(self, name)] for name in ("problems", "gone")}
        return {"folder": str(self.folder), **said, **lists}


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was done about one segment; ``kept`` is its file as it was."""

    segment: int
    records: int
    kept: Path | None
    detail: str


def check(folder: Path) -> Report:
    """Read a whole spool and compare it with its seals; may run beside its writer.

    Raises SpoolError where it is no spool, or of another format; OSError.
    """
    report = Report(folder, owner(folder))
    started = [segment for segment in segments(folder) if segment.is_started]
    report.segments = len(started)
    try:
        _read_all(folder, report)
    except SpoolError as error:
        report.problems.append(Problem(Fault.SEAL, 0, str(error)))
    for segment in started[:-1]:
        _compare(folder, segment, report)
    last = started[-1].number if started else 0
    promised = max(last_number(folder), loaded_through(folder))
    sealed = any(seal_path(folder, number).exists() for number in range(last + 1, promised + 1))
    if started and (sealed or loaded_through(folder) > last):
        detail = f"segments after {last} were sealed or loaded, and are not there"
        report.problems.append(Problem(Fault.MISSING, last + 1, detail, -1))
    report.problems += [Problem(Fault.FOREIGN, 0, f"{folder / name}") for name in strangers(folder)]
    report.problems.sort(key=lambda problem: problem.segment)
    return report


def _read_all(folder: Path, report: Report) -> None:
    with SpoolReader(folder) as reader:
        while (item := reader.poll()) is not None:
            if isinstance(item, Gone):
                report.gone.append(item)
            elif isinstance(item, Damage):
                fault = Fault.DAMAGE if item.records >= 0 else Fault.MISSING
                report.problems.append(Problem(fault, _segment_of(item), repr(item), item.records))
            else:
                report.records += 1
                report.frames += item.kind == RecordKind.FRAME


def _segment_of(damage: Damage) -> int:
    number = damage.position >> 32
    return number if damage.records >= 0 else number + 1


def _compare(folder: Path, segment: Segment, report: Report) -> None:
    try:
        seal = read_seal(folder, segment.number)
        if seal is None and segment.is_compressed:
            report.problems.append(Problem(Fault.SEAL, segment.number, "it is compressed and has no seal"))
        elif seal is not None and not sealing.is_whole(segment, seal):
            detail = f"{segment.path} is not what was sealed"
            report.problems.append(Problem(Fault.CHANGED, segment.number, detail))
    except SpoolError as error:
        report.problems.append(Problem(Fault.SEAL, segment.number, str(error)))
    except FileNotFoundError:
        return  # the keeper has compressed or deleted it meanwhile: that it does to sound ones


def repair(folder: Path) -> list[Repaired]:
    """Rewrite damaged segments without their damage, each kept as it was, and remove seals that do not fit.

    What is lost stays lost, and readers go on to tell of it. Raises FolderInUseError while it is recorded
    into or kept, SpoolError, OSError.
    """
    owner(folder)
    with ExitStack() as stack:
        for name in ("lock", KEEPER_LOCK):
            stack.enter_context(FolderLock(folder, name))
        unfinished = list(folder.glob(f"*{NEW}"))
        if unfinished:
            remove(folder, *unfinished)
        done = (_repair(folder, segment) for segment in segments(folder) if segment.is_started)
        return [one for one in done if one is not None]


def _repair(folder: Path, segment: Segment) -> Repaired | None:
    if _is_damaged(segment):
        return _rewrite(folder, segment)
    try:
        seal = read_seal(folder, segment.number)
        fits = seal is None or sealing.is_whole(segment, seal)
    except SpoolError:
        fits = False
    if fits:
        return None
    remove(folder, seal_path(folder, segment.number))
    return Repaired(segment.number, 0, None, "its seal did not fit, and is removed")


def _is_damaged(segment: Segment) -> bool:
    if segment.is_compressed and None in frames(segment.path.read_bytes()):
        return True
    # What was rewritten has no bytes that are no record, only numbers that are missing.
    return any(end > start for start, end, _ in sealing.seal_of(segment, "").damage)


def _rewrite(folder: Path, segment: Segment) -> Repaired:
    """Put the records in place of the segment; at no moment is there neither."""
    kept = segment.path.with_name(segment.path.name + DAMAGED)
    kept.unlink(missing_ok=True)
    kept.hardlink_to(segment.path)
    sync_folder(folder)
    records = list(_records(segment))
    path = segment_path(folder, segment.number)
    if records:
        write_new(path, records).replace(path)
        sync_folder(folder)
    others = [segment.path] if segment.is_compressed or not records else []
    remove(folder, *others, seal_path(folder, segment.number))
    return Repaired(segment.number, len(records), kept, "rewritten without its damage")


def _records(segment: Segment) -> Iterator[bytes]:
    raw = segment.path.read_bytes()
    data = plain(raw) if segment.is_compressed else raw
    reader = SegmentReader(data, segment.number, True)
    start = reader.offset
    for item in reader:
        if isinstance(item, Record):
            yield data[start : reader.offset]
        start = reader.offset
    reader.close()
