"""Bytes of a segment, damaged: what is read was written, and what was not touched is read."""

import tempfile
from functools import cache
from pathlib import Path
from random import Random

from ext.journal import Journal, Record
from ext.segment import SegmentReader
from tests.support.spools import START_NS, Segments, append_frame

RECORDS = 60
ITEMS_MAX = 10_000


@cache
def segment() -> tuple[bytes, dict[int, bytes]]:
    """A segment of frames of many lengths, and the payloads by position."""
    random = Random(1)
    with tempfile.TemporaryDirectory() as folder:
        spool = Segments(Path(folder))
        journal = Journal(spool, START_NS, 0)
        written = {}
        for _ in range(RECORDS):
            payload = random.randbytes(random.choice((0, 1, 7, 8, 9, 100, 700)))
            written[append_frame(journal, payload)] = payload
        whole = spool.path(1).read_bytes()
        spool.close()
    return whole, written


def damaged_segment(random: Random) -> None:
    """Any damage: no record is invented, none before the damage is missing, and reading ends."""
    whole, written = segment()
    used = whole.rstrip(b"\0")
    damaged, first = damage(random, used)
    if random.random() < 0.5:
        damaged = damaged.ljust(len(whole), b"\0")
    reader = SegmentReader(damaged, 1, random.random() < 0.5)
    read: dict[int, bytes] = {}
    items = 0
    while (item := reader.next()) is not None:
        items += 1
        assert items < ITEMS_MAX, "reading does not end"
        if isinstance(item, Record):
            read[item.position] = bytes(item.payload)
    reader.close()
    for position, payload in read.items():
        assert position not in written or written[position] == payload, (
            f"record {position} is not what it was"
        )
    if first is not None:
        intact = [position for position in written if end_of(position) <= first]
        assert set(intact) <= set(read), "a record before the damage is missing"


@cache
def ends() -> dict[int, int]:
    """Where each record ends in the segment."""
    whole, written = segment()
    reader = SegmentReader(whole, 1, True)
    found = {}
    while (item := reader.next()) is not None:
        if isinstance(item, Record):
            found[item.position] = reader.offset
    reader.close()
    assert set(written) <= set(found)
    return found


def end_of(position: int) -> int:
    """Where a record ends."""
    return ends()[position]


def damage(random: Random, data: bytes) -> tuple[bytes, int | None]:
    """Return damaged bytes, and where the first damage is."""
    at = random.randrange(len(data))
    length = random.choice((1, 4, 8, 40, 300))
    match random.randrange(6):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :], at
        case 1:
            return data[:at], at
        case 2:
            return data[:at] + bytes(length) + data[at + length :], at
        case 3:
            return data[:at] + data[at + length :], at
        case 4:
            return data[:at] + random.randbytes(length) + data[at + length :], at
        case _:
            other = random.randrange(len(data)) // 8 * 8
            return data[:at] + data[other : other + length] + data[at:], at
