"""A time that never steps, for the records of a spool: their wall clock without the moments it was set."""

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from ext.journal import Record, RecordKind
from recorder.spool.segments import first_payload

__all__ = ["Timeline"]

STEP_NS_MIN: Final = 50_000_000


@dataclass(slots=True)
class _Epoch:
    """Records between two steps of the wall clock, which is ``offset_ns`` ahead of the steady time."""

    position: int
    first_ns: int
    offset_ns: int


class Timeline:
    """Steady times of records, in ns: the wall clock at the beginning, the monotonic clock from then on.

    From one run of the recorder to the next it goes on by what the wall clock says. `add` takes every record
    once, in order; 16 bytes a record are kept.
    """

    def __init__(self) -> None:
        self._positions = array("Q")
        self._times = array("q")
        self._epochs: list[_Epoch] = []
        self._wall_ns = 0
        self._base_ns = 0  # steady less monotonic time of the present run

    def add(self, record: Record) -> int:
        """Take the next record and return its steady time."""
        is_start = record.kind == RecordKind.SEGMENT and first_payload(record)["reason"] == "start"
        if not self._times:
            self._base_ns = record.recv_ns - record.mono_ns
        elif is_start:
            passed_ns = max(0, record.recv_ns - self._wall_ns)
            self._base_ns = self._times[-1] + passed_ns - record.mono_ns
        now_ns = self._base_ns + record.mono_ns
        self._positions.append(record.position)
        self._times.append(now_ns)
        self._wall_ns = record.recv_ns
        offset_ns = record.recv_ns - now_ns
        if not self._epochs or abs(offset_ns - self._epochs[-1].offset_ns) >= STEP_NS_MIN:
            self._epochs.append(_Epoch(record.position, now_ns, offset_ns))
        return now_ns

    def at(self, position: int) -> int:
        """Return the steady time of a record, or of the last one before a position that has none."""
        index = bisect_right(self._positions, position) - 1
        return self._times[max(index, 0)]

    def of_wall(self, wall_ns: int, position: int) -> int:
        """Return the steady time of a wall clock that was shown at or before the record of ``position``.

        Where it was shown twice, because the clock was set back, it is the later time.
        """
        known_ns = self.at(position)
        index = bisect_right(self._epochs, position, key=lambda epoch: epoch.position) - 1
        for epoch in reversed(self._epochs[: max(index, 0) + 1]):
            time_ns = wall_ns - epoch.offset_ns
            if epoch.first_ns - STEP_NS_MIN <= time_ns <= known_ns + STEP_NS_MIN:
                return min(time_ns, known_ns)
        return min(self._times[0], known_ns)
