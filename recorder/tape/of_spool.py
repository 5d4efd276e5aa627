"""A range of a spool: where it begins and ends, its topics, its records as calls of a listener."""

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from engine.errors import UsageError
from ext.journal import Record, RecordKind
from ext.listener import Listener
from recorder.history.moments import iso
from recorder.loading.decoding import nearest_playback
from recorder.playback import Playback, RestHandler
from recorder.spool.reader import SpoolReader
from recorder.spool.seals import read_seal
from recorder.spool.segments import first_payload, segments
from recorder.tape.listeners import Gate

__all__ = ["SpoolRange"]

RUN_RECORDS: Final = 1_000


class SpoolRange:
    """The records of a spool received in ``[start_ns, end_ns)``; None is its beginning, and its present end.

    Raises UsageError where there is none, naming the range that there is.
    """

    def __init__(self, folder: Path, start_ns: int | None, end_ns: int | None) -> None:
        self._folder = folder
        self._segments = [segment.number for segment in segments(folder) if segment.is_started]
        if not self._segments:
            raise UsageError(f"the spool {folder} holds nothing yet", "record into it first")
        first = self._first_since(start_ns or 0)
        after = None if first is None or end_ns is None else self._first_since(end_ns, first.position)
        if first is None or (after is not None and after.position == first.position):
            raise self._outside()
        self.first = first.position
        self.after = 0 if after is None else after.position  # 0: no record is after the range
        self.counters = {"records": 0, "frames": 0}

    def play(self, gate: Gate, *, each: bool) -> Iterator[int]:
        """Open the gate and run the range; yields the wall clock (ns) of records, from time to time.

        ``each``: of each record, before it happens.
        """
        is_whole = self.first == self._segments[0] << 32 | 1
        playback = self.begin(gate.listener if is_whole and gate.lets_all else gate)
        gate.is_open = True
        for dispatcher in playback.dispatchers.values():
            for gap in dispatcher.open_gaps():
                gate.on_gap(gap)
        records, frames = playback.records, playback.frames
        try:
            yield from self._one_by_one(playback) if each else self._at_once(playback)
        finally:
            self.counters = {"records": playback.records - records, "frames": playback.frames - frames}
            playback.close()

    def begin(self, listener: Listener, on_rest: RestHandler | None = None) -> Playback:
        """Return a playback that stands before the first record of the range, its books right.

        It comes from the nearest state before, else from the first record. ``on_rest`` is told of the
        instruments, too, that the state knows.
        """
        playback = nearest_playback(self._folder, self.first - 1, listener, on_rest)
        while playback.position < self.first - 1 and playback.run(RUN_RECORDS, until=self.first - 1):
            pass
        return playback

    def records(self) -> Iterator[Record]:
        """Yield the records of the range, undamaged ones."""
        with SpoolReader(self._folder, self.first - 1) as reader:
            while (item := reader.poll()) is not None:
                if not isinstance(item, Record):
                    continue
                if self.after and item.position >= self.after:
                    return
                yield item

    def topics(self) -> dict[str, set[str]]:
        """Return the topics, by category, that were wanted at some time of the range."""
        number, found = self.first >> 32, dict[str, set[str]]()
        with SpoolReader(self._folder, number << 32) as reader:
            begun = reader.poll()
        for record in [begun] if isinstance(begun, Record) else []:
            _note(found, record)
        for record in self.records():
            if record.kind in (RecordKind.SEGMENT, RecordKind.REQUESTED):
                _note(found, record)
        return found

    def _one_by_one(self, playback: Playback) -> Iterator[int]:
        for record in self.records():
            yield record.recv_ns
            while playback.position < record.position and playback.run(RUN_RECORDS, until=record.position):
                pass

    def _at_once(self, playback: Playback) -> Iterator[int]:
        until = max(self.after - 1, 0)
        while playback.run(RUN_RECORDS, until=until):
            yield playback.recv_ns

    def _first_since(self, time_ns: int, position: int = 0) -> Record | None:
        """Return the first record, from a position on, that was received at or after a time."""
        index = bisect_right(self._segments, time_ns, key=self._begun_ns) - 1
        before = max(self._segments[max(index, 0)] << 32, position - 1)
        with SpoolReader(self._folder, before) as reader:
            while (item := reader.poll()) is not None:
                if isinstance(item, Record) and item.recv_ns >= time_ns:
                    return item
        return None

    def _begun_ns(self, number: int) -> int:
        seal = read_seal(self._folder, number)  # a compressed segment is slow to open
        if seal is not None:
            return seal.first_recv_ns
        with SpoolReader(self._folder, number << 32) as reader:
            item = reader.poll()
            return item.recv_ns if isinstance(item, Record) else 0

    def _outside(self) -> UsageError:
        with SpoolReader(self._folder, self._segments[-1] << 32) as reader:
            while reader.poll() is not None:
                pass
            last_ns = reader.recv_ns
        there = f"{iso(self._begun_ns(self._segments[0]))} to {iso(last_ns)}"
        return UsageError("nothing was recorded in that range", f"give a time within {there}")


def _note(found: dict[str, set[str]], record: Record) -> None:
    if record.kind == RecordKind.REQUESTED:
        payload = orjson.loads(record.payload)
        if payload["op"] == "desire":
            found.setdefault(payload["category"], set()).update(payload["topics"])
        return
    payload = first_payload(record)
    for category, topics in payload["topics"].items():
        found.setdefault(category, set()).update(topics)
    for one in (*payload["connections"], *payload.get("waiting", ())):
        found.setdefault(one["category"], set()).update(one.get("topics", ()))
