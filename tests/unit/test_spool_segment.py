"""Reading one segment: its end, torn tails, damage, and a writer that is still there."""

from pathlib import Path
from typing import Final

import pytest

from ext.journal import Journal, Record, RecordKind
from ext.segment import Damage, SegmentReader
from tests.support.spools import START_NS, Segments, read_segment, record_bytes, slow_crc32c, take_pending

PAYLOADS: Final = [b"", b"a", b"quite a bit longer, padded", b"12345678", b'{"topic":"x"}', b"the last one"]
FOLLOW_BYTES: Final = 512  # zero fill kept after the records


@pytest.fixture
def written(tmp_path: Path) -> bytes:
    """The bytes of a segment: `SEGMENT` and a frame for each of `PAYLOADS`, then zeros."""
    return write_segment(tmp_path, PAYLOADS)


def write_segment(folder: Path, payloads: list[bytes], segment_bytes: int = 64 << 10) -> bytes:
    segments = Segments(folder, segment_bytes)
    journal = Journal(segments, START_NS, 1)
    for index, payload in enumerate(payloads):
        journal.append_record(RecordKind.FRAME, payload, 1, START_NS + index, index)
    used = journal.close()
    take_pending(journal)
    segments.close()
    return segments.path(1).read_bytes()[: used + FOLLOW_BYTES]


def spans(raw: bytes) -> list[tuple[int, int]]:
    """Where each record begins and ends."""
    found, at = [], 0
    for item in read_segment(raw):
        assert isinstance(item, Record)
        found.append((at, at + record_bytes(len(item.payload))))
        at = found[-1][1]
    return found


def payloads(items: list[Record | Damage]) -> list[bytes]:
    return [item.payload for item in items if isinstance(item, Record)][1:]


def damages(items: list[Record | Damage]) -> list[Damage]:
    return [item for item in items if isinstance(item, Damage)]


