"""Reading a spool over its segments: along with the writer, from a position on, and into dispatchers."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ext.book import OrderBook
from ext.dispatch import Dispatcher
from ext.journal import Record, RecordKind
from ext.listener import Listener
from ext.segment import Damage
from recorder.spool.reader import SpoolReader
from recorder.spool.segments import segment_path, segments
from recorder.spool.writer import Spool
from tests.support.spools import START_NS, Ticks, append_frame, read_segment, said, take_pending

SEGMENT_BYTES = 64 << 10


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as opened:
        yield opened


def read_all(reader: SpoolReader) -> list[Record | Damage]:
    items = []
    while (item := reader.poll()) is not None:
        items.append(item)
    return items


def fill(spool: Spool, frames: int, size: int = 1000) -> list[int]:
    return [append_frame(spool.journal, b"x" * size, START_NS + index) for index in range(frames)]


def test_nothing_is_there_before_the_writer_and_everything_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with SpoolReader(folder) as reader:
        assert (reader.poll(), reader.feed({}, 10), reader.position, reader.recv_ns) == (
            None,
            (0, None),
            0,
            0,
        )
        with Spool(folder, "here", now=Ticks()) as spool:
            position = append_frame(spool.journal, b"frame", START_NS + 9)
            assert [item.position for item in read_all(reader)] == [1 << 32 | 1, position]
            assert (reader.position, reader.recv_ns) == (position, START_NS + 9)
        assert [item.kind for item in read_all(reader) if isinstance(item, Record)] == [RecordKind.STOPPED]


def test_a_reader_follows_record_by_record_over_rotations(tmp_path: Path, spool: Spool) -> None:
    reader = SpoolReader(tmp_path)
    positions = []
    for index in range(200):
        written = append_frame(spool.journal, b"x" * 1000, START_NS + index)
        items = read_all(reader)
        assert items[-1].position == written == reader.position
        assert reader.poll() is None
        positions += [item.position for item in items]
    assert positions == [
        item.position for segment in segments(tmp_path) for item in read_segment(segment.path, segment.number)
    ]
    assert positions[-1] >> 32 == 4
    reader.close()


def test_what_is_not_committed_is_not_read(tmp_path: Path, spool: Spool) -> None:
    reader = SpoolReader(tmp_path)
    read_all(reader)
    spool.journal.append_record(RecordKind.FRAME, b"frame")
    assert reader.poll() is None
    spool.journal.commit()
    assert len(read_all(reader)) == 1
    reader.close()


def test_reading_goes_on_after_any_position(tmp_path: Path, spool: Spool) -> None:
    fill(spool, 200)
    every = read_all(SpoolReader(tmp_path))
    for index in range(0, len(every), 7):
        with SpoolReader(tmp_path, every[index].position) as reader:
            assert reader.position == every[index].position
            assert [item.position for item in read_all(reader)] == [
                item.position for item in every[index + 1 :]
            ]
    for number in (1, 2, 4):
        with SpoolReader(tmp_path, number << 32) as reader:
            first = reader.poll()
            assert isinstance(first, Record)
            assert (first.kind, first.position) == (RecordKind.SEGMENT, number << 32 | 1)


def test_a_reader_that_is_far_behind_reads_a_restarted_spool_without_a_seam(tmp_path: Path) -> None:
    reader = SpoolReader(tmp_path)
    for _ in range(3):
        with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
            fill(spool, 70)
    items = read_all(reader)
    assert not [item for item in items if isinstance(item, Damage)]
    reasons = [
        said(item)["reason"] for item in items if isinstance(item, Record) and item.kind == RecordKind.SEGMENT
    ]
    assert reasons == ["start", "rotation"] * 3
    reader.close()


def test_a_tail_that_was_lost_shows_at_the_seam(tmp_path: Path) -> None:
    with Spool(tmp_path, "here", now=Ticks(), segment_bytes=SEGMENT_BYTES) as spool:
        fill(spool, 100)
    path = segment_path(tmp_path, 1)
    items = read_segment(path)
    os.truncate(path, path.stat().st_size - 2 * 1040 - 100)
    damage = [item for item in read_all(SpoolReader(tmp_path)) if isinstance(item, Damage)]
    assert [(item.records, item.position, item.next_position) for item in damage] == [
        (3, items[-4].position, items[-1].position + 1)
    ]


def test_a_segment_that_is_missing_shows_at_the_seam(tmp_path: Path, spool: Spool) -> None:
    fill(spool, 200)
    segment_path(tmp_path, 2).unlink()
    items = read_all(SpoolReader(tmp_path))
    (damage,) = (item for item in items if isinstance(item, Damage))
    after = items[items.index(damage) + 1]
    assert (damage.records, after.position) == (-1, 3 << 32 | 1)
    assert damage.next_position == said(after)["previous"] + 1
    # Also for one who had read up to somewhere in it; not for one who begins later.
    (damage,) = (item for item in read_all(SpoolReader(tmp_path, 2 << 32 | 5)) if isinstance(item, Damage))
    assert damage.position == 2 << 32 | 5
    assert not [item for item in read_all(SpoolReader(tmp_path, 3 << 32)) if isinstance(item, Damage)]


def test_damage_in_the_middle_is_handed_out_once_and_passed(tmp_path: Path, spool: Spool) -> None:
    positions = fill(spool, 5, 100)
    path = segment_path(tmp_path, 1)
    with path.open("r+b") as file:
        raw = file.read()
        file.seek(raw.index(b"x" * 100) + 144 + 50)
        file.write(b"!")
    items = read_all(SpoolReader(tmp_path))
    assert [item.position for item in items if isinstance(item, Record)] == [
        1 << 32 | 1,
        positions[0],
        *positions[2:],
    ]
    assert [item.records for item in items if isinstance(item, Damage)] == [1]


class Books(Listener):
    """Writes down every callback about a book."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def on_book(self, book: OrderBook) -> None:
        levels = (book.bids(5), book.asks(5))
        self.seen.append((book.symbol, book.update_id, book.recv_ns, book.position, book.leg, levels))


