"""The appender: layout, batches, what is handed out for dispatch, rotation, and what happens without room."""

import errno
import os
import resource
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from ext.journal import Journal, JournalError, JournalLimit, Record, RecordKind, crc32c_bytes
from tests.support.spools import (
    START_NS,
    Segments,
    read_segment,
    record_bytes,
    said,
    slow_crc32c,
    take_pending,
)

PAYLOAD_BYTES_MAX = JournalLimit.PAYLOAD_BYTES_MAX


@pytest.fixture
def segments(tmp_path: Path) -> Iterator[Segments]:
    made = Segments(tmp_path)
    yield made
    made.close()


@pytest.fixture
def journal(segments: Segments) -> Journal:
    return Journal(segments, START_NS, 1)


VECTORS = [
    (b"", 0),
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
]


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize(("data", "crc"), VECTORS)
def test_crc32c_of_published_vectors(data: bytes, crc: int, portable: bool) -> None:
    assert crc32c_bytes(data, portable) == crc


def test_crc32c_is_the_same_with_and_without_the_instruction_at_every_length_and_alignment() -> None:
    data = bytes(index * 167 % 251 for index in range(600))
    for start in range(9):
        for end in (*range(start, start + 40), 599, 600):
            view = memoryview(data)[start:end]
            assert crc32c_bytes(view) == crc32c_bytes(view, portable=True)


def test_a_record_has_the_documented_layout(journal: Journal, segments: Segments) -> None:
    position = journal.append_record(RecordKind.FRAME, b"hello", 513, 123456789, -7)
    journal.commit()
    start = record_bytes(len(read_segment(segments.path(1))[0].payload))
    raw = segments.path(1).read_bytes()[start : start + 48]
    magic, crc, *fields = struct.unpack("<IIQqqIBBH", raw[:40])
    assert raw[:4] == b"TAP1"
    assert raw[40:] == b"hello\0\0\0"
    assert fields == [1 << 32 | 2, 123456789, -7, 5, RecordKind.FRAME, 0, 513]
    assert position == 1 << 32 | 2
    # The CRC is seeded with the magic: as if it continued from a text whose CRC the magic is.
    assert crc == slow_crc32c(magic, raw[8:])


def test_kinds_keep_the_numbers_that_are_on_disk() -> None:
    names = "SEGMENT FRAME CONNECTED DISCONNECTED REQUESTED CONFIRMED REJECTED STALLED CLOCK REST HEARTBEAT"
    names += " LOST STOPPED NOTED"
    assert {kind.name: kind.value for kind in RecordKind} == {
        name: number for number, name in enumerate(names.split(), start=1)
    }


def test_nothing_is_on_file_before_commit_and_all_of_a_batch_after_one(
    journal: Journal, segments: Segments
) -> None:
    commits = journal.commits
    for index in range(5):
        journal.append_record(RecordKind.FRAME, b"frame %d" % index)
    assert len(read_segment(segments.path(1))) == 1
    journal.commit()
    assert len(read_segment(segments.path(1))) == 6
    assert journal.commits == commits + 1


def test_pending_hands_out_committed_frames_only_once_and_in_order(journal: Journal) -> None:
    journal.append_record(RecordKind.FRAME, b"a", 1, 10, 20)
    journal.append_record(RecordKind.CONNECTED, b"{}", 1)
    journal.append_record(RecordKind.FRAME, b"b", 2, 30, 40)
    assert take_pending(journal) == []
    journal.commit()
    journal.append_record(RecordKind.FRAME, b"c")
    taken = take_pending(journal)
    assert [(r.position & 0xFFFFFFFF, r.connection, r.recv_ns, r.mono_ns, r.payload) for r in taken] == [
        (2, 1, 10, 20, b"a"),
        (4, 2, 30, 40, b"b"),
    ]
    assert take_pending(journal) == []
    journal.commit()
    assert [record.payload for record in take_pending(journal)] == [b"c"]


