"""The reading end of the spool: one stream of records over all segments, along with the writer."""

from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ext.dispatch import Dispatcher
from ext.journal import Record, RecordKind
from ext.replay import feed
from ext.segment import Damage, SegmentReader
from recorder.spool.seals import Gone, read_gone
from recorder.spool.segments import Segment, first_payload, following, open_segment

__all__ = ["Item", "Routes", "SpoolReader"]

Item = Record | Damage | Gone

Routes = dict[int, tuple[Dispatcher, int]]

NUMBER_MASK: Final = 0xFFFFFFFF


class SpoolReader:
    """Reads a spool from the record after ``position`` on, in order, from any process; takes no lock.

    ``position`` 0 is the beginning, segment number << 32 the ``SEGMENT`` record of that segment, which says
    what was open and desired. Nothing ever blocks: None means nothing more yet, ask again. Segments that the
    keeper has deleted are told by a Gone. Not for several threads. SpoolError where a segment is of another
    format.

    ``recv_ns`` is the wall clock of the record of ``position``, where that is known; ``is_read`` says that
    its segment was read to the end: it is not opened, and may be gone.
    """

    def __init__(self, folder: Path, position: int = 0, *, recv_ns: int = 0, is_read: bool = False) -> None:
        self.folder = folder
        self._after = position
        self._recv_ns = recv_ns
        self._reader: SegmentReader | None = None
        self._segment = position >> 32 if is_read else max(position >> 32, 1) - 1
        self._queued: deque[Item] = deque()

    @property
    def position(self) -> int:
        """Everything up to this position was read."""
        if self._reader is None or not self._reader.position & NUMBER_MASK:
            return self._after  # no record of the segment was read yet, if it has any
        return max(self._reader.position, self._after)

    @property
    def recv_ns(self) -> int:
        """Wall clock of the record read last, 0 before the first."""
        if self._reader is None or self._queued:
            return self._recv_ns
        return self._reader.recv_ns or self._recv_ns

    @property
    def previous_recv_ns(self) -> int:
        """Wall clock of the last record before the present segment; 0 where that is not known."""
        return self._recv_ns

    @property
    def place(self) -> tuple[int, int]:
        """The number of the segment that is read next, and the offset in it, bytes."""
        return (self._segment + 1, 0) if self._reader is None else (self._segment, self._reader.offset)

    def poll(self) -> Item | None:
        """Return the next record, damage or Gone; None when there is nothing more yet."""
        item: Item | None = self._take_queued()
        while item is None and (reader := self._current()) is not None:
            item = self._checked(reader.next())
            if item is None and not self._move_on(reader):
                break
        return item or self._take_queued()

    def feed(self, routes: Routes, limit: int) -> tuple[int, Item | None]:
        """Feed up to ``limit`` frames to their dispatchers; return how many, and what ended the run.

        That is a Record that is no frame or whose connection has no route, a Damage, a Gone, or None: at the
        limit, or, with fewer frames, when there is nothing more yet. No Python object is made per frame.
        """
        frames = 0
        item: Item | None = self._take_queued()
        while item is None and frames < limit and (reader := self._current()) is not None:
            fed, met = feed(reader, routes, limit - frames)
            frames += fed
            item = self._checked(met)
            if item is None and frames < limit and not self._move_on(reader):
                break
        return frames, item or self._take_queued()

    def close(self) -> None:
        """Let the files go. May be repeated."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _current(self) -> SegmentReader | None:
        while self._reader is None:
            segment = following(self.folder, self._segment)
            if segment is None:
                return None
            self._queued.extend(self._gone_before(segment))
            if self._queued:
                return None
            self._open(segment)
        if self._reader.position < self._after:
            self._reader.skip(self._after)
        return self._reader

    def _gone_before(self, segment: Segment) -> list[Gone]:
        if segment.number <= self._segment + 1:
            return []
        gone = [one for one in read_gone(self.folder) if one.first_segment < segment.number]
        return [left for one in gone if (left := one.after(self._after, self._recv_ns)) is not None]

    def _open(self, segment: Segment) -> None:
        try:
            self._reader = open_segment(segment)
        except FileNotFoundError:
            return  # its keeper was faster: what follows now is another file
        self._segment = segment.number

    def _move_on(self, reader: SegmentReader) -> bool:
        """Go on after the present segment gave nothing more; False while there is nowhere to go."""
        if following(self.folder, self._segment) is None:
            return False
        if not reader.final:
            # Its writer had finished it before it began the next one: read it once more, to its very end.
            reader.final = True
            return True
        self._after, self._recv_ns = self.position, self.recv_ns
        self.close()
        return True

    def _checked(self, item: Record | Damage | None) -> Item | None:
        """Look at the seam of two segments: what the later one says came before it must have been read."""
        if not isinstance(item, Record) or item.kind != RecordKind.SEGMENT:
            return item
        previous = first_payload(item)["previous"]
        begins_here = self._after == item.position & ~NUMBER_MASK
        if begins_here or previous <= self._after:
            return item
        self._queued.append(item)
        return Damage(self._after, previous + 1)

    def _take_queued(self) -> Item | None:
        item = self._queued.popleft() if self._queued else None
        if isinstance(item, Gone):
            self._after, self._recv_ns = item.last_position, max(self._recv_ns, item.last_recv_ns)
        return item
