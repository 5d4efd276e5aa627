"""Which parts of a spool can be run again and compared: what was deleted on purpose, or is just not there."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recorder.loading import state
from recorder.spool.listing import DISORDER_NS, entries
from recorder.spool.seals import Gone, Reason, covers, read_gone
from recorder.verify.selection import Selection

__all__ = ["Plan", "Stretch", "plan"]

POSITION_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records to run: after the state of a segment (0: from the first one), up to a position, included."""

    segment: int
    until: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run; what is gone and why; segments that were loaded and are not there without a word.

    ``uncompared``: segments, both ends included, that no state is left for to begin at. ``segments`` as
    `recorder.spool.listing.entries` has them.
    """

    stretches: list[Stretch]
    segments: list[dict[str, Any]]
    gone: list[Gone]
    missing: list[tuple[int, int]]
    uncompared: list[tuple[int, int]]


def plan(spool: Path, recorder: str, mark: int, loaded: Iterable[int], selection: Selection) -> Plan:
    """Look at the files of a spool.

    Args:
        spool: its folder.
        recorder: whose.
        mark: position not to go beyond.
        loaded: segments that a database has batches of; a hole in them is gone on beyond from a state.
        selection: of time; what lies before is begun at the nearest state.
    """
    known = entries(spool)
    present = [one["segment"] for one in known if one.get("file_bytes") and one["state"] != "prepared"]
    gone = read_gone(spool)
    absent = sorted({*loaded} - {*present})
    missing = _runs(number for number in absent if not covers(gone, number))
    expired = [(one.first_segment, one.last_segment) for one in gone if one.reason is Reason.EXPIRED]
    holes = _runs(number for first, last in (*missing, *expired) for number in range(first, last + 1))
    stretches, uncompared = [], []
    begin = 0
    for first, last in holes:
        if any(begin < number < first for number in present):
            stretches.append(Stretch(begin, _last_position(known, first)))
        begin = _state_from(spool, recorder, last, mark)
        beyond = [number for number in present if last < number <= (begin or mark >> POSITION_BITS)]
        uncompared += _runs(beyond)
        if not begin:
            break
    else:
        stretches.append(Stretch(begin, mark))
    until = _until(known, mark, selection)
    stretches = [Stretch(one.segment, min(one.until, until)) for one in stretches]
    first = _first_segment(known, selection)
    stretches = [
        Stretch(max(one.segment, _state_before(spool, recorder, first)), one.until)
        for one in stretches
        if one.until >> POSITION_BITS >= first
    ]
    return Plan(stretches, known, gone, missing, uncompared)


def _last_position(known: list[dict[str, Any]], segment: int) -> int:
    """Return the position of the last record before a segment."""
    return max(int(one.get("last_position", 0)) for one in known if one["segment"] < segment)


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return numbers as stretches without holes."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        elif not runs or runs[-1][1] < number:
            runs.append((number, number))
    return runs


def _state_from(spool: Path, recorder: str, segment: int, mark: int) -> int:
    """Return the first segment, from one on, after which there is a state; 0 where there is none."""
    later = (one.segment for one in state.usable(spool, recorder, None, mark) if one.segment >= segment)
    return min(later, default=0)


def _state_before(spool: Path, recorder: str, segment: int) -> int:
    return next((one.segment for one in state.usable(spool, recorder, None, (segment << 32) - 1)), 0)


def _first_segment(known: list[dict[str, Any]], selection: Selection) -> int:
    """Return the first segment that may have a record of the time that is looked at."""
    if not selection.start_ns:
        return 0
    held = (one["segment"] for one in known if one.get("last_recv_ns", 0) + DISORDER_NS >= selection.start_ns)
    return min(held, default=0)


def _until(known: list[dict[str, Any]], mark: int, selection: Selection) -> int:
    """Return the position up to which there may be a record of the time that is looked at."""
    beyond = [
        one["first_position"]
        for one in known
        if one.get("first_recv_ns", 0) >= selection.end_ns + DISORDER_NS and one["state"] != "prepared"
    ]
    return min(mark, min(beyond, default=mark + 1) - 1)
