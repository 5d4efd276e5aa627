"""The reading end of the spool: one stream of records over all segments, along with the writer."""

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ext.dispatch import Dispatcher
from ext.journal import Record, RecordKind
from ext.replay import feed
from ext.segment import Damage, SegmentReader
from recorder.segments import Segment, first_payload, following

__all__ = ["Routes", "SpoolReader"]

Routes = dict[int, tuple[Dispatcher, int]]

NUMBER_MASK: Final = 0xFFFFFFFF


class SpoolReader:
    """Reads a spool from the record after ``position`` on, in order, from any process; takes no lock.

    ``position`` 0 is the beginning, segment number << 32 the ``SEGMENT`` record of that segment, which says
    what was open and desired. Nothing ever blocks: None means nothing more yet, ask again. Not for several
    threads. SpoolError where a segment is of another format.

    ``recv_ns`` is the wall clock of the record of ``position``, where that is known; ``is_read`` says that
    its segment was read to the end: it is not opened, and may be gone.
    """

    def __init__(self, folder: Path, position: int = 0, *, recv_ns: int = 0, is_read: bool = False) -> None:
        self.folder = folder
        self._after = position
        self._recv_ns = recv_ns
        self._reader: SegmentReader | None = None
        self._segment = position >> 32 if is_read else max(position >> 32, 1) - 1
        self._queued: Record | None = None

    @property
    def position(self) -> int:
        """Everything up to this position was read."""
        return self._after if self._reader is None else max(self._reader.position, self._after)

    @property
    def recv_ns(self) -> int:
        """Wall clock of the record read last, 0 before the first."""
        if self._reader is None or self._queued is not None:
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

    def poll(self) -> Record | Damage | None:
        """Return the next record or damage; None when there is nothing more yet."""
        item: Record | Damage | None = self._take_queued()
        while item is None and (reader := self._current()) is not None:
            item = self._checked(reader.next())
            if item is None and not self._move_on(reader):
                break
        return item

    def feed(self, routes: Routes, limit: int) -> tuple[int, Record | Damage | None]:
        """Feed up to ``limit`` frames to their dispatchers; return how many, and what ended the run.

        That is a Record that is no frame or whose connection has no route, a Damage, or None: at the limit,
        or, with fewer frames, when there is nothing more yet. No Python object is made per frame.
        """
        frames = 0
        item: Record | Damage | None = self._take_queued()
        while item is None and frames < limit and (reader := self._current()) is not None:
            fed, met = feed(reader, routes, limit - frames)
            frames += fed
            item = self._checked(met)
            if item is None and frames < limit and not self._move_on(reader):
                break
        return frames, item

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
        if self._reader is None:
            segment = following(self.folder, self._segment)
            if segment is None:
                return None
            self._open(segment)
        assert self._reader is not None
        if self._reader.position < self._after:
            self._reader.skip(self._after)
        return self._reader

    def _open(self, segment: Segment) -> None:
        self._reader = SegmentReader(segment.path, segment.number)
        self._segment = segment.number

    def _move_on(self, reader: SegmentReader) -> bool:
        """Go on after the present segment gave nothing more; False while there is nowhere to go."""
        segment = following(self.folder, self._segment)
        if segment is None:
            return False
        if not reader.final:
            # Its writer had finished it before it began the next one: read it once more, to its very end.
            reader.final = True
            return True
        self._after, self._recv_ns = self.position, self.recv_ns
        self.close()
        self._open(segment)
        return True

    def _checked(self, item: Record | Damage | None) -> Record | Damage | None:
        """Look at the seam of two segments: what the later one says came before it must have been read."""
        if not isinstance(item, Record) or item.kind != RecordKind.SEGMENT:
            return item
        previous = first_payload(item)["previous"]
        if not self._after & NUMBER_MASK or previous <= self._after:
            return item
        self._queued = item
        return Damage(self._after, previous + 1)

    def _take_queued(self) -> Record | None:
        item, self._queued = self._queued, None
        return item