def book_frame(symbol: str, update_id: int) -> bytes:
    return json.dumps(
        {
            "topic": f"orderbook.50.{symbol}",
            "type": "snapshot" if update_id == 1 else "delta",
            "ts": 1_790_000_000_000 + update_id,
            "data": {
                "s": symbol,
                "b": [[f"{100 - update_id % 7}.5", str(update_id)]],
                "a": [[f"{110 + update_id % 5}.5", str(update_id)]],
                "u": update_id,
                "seq": 1000 + update_id,
            },
            "cts": 1_790_000_000_000 + update_id - 3,
        },
        separators=(",", ":"),
    ).encode()


def test_frames_are_fed_as_if_they_had_just_been_received(tmp_path: Path, spool: Spool) -> None:
    live, replayed = Books(), Books()
    dispatcher = Dispatcher("linear", live)
    routes = {1: (Dispatcher("linear", replayed), 0), 2: (Dispatcher("linear", replayed), 1)}
    for update_id in range(1, 400):
        for connection, symbol in ((1, "BTCUSDT"), (2, "ETHUSDT")):
            spool.journal.append_record(
                RecordKind.FRAME, book_frame(symbol, update_id), connection, START_NS + update_id
            )
        spool.journal.commit()
        for record in take_pending(spool.journal):
            dispatcher.feed(record.payload, record.recv_ns, record.connection - 1, record.position)
    reader = SpoolReader(tmp_path)
    frames, others = 0, []
    while True:
        fed, item = reader.feed(routes, 50)
        frames += fed
        if item is not None:
            others.append(item)
        elif fed < 50:
            break
    assert frames == len(live.seen) == 2 * 399
    assert replayed.seen == live.seen
    assert [item.kind for item in others if isinstance(item, Record)] == [RecordKind.SEGMENT] * len(others)
    assert len(others) > 1


def test_feeding_stops_at_the_limit_at_decisions_and_at_frames_without_a_route(
    tmp_path: Path, spool: Spool
) -> None:
    books = Books()
    routes = {1: (Dispatcher("linear", books), 0)}
    frames = [book_frame("BTCUSDT", update_id) for update_id in range(1, 8)]
    journal = spool.journal
    for frame in frames[:5]:
        journal.append_record(RecordKind.FRAME, frame, 1, START_NS)
    journal.append_record(RecordKind.CONFIRMED, b"{}", 1)
    journal.append_record(RecordKind.FRAME, frames[5], 9, START_NS)
    journal.append_record(RecordKind.FRAME, frames[6], 1, START_NS)
    journal.commit()
    reader = SpoolReader(tmp_path)

    def step(limit: int) -> tuple[int, int | None]:
        fed, item = reader.feed(routes, limit)
        assert item is None or isinstance(item, Record)
        return fed, item and item.kind

    assert step(3) == (0, RecordKind.SEGMENT)
    assert step(3) == (3, None)
    assert step(0) == (0, None)
    assert step(3) == (2, RecordKind.CONFIRMED)
    assert step(3) == (0, RecordKind.FRAME)
    assert step(3) == (1, None)
    assert step(3) == (0, None)
    assert [entry[1] for entry in books.seen] == [1, 2, 3, 4, 5]
    reader.close()