def test_a_path_and_a_buffer_read_the_same(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "00000001.tape"
    for source in (path, str(path), written, bytearray(written), memoryview(written)):
        reader = SegmentReader(source, 1, final=True)
        items = list(reader)
        assert payloads(items) == PAYLOADS
        assert [item.recv_ns for item in items if isinstance(item, Record)][1:] == [
            START_NS + index for index in range(len(PAYLOADS))
        ]
        assert (reader.position, reader.recv_ns) == (
            1 << 32 | len(PAYLOADS) + 1,
            START_NS + len(PAYLOADS) - 1,
        )
        assert reader.offset == spans(written)[-1][1]
        reader.close()
        reader.close()
        assert reader.next() is None


@pytest.mark.parametrize("final", [True, False])
def test_an_empty_file_and_one_cut_after_its_last_record_simply_end(written: bytes, final: bool) -> None:
    end = spans(written)[-1][1]
    assert read_segment(b"", final=final) == []
    assert read_segment(bytes(4096), final=final) == []
    assert payloads(read_segment(written[:end], final=final)) == PAYLOADS


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize(
    "fill", [b"", bytes(FOLLOW_BYTES), b"\xff" * FOLLOW_BYTES], ids=["cut", "zeros", "ones"]
)
def test_a_tail_torn_at_any_byte_leaves_the_exact_prefix(written: bytes, fill: bytes, final: bool) -> None:
    places = spans(written)
    for cut in range(places[-3][0], places[-1][1] + 1):
        whole = sum(end <= cut for _, end in places)
        # A record whose missing end was zero anyway is whole: padding, cut off and filled with zeros again.
        if fill[:1] == b"\0":
            whole = sum(not any(written[max(cut, start) : end]) for start, end in places if start < cut)
        items = read_segment(written[:cut] + fill, final=final)
        assert damages(items) == []
        assert payloads(items) == PAYLOADS[: whole - 1]


def test_a_flipped_bit_is_never_read_as_a_record(written: bytes) -> None:
    places = spans(written)
    victim = 3
    start, end = places[victim]
    for bit in range(start * 8, end * 8):
        raw = bytearray(written)
        raw[bit // 8] ^= 1 << bit % 8
        items = read_segment(raw)
        assert payloads(items) == PAYLOADS[: victim - 1] + PAYLOADS[victim:]
        (damage,) = damages(items)
        assert (damage.start, damage.end, damage.records) == (start, end, 1)
        assert (damage.position, damage.next_position) == (1 << 32 | victim, 1 << 32 | victim + 2)
    start, end = places[-1]
    for bit in range(start * 8, end * 8):
        raw = bytearray(written)
        raw[bit // 8] ^= 1 << bit % 8
        items = read_segment(raw)
        assert (payloads(items), damages(items)) == (PAYLOADS[:-1], [])


def test_damage_is_counted_in_records_however_many_it_took(written: bytes) -> None:
    places = spans(written)
    raw = bytearray(written)
    start, end = places[1][0] + 3, places[4][1] - 1
    raw[start:end] = b"\xa5" * (end - start)
    items = read_segment(raw)
    (damage,) = damages(items)
    assert (damage.start, damage.end, damage.records) == (places[1][0], places[5][0], 4)
    assert [item.position & 0xFFFFFFFF for item in items if isinstance(item, Record)] == [1, 6, 7]


def test_a_damaged_first_record_does_not_hide_the_rest(written: bytes) -> None:
    raw = bytearray(written)
    raw[20] ^= 1
    first, *rest = read_segment(raw)
    assert isinstance(first, Damage)
    assert (first.start, first.records, len(rest)) == (0, 1, len(PAYLOADS))


def test_zeros_in_the_middle_end_a_live_segment_and_are_damage_of_a_final_one(written: bytes) -> None:
    start, end = spans(written)[3]
    raw = bytearray(written)
    raw[start:end] = bytes(end - start)
    reader = SegmentReader(raw, 1)
    assert payloads(list(reader)) == PAYLOADS[:2]
    reader.final = True
    damage, *rest = reader
    assert isinstance(damage, Damage)
    assert (damage.start, damage.end, damage.records, len(rest)) == (start, end, 1, 3)


def test_garbage_with_the_magic_in_it_is_not_a_record(written: bytes) -> None:
    start, end = spans(written)[3]
    header = written[start : start + 32]
    for garbage in (
        b"TAP1" * 60,
        header * 8,
        written[: spans(written)[0][1]] * 2,
        written[start : end - 8] * 3,
    ):
        raw = written[:start] + garbage + bytes(-len(garbage) % 8) + written[end:]
        items = read_segment(raw)
        assert payloads(items) == PAYLOADS[:2] + PAYLOADS[3:]
        assert [damage.records for damage in damages(items)] == [1]


def test_records_of_another_segment_or_from_earlier_are_not_valid_here(written: bytes) -> None:
    places = spans(written)
    assert read_segment(written, number=2) == []
    again = written[: places[4][1]] + written[places[2][0] : places[4][1]] + written[places[5][0] :]
    items = read_segment(again)
    assert payloads(items) == PAYLOADS
    assert [damage.records for damage in damages(items)] == [0]


def test_records_cut_out_without_a_trace_are_missed(written: bytes) -> None:
    places = spans(written)
    items = read_segment(written[: places[2][0]] + written[places[4][0] :])
    (damage,) = damages(items)
    assert (damage.start, damage.end, damage.records) == (places[2][0], places[2][0], 2)
    assert payloads(items) == PAYLOADS[:1] + PAYLOADS[3:]


def test_a_record_seen_while_it_is_written_is_not_damage(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "growing.tape"
    path.write_bytes(bytes(len(written)))
    reader = SegmentReader(path, 1)
    places = spans(written)
    seen = 0
    with path.open("r+b", buffering=0) as file:
        for at in range(places[-1][1]):
            file.write(written[at : at + 1])
            while (item := reader.next()) is not None:
                assert isinstance(item, Record)
                seen += 1
            # The last byte of padding is zero before and after.
            assert sum(end <= at + 1 for _, end in places) <= seen
            assert seen <= sum(not any(written[at + 1 : end]) for _, end in places)
    assert seen == len(places)
    reader.close()


def test_damage_of_a_live_segment_is_told_when_valid_records_follow_it(
    tmp_path: Path, written: bytes
) -> None:
    path = tmp_path / "live.tape"
    places = spans(written)
    raw = bytearray(written)
    raw[places[2][0] + 12] ^= 1
    path.write_bytes(raw[: places[2][1]] + bytes(4096))
    reader = SegmentReader(path, 1)
    assert payloads(list(reader)) == PAYLOADS[:1]
    assert reader.next() is None
    path.write_bytes(raw)
    damage, *rest = reader
    assert isinstance(damage, Damage)
    assert (damage.records, len(rest)) == (1, len(PAYLOADS) - 2)
    reader.close()


def test_records_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    sizes = [10, 262_144, 1 << 20, 5, 262_104 - 40, 3_000_000]
    long = [bytes([65 + index]) * size for index, size in enumerate(sizes)]
    raw = write_segment(tmp_path, long, 8 << 20)
    path = tmp_path / "00000001.tape"
    assert payloads(read_segment(path)) == long
    places = spans(raw)
    with path.open("r+b") as file:
        file.seek(places[3][0] + 500)
        file.write(b"!")
    items = read_segment(path)
    assert payloads(items) == long[:2] + long[3:]
    assert [(d.start, d.end) for d in damages(items)] == [places[3]]


def test_skip_stops_after_the_record_asked_for(written: bytes) -> None:
    reader = SegmentReader(written, 1)
    assert reader.skip(1 << 32 | 3) == []
    item = reader.next()
    assert isinstance(item, Record)
    assert item.position == 1 << 32 | 4
    start, end = spans(written)[3]
    raw = written[:start] + b"?" * (end - start) + written[end:]
    reader = SegmentReader(raw, 1)
    (damage,) = reader.skip(1 << 32 | 4)
    assert damage.records == 1
    item = reader.next()
    assert isinstance(item, Record)
    assert item.position == 1 << 32 | 5
    assert SegmentReader(written, 1).skip(1 << 32 | 1000) == []


@pytest.mark.parametrize("number", [0, -1, 1 << 32])
def test_segments_are_numbered_from_one(number: int) -> None:
    with pytest.raises(ValueError, match=f"segment was {number}"):
        SegmentReader(b"", number)


def test_a_crc_that_fits_does_not_make_up_for_a_position_that_does_not(written: bytes) -> None:
    start, end = spans(written)[3]
    raw = bytearray(written)
    raw[start + 8 : start + 12] = (2).to_bytes(4, "little")
    body = bytes(raw[start + 8 : end])
    raw[start + 4 : start + 8] = slow_crc32c(int.from_bytes(b"TAP1", "little"), body).to_bytes(4, "little")
    assert [damage.records for damage in damages(read_segment(raw))] == [1]