def test_decisions_made_in_a_callback_neither_disturb_the_walk_nor_are_handed_out(journal: Journal) -> None:
    for index in range(3):
        journal.append_record(RecordKind.FRAME, b"%d" % index)
    journal.commit()
    payloads = []
    while (record := journal.next_pending()) is not None:
        payloads.append(record.payload)
        journal.append_record(RecordKind.REQUESTED, b"x" * 5000)
        journal.commit()
    assert payloads == [b"0", b"1", b"2"]


def test_frames_that_nobody_takes_are_an_error_and_taking_them_makes_room(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=64 << 20)
    journal = Journal(segments, START_NS, 1)
    big = b"x" * (PAYLOAD_BYTES_MAX - 1024)
    for _ in range(4):
        journal.append_record(RecordKind.FRAME, big)
    with pytest.raises(JournalError, match="wait for dispatch, the limit is 16777216"):
        journal.append_record(RecordKind.FRAME, big)
    assert len(take_pending(journal)) == 4
    assert journal.append_record(RecordKind.FRAME, big) == 1 << 32 | 6
    segments.close()


def test_rotation_commits_the_batch_first_and_numbers_records_from_one(
    journal: Journal, segments: Segments
) -> None:
    positions = [journal.append_record(RecordKind.FRAME, b"x" * 1000, 1, START_NS + n) for n in range(200)]
    journal.commit()
    assert [record.position for record in take_pending(journal)] == positions
    items = segments.records()
    assert segments.number == 4
    for number in range(1, 5):
        mine = [item for item in items if item.position >> 32 == number]
        assert [item.position & 0xFFFFFFFF for item in mine] == list(range(1, len(mine) + 1))
        assert mine[0].kind == RecordKind.SEGMENT
    assert [item.position for item in items if item.kind == RecordKind.FRAME] == positions
    first_of_second = next(item for item in items if item.position == 2 << 32 | 1)
    before = items[items.index(first_of_second) - 1]
    assert said(first_of_second)["previous"] == before.position
    assert said(first_of_second)["previous_recv_ns"] == before.recv_ns
    assert segments.used[1] == sum(record_bytes(len(i.payload)) for i in items if i.position >> 32 == 1)


def test_a_frame_larger_than_the_limit_is_refused_and_its_loss_is_a_row(
    journal: Journal, segments: Segments
) -> None:
    assert journal.append_record(RecordKind.FRAME, b"x" * (64 << 10), 1, START_NS + 5) == 0
    assert journal.append_record(RecordKind.FRAME, b"next", 1, START_NS + 6) == 1 << 32 | 3
    journal.commit()
    assert (journal.refused, journal.oversize) == (1, 1)
    assert [(record.position, len(record.payload)) for record in take_pending(journal)] == [
        (0, 64 << 10),
        (1 << 32 | 3, 4),
    ]
    _, lost, frame = segments.records()
    assert (lost.kind, said(lost)) == (
        RecordKind.LOST,
        {"start_ns": START_NS + 5, "recv_ns": START_NS + 5, "records": 1},
    )
    assert frame.payload == b"next"
    with pytest.raises(ValueError, match=r"the payload was 4194305 bytes; a record takes 4194304: split it"):
        journal.append_record(RecordKind.FRAME, b"x" * (PAYLOAD_BYTES_MAX + 1))


def test_without_room_frames_are_dispatched_unrecorded_and_the_ledger_has_the_interval(
    journal: Journal, segments: Segments
) -> None:
    segments.room = 0
    recorded = []
    while position := journal.append_record(RecordKind.FRAME, b"x" * 999, 1, START_NS + len(recorded)):
        recorded.append(position)
    refused_at = START_NS + len(recorded)
    assert journal.append_record(RecordKind.FRAME, b"small", 1, refused_at + 1) == 0
    assert journal.append_record(RecordKind.HEARTBEAT, b"", 0, refused_at + 2) == 0
    journal.commit()
    assert [record.position for record in take_pending(journal)] == [*recorded, 0, 0]
    # Known from now on, even if the process ends here.
    onset = segments.records()[-1]
    assert (onset.kind, onset.position) == (RecordKind.LOST, recorded[-1] + 1)
    assert said(onset) == {"start_ns": refused_at, "recv_ns": refused_at, "records": 0}

    segments.room = 5
    assert journal.append_record(RecordKind.FRAME, b"again", 1, refused_at + 3) == 2 << 32 | 3
    journal.commit()
    restated, lost, frame = (item for item in segments.records() if item.position >> 32 == 2)
    assert restated.kind == RecordKind.SEGMENT
    assert said(restated)["previous"] == onset.position
    assert (lost.kind, said(lost)) == (
        RecordKind.LOST,
        {"start_ns": refused_at, "recv_ns": refused_at + 3, "records": 3},
    )
    assert frame.payload == b"again"
    assert [record.payload for record in take_pending(journal)] == [b"again"]
    assert (journal.refused, journal.oversize, journal.write_errors) == (3, 0, 0)


