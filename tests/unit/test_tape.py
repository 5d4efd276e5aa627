"""Ranges of a spool: their bounds, what is heard, the pace, and that each run is equal."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.clock import NS_PER_S, ManualClock
from engine.errors import UsageError
from ext.book import OrderBook
from ext.journal import RecordKind
from ext.listener import Gap, Ticker, Trade
from recorder.playback import Playback
from recorder.spool.segments import segment_path
from recorder.tape.of_spool import SpoolRange
from recorder.tape.tape import Tape
from tests.support.digests import Digest
from tests.support.market import MS, START_NS, S, SpoolMaker, book_frame, make_market

BOOK = "orderbook.50.AAAUSDT"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of four segments: a market, a hole in a book, a cut, a second run."""
    folder = tmp_path_factory.mktemp("tape")
    maker = SpoolMaker(folder / "spool", segment_bytes=1 << 16)
    make_market(maker, 400)
    maker.frame(book_frame("AAAUSDT", "delta", 900, [("10.1", "3")]))  # a hole
    maker.frame(book_frame("AAAUSDT", "delta", 901, [("10.1", "4")]))
    maker.frame(book_frame("AAAUSDT", "snapshot", 950, [("10.1", "1"), ("10.0", "2")], [("10.3", "1")]))
    maker.disconnect("lost")
    maker.close()
    again = SpoolMaker(folder / "spool", start_ns=maker.now_ns + 60 * S, segment_bytes=1 << 16)
    make_market(again, 300)
    again.close()
    return folder


def whole(data: Path) -> Digest:
    """What a plain playback of the spool tells."""
    heard = Digest()
    playback = Playback(data / "spool", heard)
    while playback.run(1000):
        pass
    playback.close()
    return heard


def played(tape: Tape, speed: float | None = None) -> Digest:
    heard = Digest()
    tape.run(heard, speed)
    return heard


def in_time(clock: ManualClock, data: Path, **options: object) -> Tape:
    return Tape(data, clock=clock, sleep=clock.advance, **options)  # type: ignore[arg-type]  # of a test's options


def test_the_whole_spool_twice_at_any_speed_is_what_a_playback_tells(data: Path) -> None:
    expected = whole(data)
    assert len(expected.lines) > 1500
    tape = Tape(data)
    assert played(tape).lines == expected.lines
    assert played(tape).hexdigest == expected.hexdigest
    for speed in (1.0, 10.0):
        assert played(in_time(ManualClock(), data), speed).hexdigest == expected.hexdigest


def test_a_paced_run_takes_as_long_as_the_recording(data: Path) -> None:
    for speed in (1.0, 10.0):
        clock = ManualClock()
        begun_ns = clock.now().mono_ns
        first, *_, last = SpoolRange(data / "spool", None, None).records()
        played(in_time(clock, data), speed)
        took_s = (clock.now().mono_ns - begun_ns) / NS_PER_S
        assert took_s == pytest.approx((last.recv_ns - first.recv_ns) / NS_PER_S / speed, abs=1e-3)


