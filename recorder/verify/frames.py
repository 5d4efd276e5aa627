"""The frames of a spool, counted record by record: without a playback, so that what it forgets would show."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from ext.journal import Record, RecordKind
from ext.segment import Damage
from recorder.coverage import topic_of
from recorder.spool.reader import SpoolReader
from recorder.spool.segments import first_payload
from recorder.verify.selection import DAY_NS, Selection, symbol_of

__all__ = ["Frames", "Sent"]

TELL_RECORDS: Final = 50_000
DIGEST_BYTES: Final = 8

Digest = tuple[int, int]  # how many frames, and the sum of their hashes


class Frames:
    """Counts of a stretch of a spool.

    Attributes:
        frames, records, bytes: all of them.
        by_symbol: frames by day, category and symbol; those without a topic are of none.
        topics: of each topic how many frames, and the sum of their hashes; of all time, if asked for.
        damage: what is no record.
    """

    def __init__(self, selection: Selection, *, with_digests: bool = False) -> None:
        self.frames = self.records = self.bytes = 0
        self.by_symbol: Counter[tuple[int, str, str]] = Counter()
        self.topics: dict[str, Digest] = defaultdict(lambda: (0, 0))
        self.damage: list[Damage] = []
        self._selection = selection
        self._with_digests = with_digests
        self._categories: dict[int, str] = {}

    def run(self, spool: Path, after: int, until: int) -> Iterator[int]:
        """Read from the record after a position up to another one, included; yields where it is."""
        self._begin(spool, after)
        with SpoolReader(spool, after) as reader:
            while (item := reader.poll()) is not None and item.position <= until:
                if isinstance(item, Damage):
                    self.damage.append(item)
                elif isinstance(item, Record):
                    self._take(item)
                    if not self.records % TELL_RECORDS:
                        yield item.position

    def _begin(self, spool: Path, after: int) -> None:
        """Connections that were open before: the segment's first record says them."""
        if not after & 0xFFFFFFFF:
            return
        with SpoolReader(spool, after >> 32 << 32) as reader:
            item = reader.poll()
            if isinstance(item, Record) and item.kind == RecordKind.SEGMENT:
                self._connections(item)

    def _take(self, record: Record) -> None:
        self.records += 1
        if record.kind == RecordKind.FRAME:
            self._frame(record)
        elif record.kind == RecordKind.SEGMENT:
            self._connections(record)
        elif record.kind == RecordKind.CONNECTED:
            said: dict[str, Any] = orjson.loads(record.payload)
            self._categories[said["connection"]] = said["category"]

    def _connections(self, record: Record) -> None:
        for one in first_payload(record)["connections"]:
            self._categories[one["connection"]] = one["category"]

    def _frame(self, record: Record) -> None:
        self.frames += 1
        self.bytes += len(record.payload)
        topic = topic_of(record.payload)
        if not topic:
            return
        symbol = symbol_of(topic)
        if self._selection.has(symbol, record.recv_ns):
            category = self._categories.get(record.connection, "")
            self.by_symbol[record.recv_ns // DAY_NS, category, symbol] += 1
        if self._with_digests:
            self.topics[topic] = _added(self.topics[topic], record.payload)


class Sent:
    """What a simulator says that it sent: the frames of its log by topic, as `Frames.topics`."""

    def __init__(self, log: Path) -> None:
        self.topics: dict[str, Digest] = defaultdict(lambda: (0, 0))
        self.frames = 0
        with log.open("rb") as lines:
            for line in lines:
                frame = line.rstrip(b"\n").split(b" ", 2)[-1]
                topic = topic_of(frame)
                if topic and not frame.startswith(b"# "):
                    self.frames += 1
                    self.topics[topic] = _added(self.topics[topic], frame)


def _added(digest: Digest, frame: bytes) -> Digest:
    hashed = int.from_bytes(hashlib.blake2b(frame, digest_size=DIGEST_BYTES).digest(), "little")
    return digest[0] + 1, digest[1] + hashed & (1 << 8 * DIGEST_BYTES) - 1