def test_a_write_that_stops_half_way_keeps_whole_records_and_ends_the_segment(
    journal: Journal, segments: Segments
) -> None:
    for index in range(4):
        journal.append_record(RecordKind.FRAME, b"%d" % index * 1000, 1, START_NS + index)
    first = record_bytes(len(read_segment(segments.path(1))[0].payload))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (first + 2 * record_bytes(1000) + 100, hard))
    try:
        journal.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    used = first + 2 * record_bytes(1000)
    assert segments.failed == [(errno.EFBIG, used)]
    assert [record.position for record in take_pending(journal)] == [1 << 32 | 2, 1 << 32 | 3, 0, 0]
    assert [item.payload[:1] for item in segments.records()[1:]] == [b"0", b"1"]
    assert journal.append_record(RecordKind.FRAME, b"after", 1, START_NS + 9) == 2 << 32 | 3
    journal.commit()
    _, lost, frame = (item for item in segments.records() if item.position >> 32 == 2)
    assert said(lost) == {"start_ns": START_NS + 2, "recv_ns": START_NS + 9, "records": 2}
    assert frame.payload == b"after"
    assert (journal.refused, journal.write_errors) == (2, 1)


def test_segments_that_cannot_be_written_lose_no_count_until_one_can(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    journal = Journal(segments, START_NS, 1)
    segments.open_flags = os.O_RDONLY
    segments.room = 2
    for index in range(200):
        journal.append_record(RecordKind.FRAME, b"x" * 999, 1, START_NS + index)
    journal.commit()
    assert [error for error, _ in segments.failed] == [errno.EBADF, errno.EBADF]
    segments.open_flags = os.O_RDWR
    segments.room = 1
    journal.append_record(RecordKind.HEARTBEAT, b"", 0, START_NS + 500)
    journal.commit()
    frames = [item for item in segments.records() if item.kind == RecordKind.FRAME]
    lost = [item for item in segments.records() if item.kind == RecordKind.LOST]
    assert said(lost[-1])["records"] == 200 - len(frames) == journal.refused
    assert said(lost[-1])["start_ns"] == START_NS + len(frames)
    segments.close()


@pytest.mark.parametrize(
    ("kind", "connection", "message"),
    [
        (0, 0, "kind was 0"),
        (RecordKind.SEGMENT, 0, "use a RecordKind other than SEGMENT"),
        (256, 0, "kind was 256"),
        (RecordKind.FRAME, -1, "connection was -1"),
        (RecordKind.FRAME, 65536, "connections are numbered 0 to 65535"),
    ],
)
def test_what_is_no_record_is_refused(journal: Journal, kind: int, connection: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        journal.append_record(kind, b"", connection)


def test_a_closed_journal_takes_nothing(journal: Journal, segments: Segments) -> None:
    journal.append_record(RecordKind.HEARTBEAT)
    used = journal.close()
    assert used == journal.close()
    assert isinstance(segments.records()[-1], Record)
    with pytest.raises(JournalError, match="closed"):
        journal.append_record(RecordKind.HEARTBEAT)


def test_a_spool_without_a_first_segment_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no segment to start with"):
        Journal(Segments(tmp_path, room=0), START_NS, 1)


def test_a_first_record_that_a_segment_cannot_take_is_an_error(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=4096 + 64)
    with pytest.raises(JournalError, match="choose larger segments"):
        Journal(segments, START_NS, 1)
    segments.close()
