"""Bytes of a segment, plain or compressed, damaged: what is read was written, what is whole is read."""

import tempfile
from functools import cache
from pathlib import Path
from random import Random

from ext.journal import Journal, Record
from ext.segment import SegmentReader
from recorder.spool.compressed import compressed, plain
from tests.support.spools import START_NS, Segments, append_frame

RECORDS = 60
ITEMS_MAX = 10_000
FRAME_BYTES = 2 << 10  # of a compressed segment; those of a real one are longer


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
    read = read_exact(damaged, final=random.random() < 0.5)
    if first is not None:
        intact = [position for position in written if end_of(position) <= first]
        assert set(intact) <= set(read), "a record before the damage is missing"


def damaged_compressed(random: Random) -> None:
    """Any damage of zstd frames: the records of the frames before it are all there, and reading ends."""
    whole, written = segment()
    used = whole.rstrip(b"\0")
    parts = [used[at : at + FRAME_BYTES] for at in range(0, len(used), FRAME_BYTES)]
    found = list(compressed(parts))
    damaged, first = damage(random, b"".join(found))
    content = plain(damaged)
    assert len(content) <= (len(found) + 3) << 20, "damage makes a segment grow"
    read = read_exact(content, final=True)
    if first is not None:
        ends = [sum(map(len, found[: count + 1])) for count in range(len(found))]
        safe = sum(end <= first for end in ends) * FRAME_BYTES
        intact = [position for position in written if end_of(position) <= safe]
        assert set(intact) <= set(read), "a record of a frame before the damage is missing"


def read_exact(damaged: bytes, *, final: bool) -> dict[int, bytes]:
    """Return what is read by position; each record must be what was written."""
    _, written = segment()
    reader = SegmentReader(damaged, 1, final)
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
    return read


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
