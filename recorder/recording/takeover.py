"""Taking over from a recording that runs: what the new capture holds in memory until the spool is its own.

docs/takeover.md has the whole of it.
"""

import mmap
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import orjson

from ext.journal import Journal, Record, RecordKind
from ext.segment import SegmentReader

__all__ = ["STANDBY_BYTES_MAX", "SUCCESSOR_LEG", "Former", "Standby"]

STANDBY_BYTES_MAX: Final = 256 << 20
STANDBY_SEGMENT: Final = 0xFFFFFFFF  # its number, which no file has
SUCCESSOR_LEG: Final = 1023  # stands for the legs to come: the old recording's topics are wanted there too
LEGS_APART: Final = 64  # so many more connections the old recording may open meanwhile
CONNECTIONS_APART: Final = 1024
CONNECTION_MAX: Final = 0xFFFF

Connections = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Former:
    """What a capture process says of itself to the one that takes over: connections as in a segment's first
    record (those that wait for theirs too), and the topics that are in step, by category.
    """

    connections: list[dict[str, Any]] = field(default_factory=list)
    in_step: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def decoded(cls, said: Mapping[str, Any]) -> Self:
        """Return what such an answer says."""
        return cls(said["connections"], said["in_step"])

    def behind(self, in_step: Mapping[str, Iterable[str]], wanted: Mapping[str, Iterable[str]]) -> list[str]:
        """Return which topics are in step there, wanted here, and not in step here."""
        return sorted(
            topic
            for category, topics in self.in_step.items()
            for topic in set(topics).intersection(wanted.get(category, ())) - set(in_step.get(category, ()))
        )

    def legs(self) -> dict[str, range]:
        """Return the legs of each category that are not to be used."""
        used: dict[str, list[int]] = {}
        for one in self.connections:
            used.setdefault(one["category"], []).append(one["leg"])
        return {category: range(min(legs), max(legs) + LEGS_APART) for category, legs in used.items()}

    def last_connection(self) -> int:
        """Return the number after which connections are to be counted."""
        used = [one["connection"] for one in self.connections]
        return (max(used, default=0) + CONNECTIONS_APART) % CONNECTION_MAX


class Standby:
    """A journal whose only segment is in memory, until `move` makes it that of a spool. One thread."""

    def __init__(self, now: Callable[[], tuple[int, int]], bytes_max: int = STANDBY_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._is_handed_out = False
        self._fd = os.memfd_create("standby", os.MFD_CLOEXEC)
        os.ftruncate(self._fd, bytes_max)  # its pages come as they are written
        self._now = now
        self.journal = Journal(self, *now())

    @property
    def is_full(self) -> bool:
        """Whether something did not fit any more."""
        return self.journal.refused > 0

    def beat(self) -> None:
        """Keep a sign of life."""
        self.journal.append_record(RecordKind.HEARTBEAT, b"", 0, *self._now())
        self.journal.commit()

    def pour(self, former: Connections, last_recv_ns: int) -> int:
        """Append what is in memory to the spool that the journal was moved to; return how many records.

        After those up to ``last_recv_ns``, the last record of the spool before, the ``former`` connections
        are gone.
        """
        count = 0
        is_told = False
        mono_ns = self._now()[1]
        for record in self._records():
            if not is_told and record.recv_ns > last_recv_ns:
                self._tell_gone(former, last_recv_ns, mono_ns)
                is_told = True
            mono_ns = record.mono_ns
            self._append(record.kind, record.payload, record.connection, record.recv_ns, record.mono_ns)
            count += 1
        if not is_told:
            self._tell_gone(former, last_recv_ns, mono_ns)
        self.journal.commit()
        self.close()
        return count

    def close(self) -> None:
        """Let the memory go. May be repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # what the journal asks for

    def next_segment(self, position: int, recv_ns: int, used: int) -> tuple[int, int, int, bytes] | None:
        """Hand out the one segment there is."""
        if self._is_handed_out:
            return None
        self._is_handed_out = True
        return self._fd, STANDBY_SEGMENT, self._bytes_max, b"{}"

    def lost(self, start_ns: int, recv_ns: int, records: int) -> bytes:
        """Return the payload of a ``LOST`` record."""
        return orjson.dumps({"topics": None, "start_ns": start_ns, "cause": "own_drop", "fault": "ours"})

    def write_failed(self, error: int, used: int) -> None:
        """Nothing: what was refused is counted by the journal."""

    # inside

    def _records(self) -> Iterable[Record]:
        with mmap.mmap(self._fd, self._bytes_max, prot=mmap.PROT_READ) as memory, memoryview(memory) as view:
            reader = SegmentReader(view, STANDBY_SEGMENT, final=True)
            for item in reader:
                if isinstance(item, Record) and item.kind != RecordKind.SEGMENT:
                    yield item
            reader.close()

    def _tell_gone(self, former: Connections, recv_ns: int, mono_ns: int) -> None:
        wanted: dict[str, list[str]] = {}
        for one in former:
            wanted.setdefault(one["category"], []).extend(one["topics"])
            common = {"connection": one["connection"], "category": one["category"], "leg": one["leg"]}
            gone = {**common, "cause": "takeover", "detail": "another recording goes on"}
            left = {**common, "op": "remove", "topics": one["topics"]}
            self._append(RecordKind.DISCONNECTED, orjson.dumps(gone), one["connection"], recv_ns, mono_ns)
            self._append(RecordKind.REQUESTED, orjson.dumps(left), one["connection"], recv_ns, mono_ns)
        for category, topics in wanted.items():
            left = {"connection": 0, "category": category, "leg": SUCCESSOR_LEG, "op": "remove"}
            said = orjson.dumps({**left, "topics": list(dict.fromkeys(topics))})
            self._append(RecordKind.REQUESTED, said, 0, recv_ns, mono_ns)

    def _append(self, kind: int, payload: bytes, connection: int, recv_ns: int, mono_ns: int) -> None:
        self.journal.append_record(kind, payload, connection, recv_ns, mono_ns)
        if kind == RecordKind.FRAME:  # it was dispatched when it came
            self.journal.commit()
            while self.journal.next_pending() is not None:
                pass
