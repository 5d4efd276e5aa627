"""Whatever goes into a journal comes out of its segments, and damage never makes up a record."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ext.journal import Journal, Record, RecordKind
from ext.segment import Damage
from tests.support.spools import START_NS, Segments, read_segment, take_pending

SEGMENT_BYTES = 16 << 10

Fields = tuple[int, bytes, int, int, int]  # kind, payload, connection, recv_ns, mono_ns
Drawn = tuple[int, int, int, int, int]  # the same with the size of the payload

KINDS = st.just(int(RecordKind.FRAME)) | st.integers(RecordKind.FRAME, 255)
SIZES = st.integers(0, 80) | st.integers(0, 8000)
NS = st.integers(-(2**63), 2**63 - 1)
RECORDS = st.tuples(KINDS, SIZES, st.integers(0, 65535), NS, NS)
BATCHES = st.lists(st.lists(RECORDS, max_size=6), max_size=6)
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=60)), min_size=1, max_size=4)


def write(folder: Path, batches: list[list[Drawn]]) -> tuple[Segments, dict[int, Fields]]:
    segments = Segments(folder, SEGMENT_BYTES)
    journal = Journal(segments, START_NS, 1)
    written: dict[int, Fields] = {}
    for batch in batches:
        appended: list[Fields] = []
        for kind, size, connection, recv_ns, mono_ns in batch:
            payload = bytes((index * 7 + size) & 0xFF for index in range(size))
            appended.append((kind, payload, connection, recv_ns, mono_ns))
            written[journal.append_record(*appended[-1])] = appended[-1]
        journal.commit()
        frames = [fields for fields in appended if fields[0] == RecordKind.FRAME]
        assert [fields_of(record) for record in take_pending(journal)] == frames
    journal.close()
    segments.close()
    return segments, written


def fields_of(record: Record) -> Fields:
    return record.kind, record.payload, record.connection, record.recv_ns, record.mono_ns


@settings(max_examples=60)
@given(BATCHES)
def test_every_record_is_read_back_in_order(batches: list[list[Drawn]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        segments, written = write(Path(folder), batches)
        items = segments.records()
    read = [item for item in items if isinstance(item, Record)]
    assert len(read) == len(items)
    assert {item.position: fields_of(item) for item in read if item.kind != RecordKind.SEGMENT} == written
    positions = [item.position for item in read]
    assert positions == sorted(positions)
    for number in range(1, segments.number + 1):
        numbers = [position & 0xFFFFFFFF for position in positions if position >> 32 == number]
        assert numbers == list(range(1, len(numbers) + 1))


@settings(max_examples=100)
@given(BATCHES, CHANGES)
def test_changed_bytes_lose_records_but_never_make_one_up(
    batches: list[list[Drawn]], changes: list[tuple[float, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        segments, _ = write(Path(folder), batches)
        originals = {number: segments.path(number).read_bytes() for number in range(1, segments.number + 1)}
    for number, original in originals.items():
        intact = {item.position: item for item in read_segment(original, number) if isinstance(item, Record)}
        used = segments.used.get(number, 0) or len(original.rstrip(b"\0"))
        raw = bytearray(original)
        for place, replacement in changes:
            at = int(place * used)
            raw[at : at + len(replacement)] = replacement
        items = read_segment(raw, number)
        read = [item for item in items if isinstance(item, Record)]
        assert [item.position for item in read] == sorted({item.position for item in read})
        for item in read:
            assert fields_of(item) == fields_of(intact[item.position])
        # Each record is read, or lost to damage that is told, or in the torn tail.
        lost = sum(item.records for item in items if isinstance(item, Damage))
        torn = max(intact) - (read[-1].position if read else number << 32)
        assert len(read) + lost + torn == len(intact)
