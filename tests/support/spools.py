"""Spools for tests: a clock that ticks when asked, segments without a worker, and records read back."""

import os
from pathlib import Path
from typing import Any

import orjson

from engine.decisions import obey
from ext.dispatch import Dispatcher
from ext.journal import Journal, Record, RecordKind
from ext.segment import Damage, SegmentReader

HEADER_BYTES = 40
START_NS = 1_790_000_000_000_000_000


class Ticks:
    """A `now` for a Spool: each call is one ms later."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> tuple[int, int]:
        self.count += 1
        return START_NS + self.count * 1_000_000, self.count * 1_000_000


class Segments:
    """What a Journal asks its spool for, without a worker; `room` is how many more segments it will give."""

    def __init__(self, folder: Path, segment_bytes: int = 64 << 10, room: int = 1_000_000) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.room = room
        self.number = 0
        self.used: dict[int, int] = {}
        self.failed: list[tuple[int, int]] = []
        self.fds: list[int] = []
        self.open_flags = os.O_RDWR

    def next_segment(self, position: int, recv_ns: int, used: int) -> tuple[int, int, int, bytes] | None:
        if self.room == 0:
            return None
        self.room -= 1
        self.used[self.number] = used
        self.number += 1
        path = self.path(self.number)
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, self.segment_bytes)
        self.fds.append(os.open(path, self.open_flags))
        first = {"format": 1, "recorder": "test", "previous": position, "previous_recv_ns": recv_ns}
        return self.fds[-1], self.number, self.segment_bytes, orjson.dumps(first)

    def lost(self, start_ns: int, recv_ns: int, records: int) -> bytes:
        return orjson.dumps({"start_ns": start_ns, "recv_ns": recv_ns, "records": records})

    def write_failed(self, error: int, used: int) -> None:
        self.failed.append((error, used))

    def path(self, number: int) -> Path:
        return self.folder / f"{number:08}.tape"

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)

    def records(self) -> list[Record | Damage]:
        return [
            item for number in range(1, self.number + 1) for item in read_segment(self.path(number), number)
        ]

    def replay(self, dispatcher: Dispatcher) -> None:
        """Give all records to a dispatcher, in their order: frames of leg 0, and decisions."""
        for item in self.records():
            assert isinstance(item, Record)
            if item.kind == RecordKind.FRAME:
                dispatcher.feed(item.payload, item.recv_ns, 0, item.position)
            elif item.kind != RecordKind.SEGMENT:
                obey(
                    dispatcher, RecordKind(item.kind), orjson.loads(item.payload), item.recv_ns, item.position
                )


def read_segment(source: Path | bytes, number: int = 1, *, final: bool = True) -> list[Record | Damage]:
    reader = SegmentReader(source, number, final)
    items = list(reader)
    reader.close()
    return items


def take_pending(journal: Journal) -> list[Record]:
    taken = []
    while (record := journal.next_pending()) is not None:
        taken.append(record)
    return taken


def append_frame(journal: Journal, payload: bytes, recv_ns: int = START_NS, connection: int = 1) -> int:
    """Append, write and take one frame, as a connection without a dispatcher would."""
    position = journal.append_record(RecordKind.FRAME, payload, connection, recv_ns, recv_ns - START_NS)
    journal.commit()
    take_pending(journal)
    return position


def said(record: Record | Damage) -> dict[str, Any]:
    assert isinstance(record, Record)
    payload: dict[str, Any] = orjson.loads(record.payload)
    return payload


def record_bytes(payload_bytes: int) -> int:
    return (HEADER_BYTES + payload_bytes + 7) // 8 * 8


def slow_crc32c(seed: int, data: bytes) -> int:
    """CRC32C of `data` continued from `seed`, bit by bit."""
    crc = ~seed & 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return ~crc & 0xFFFFFFFF