def test_nothing_is_heard_before_it_is_due(data: Path) -> None:
    clock = ManualClock()
    begun_ns = clock.now().mono_ns
    late_ns: list[int] = []

    class Watch(Digest):
        def on_book(self, book: OrderBook) -> None:
            late_ns.append(clock.now().mono_ns - begun_ns - (book.recv_ns - first_ns) // 2)

    first_ns = next(iter(SpoolRange(data / "spool", None, None).records())).recv_ns
    in_time(clock, data).run(Watch(), 2.0)
    assert len(late_ns) > 500
    assert 0 <= min(late_ns) <= max(late_ns) < MS


def cuts(data: Path) -> Iterator[tuple[int, int]]:
    records = list(SpoolRange(data / "spool", None, None).records())
    for index in (5, 6, 333, 500, len(records) // 2, len(records) - 40):
        yield records[index].recv_ns, records[index].position


def test_a_range_that_begins_in_the_middle_is_that_part_of_the_whole(data: Path) -> None:
    """Any two ranges that meet are, one after the other, the whole; but for the gaps open at the seam."""
    expected = whole(data).lines
    for recv_ns, _ in cuts(data):
        before = played(Tape(data, end=recv_ns)).lines
        after = played(Tape(data, start=recv_ns)).lines
        assert before == expected[: len(before)]
        rest = expected[len(before) :]
        told = len(after) - len(rest)
        assert all(line.startswith("gap ") and line in before for line in after[:told])
        assert after[told:] == rest


def test_gaps_that_are_open_at_the_beginning_are_told_first(data: Path) -> None:
    (hole,) = [line for line in whole(data).of("gap") if " sequence " in line and " 0 " in line]
    recv_ns = next(
        record.recv_ns
        for record in SpoolRange(data / "spool", None, None).records()
        if record.kind == RecordKind.FRAME and b'"u":901' in record.payload
    )
    assert played(Tape(data, start=recv_ns)).lines[0] == hole


def test_damage_is_told_in_its_place_at_any_speed(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "copy")
    for number, where in ((1, 30_000), (2, 20_000)):
        with segment_path(tmp_path / "copy" / "spool", number).open("r+b") as file:
            file.seek(where)
            file.write(b"damage")
    expected = whole(tmp_path / "copy")
    assert len([line for line in expected.of("event") if "spool_damaged" in line]) == 2
    assert played(Tape(tmp_path / "copy")).hexdigest == expected.hexdigest
    assert played(in_time(ManualClock(), tmp_path / "copy"), 50.0).lines == expected.lines


def test_what_was_wanted(data: Path) -> None:
    topics = SpoolRange(data / "spool", None, None).topics()["linear"]
    assert {topic.partition(".")[0] for topic in topics} == {"orderbook", "publicTrade", "tickers", "kline"}
    assert len(topics) == 8


def test_symbols_and_topics_choose_what_is_heard(data: Path) -> None:
    expected = [line for line in whole(data).lines if "AAAUSDT" in line]
    heard = played(Tape(data, symbols=["AAAUSDT"])).lines
    assert [line for line in heard if "AAAUSDT" in line and not line.startswith("event")] == [
        line for line in expected if not line.startswith("event")
    ]
    assert not [line for line in heard if "BBBUSDT" in line]
    books = played(Tape(data, topics=["orderbook.*.BBBUSDT"], category="linear")).of(
        "book", "trade", "ticker"
    )
    assert books == [line for line in whole(data).of("book") if "BBBUSDT" in line]


def test_one_by_one_what_is_heard_is_a_copy(data: Path) -> None:
    tape = Tape(data, topics=["orderbook.50.*", "publicTrade.*", "tickers.*"])
    heard = list(tape)
    expected = whole(data)
    books = [one for one in heard if isinstance(one, OrderBook)]
    assert [(book.topic, book.position, book.update_id) for book in books] == list(expected.checksums)
    assert [book.checksum() for book in books] == list(expected.checksums.values())
    trades = [one for one in heard if isinstance(one, Trade)]
    assert len({trade.trade_id for trade in trades}) > 100
    assert len(trades) == len(expected.of("trade"))
    assert len([one for one in heard if isinstance(one, Ticker)]) == len(expected.of("ticker"))
    chosen = [line for line in expected.of("gap") if "kline" not in line]
    assert len([one for one in heard if isinstance(one, Gap)]) == len(chosen)


def test_what_was_played_is_counted(data: Path) -> None:
    records = list(SpoolRange(data / "spool", None, None).records())
    tape = Tape(data)
    tape.run(Digest())
    frames = sum(record.kind == RecordKind.FRAME for record in records)
    assert tape.counters == {"records": len(records), "frames": frames}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": START_NS, "end": START_NS}, "end was '2026-09-21T14:13:20Z'; it is after the start"),
        ({"start": "2020-01-01T00:00Z", "end": "2020-01-02T00:00Z"}, "give a time within 2026-09-21T"),
        (
            {"start": "2040-01-01T00:00Z"},
            "nothing was recorded in that range: give a time within 2026-09-21T",
        ),
        ({"start": "2026-01-01T00:00"}, "start was '2026-01-01T00:00'; it names no zone"),
        ({"end": "yesterday"}, "end was 'yesterday'; a time is ISO 8601 with its zone"),
        ({"end": -1}, "end was '-1'"),
        ({"end": "1:5"}, "end was '1:5'; a range is between times"),
        (
            {"symbols": ["AAAUSDC"]},
            "symbol was 'AAAUSDC', which is not among the 2 of the range: use AAAUSDT",
        ),
        ({"symbols": "AAAUSDT"}, "symbols was 'AAAUSDT'; it is a list of names"),
        (
            {"topics": ["orderbook.200.AAAUSDT"]},
            "topic was 'orderbook.200.AAAUSDT'.*use orderbook.50.AAAUSDT",
        ),
        ({"category": "liner"}, "category was 'liner', the range has linear: use linear"),
        ({"shard": 3}, "shard was 3; .* has 0: use 0"),
        ({"recorder": "r1"}, "recorder was 'r1'"),
    ],
)
def test_what_cannot_be_played(data: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Tape(data, **options)  # type: ignore[arg-type]  # of a test's options


@pytest.mark.parametrize("speed", [0, -1, 1e9, float("nan")])
def test_a_speed_that_cannot_be(data: Path, speed: float) -> None:
    with pytest.raises(UsageError, match="speed was"):
        Tape(data).run(Digest(), speed)


def test_a_folder_without_a_recording(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no recording"):
        Tape(tmp_path)
    (tmp_path / "spool").mkdir()
    with pytest.raises(UsageError, match="holds nothing yet"):
        Tape(tmp_path)


def test_a_range_in_other_words(data: Path) -> None:
    expected = played(Tape(data, start=START_NS + S, end=START_NS + 2 * S)).lines
    assert expected
    seconds = START_NS // S
    times = [datetime.fromtimestamp(seconds + one, UTC) for one in (1, 2)]
    for start, end in (times, [str(time) for time in times]):
        assert played(Tape(data, start=start, end=end)).lines == expected
