"""The continuity table of docs/design.md, a test per row."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from ext.book import BookState, OrderBook
from ext.dispatch import Dispatcher
from tests.support.frames import TS_MS, book_frame
from tests.support.listeners import ControlNotes, Notes

BASE = [("100", "1"), ("99", "2")], [("101", "3"), ("102", "4")]
TOPIC = "orderbook.50.BTCUSDT"
TOP_TOPIC = "orderbook.1.BTCUSDT"


@dataclass
class Line:
    """A dispatcher whose frames arrive one nanosecond apart, from 1000 on."""

    rules: dict[int, str] | None = None
    category: str = "linear"
    notes: Notes = field(default_factory=Notes)
    control: ControlNotes = field(default_factory=ControlNotes)
    recv_ns: int = 999

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.category, self.notes, control=self.control, rules=self.rules)

    def feed(self, frame: bytes) -> None:
        self.recv_ns += 1
        self.dispatcher.feed(frame, self.recv_ns)

    def book(self, depth: int = 50) -> OrderBook:
        book = self.dispatcher.book("BTCUSDT", depth)
        assert book is not None
        return book

    def counted(self, *names: str) -> list[int]:
        return [self.dispatcher.counters[name] for name in names]

    def gaps(self) -> list[tuple[str, str, int, int]]:
        return [(gap.cause, gap.fault, gap.start_ns, gap.end_ns) for gap in self.notes.gaps]


@pytest.fixture
def live() -> Line:
    """A live book at `u` = 10 and `seq` = 500, received at 1000."""
    line = Line()
    line.feed(book_frame("snapshot", 10, *BASE, seq=500))
    return line


@pytest.fixture
def top() -> Line:
    """A live level-1 book at `u` = 10."""
    line = Line()
    line.feed(book_frame("snapshot", 10, BASE[0][:1], BASE[1][:1], seq=500, depth=1))
    return line


def assert_stale(line: Line, cause: str, topic: str = TOPIC, start_ns: int = 1000) -> None:
    assert line.book().state == BookState.STALE
    assert line.gaps() == [(cause, "venue", start_ns, 0)]
    assert [(gap.topic, gap.cause) for gap in line.dispatcher.open_gaps()] == [(topic, cause)]
    assert line.control.desyncs == [topic]
    assert line.notes.calls.count("on_book") == 1


def test_first_snapshot_is_live_without_a_gap(live: Line) -> None:
    assert live.book().state == BookState.LIVE
    assert live.gaps() == []
    assert live.control.syncs == [TOPIC]
    assert live.control.desyncs == []
    assert live.dispatcher.books() == [live.book()]


def test_delta_before_any_snapshot_is_dropped_and_counted() -> None:
    line = Line()
    line.feed(book_frame("delta", 10, *BASE))
    assert line.counted("dropped_unsynced", "book_messages", "gaps") == [1, 1, 0]
    assert line.notes.books == []
    book = line.dispatcher.book("BTCUSDT", 50)
    assert book is None or book.state == BookState.EMPTY


def test_next_delta_is_applied(live: Line) -> None:
    live.feed(book_frame("delta", 11, [("100", "0")], [("101", "9")], seq=501))
    assert live.book().update_id == 11
    assert live.book().best_bid == (99, 2)
    assert live.book().best_ask == (101, 9)
    assert [call.update_id for call in live.notes.books] == [10, 11]


def test_equal_seq_is_no_fault(live: Line) -> None:
    live.feed(book_frame("delta", 11, [("100", "7")], [], seq=500))
    assert live.gaps() == []
    assert live.book().update_id == 11


def test_snapshot_in_sequence_leaves_no_gap(live: Line) -> None:
    live.feed(book_frame("snapshot", 11, [("5", "1")], [], seq=501))
    assert live.gaps() == []
    assert live.book().level_counts() == (1, 0)


@pytest.mark.parametrize("update_id", [12, 1000, 10, 9, 2])
def test_snapshot_out_of_sequence_is_taken_with_a_gap_row(live: Line, update_id: int) -> None:
    live.feed(book_frame("snapshot", update_id, [("5", "1")], [], seq=501))
    assert live.book().state == BookState.LIVE
    assert live.book().update_id == update_id
    assert live.gaps() == [("snapshot", "venue", 1000, 0), ("snapshot", "venue", 1000, 1001)]
    assert live.dispatcher.open_gaps() == []
    assert live.counted("gaps") == [1]
    assert live.control.desyncs == []
    assert len(live.notes.books) == 2


def test_snapshot_with_update_id_one_is_a_restart(live: Line) -> None:
    live.feed(book_frame("snapshot", 1, [("5", "1")], [], seq=501))
    assert live.book().state == BookState.LIVE
    assert live.gaps() == [("restart", "venue", 1000, 0), ("restart", "venue", 1000, 1001)]
    live.feed(book_frame("delta", 2, [("4", "1")], [], seq=502))
    assert live.book().update_id == 2
    assert live.counted("gaps") == [1]


def test_snapshot_closes_the_open_gap(live: Line) -> None:
    live.feed(book_frame("delta", 13, [("5", "1")], []))
    live.feed(book_frame("snapshot", 20, *BASE))
    assert live.gaps() == [("sequence", "venue", 1000, 0), ("sequence", "venue", 1000, 1002)]
    assert [gap.is_closed for gap in live.notes.gaps] == [False, True]
    assert live.dispatcher.open_gaps() == []
    assert live.book().state == BookState.LIVE
    assert live.control.syncs == [TOPIC, TOPIC]


def test_duplicate_delta_is_counted(live: Line) -> None:
    delta = book_frame("delta", 11, [("100", "0"), ("98", "1")], [("101.0", "3.00")], seq=501)
    live.feed(delta)
    live.feed(delta)
    assert live.counted("duplicates", "gaps", "absent_deletes") == [1, 0, 0]
    assert live.book().state == BookState.LIVE
    assert len(live.notes.books) == 2


@pytest.mark.parametrize(
    "frame",
    [
        book_frame("delta", 10, [("100", "1.5")], [], seq=500),
        book_frame("delta", 10, [("99.5", "1")], [], seq=500),
        book_frame("delta", 10, [("100", "0")], [], seq=500),
        book_frame("delta", 9, [("100", "1")], [], seq=501),
        book_frame("delta", 2, [], [], seq=501),
        book_frame("delta", 12, [], [], seq=501),
        book_frame("delta", 2**63 - 1, [], [], seq=501),
        book_frame("delta", 11, [("100", "5")], [], seq=499),
    ],
    ids=[
        "other size",
        "inserts",
        "deletes",
        "older",
        "after a lost restart",
        "jump",
        "huge jump",
        "seq falls",
    ],
)
def test_delta_out_of_sequence_makes_the_book_stale(live: Line, frame: bytes) -> None:
    live.feed(frame)
    assert_stale(live, "sequence")
    assert live.counted("gaps") == [1]


def test_the_size_of_a_forward_jump_is_known(live: Line) -> None:
    live.feed(book_frame("delta", 15, [], []))
    assert live.notes.gaps[0].missing == 4


def test_delta_with_update_id_one_is_not_trusted(live: Line) -> None:
    live.feed(book_frame("delta", 1, [("98", "1")], []))
    assert_stale(live, "restart")


def test_deltas_after_a_gap_are_dropped_until_a_snapshot(live: Line) -> None:
    for update_id in (13, 11, 14, 15):
        live.feed(book_frame("delta", update_id, [("98", "1")], []))
    assert_stale(live, "sequence")
    assert live.counted("dropped_unsynced", "gaps") == [3, 1]


def test_seq_fall_of_a_snapshot_is_taken_with_a_gap_row(live: Line) -> None:
    live.feed(book_frame("snapshot", 11, [("5", "1")], [], seq=499))
    assert live.book().state == BookState.LIVE
    assert live.gaps() == [("sequence", "venue", 1000, 0), ("sequence", "venue", 1000, 1001)]


def test_under_warn_a_forward_jump_is_applied() -> None:
    line = Line(rules={50: "warn"})
    line.feed(book_frame("snapshot", 10, *BASE))
    line.feed(book_frame("delta", 13, [("98", "1")], []))
    assert line.book().state == BookState.LIVE
    assert line.book().update_id == 13
    assert line.gaps() == [("sequence", "venue", 1000, 0), ("sequence", "venue", 1000, 1001)]
    assert line.notes.gaps[1].missing == 2
    assert line.control.desyncs == []
    line.feed(book_frame("delta", 12, [("98", "2")], []))
    assert line.book().state == BookState.STALE


def test_rules_belong_to_their_depth() -> None:
    line = Line(rules={50: "warn"})
    for depth in (50, 200):
        line.feed(book_frame("snapshot", 10, *BASE, depth=depth))
        line.feed(book_frame("delta", 13, [("98", "1")], [], depth=depth))
    assert line.book(50).state == BookState.LIVE
    assert line.book(200).state == BookState.STALE


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="lenient"):
        Line(rules={50: "lenient"})


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ([("101.5", "1")], []),
        ([("101", "1")], []),
        ([], [("100", "1")]),
        ([], [("50", "1")]),
        ([(str(price), "1") for price in range(1, 50)], []),
        ([], [(str(price), "1") for price in range(200, 249)]),
        ([("0.00000000000000001", "1")], []),
        ([("98", "1e17")], [("102", "4.05")]),
    ],
    ids=["crossed", "locked", "locked by ask", "crossed by ask", "deep bids", "deep asks", "price", "size"],
)
def test_broken_invariant_makes_the_book_stale(
    live: Line, bids: list[tuple[str, str]], asks: list[tuple[str, str]]
) -> None:
    live.feed(book_frame("delta", 11, bids, asks))
    assert_stale(live, "integrity")
    live.feed(book_frame("snapshot", 12, *BASE))
    assert live.book().state == BookState.LIVE
    assert live.book().bids() == [(Decimal(100), Decimal(1)), (Decimal(99), Decimal(2))]
    assert [cause for cause, *_ in live.gaps()] == ["integrity", "integrity"]
    assert live.dispatcher.open_gaps() == []


def test_exactly_as_many_levels_as_the_depth_are_legal(live: Line) -> None:
    live.feed(book_frame("delta", 11, [(str(price), "1") for price in range(1, 49)], []))
    assert live.book().state == BookState.LIVE
    assert live.book().level_counts() == (50, 2)
    live.feed(book_frame("delta", 12, [("1", "0"), ("100.5", "1")], []))
    assert live.book().state == BookState.LIVE


def test_a_crossed_snapshot_is_not_handed_out() -> None:
    line = Line()
    line.feed(book_frame("snapshot", 10, [("101", "1")], [("100", "1")]))
    assert line.book().state == BookState.STALE
    assert line.notes.books == []
    assert [gap.cause for gap in line.dispatcher.open_gaps()] == ["integrity"]
    assert line.control.desyncs == [TOPIC]
    assert line.control.syncs == []


def test_empty_and_one_sided_books_are_legal(live: Line) -> None:
    live.feed(book_frame("delta", 11, [("100", "0"), ("99", "0")], []))
    live.feed(book_frame("delta", 12, [], [("101", "0"), ("102", "0")]))
    assert live.book().state == BookState.LIVE
    assert live.book().level_counts() == (0, 0)
    assert live.book().best_bid is None


CROSSED = book_frame("snapshot", 10, [("101", "1")], [("100", "1")])
LOCKED = book_frame("snapshot", 10, [("100", "1")], [("100", "1")])
NEGATIVE = book_frame("snapshot", 10, [("-2", "1")], [("-1", "1")])
TOO_DEEP = book_frame("snapshot", 10, [(str(price), "1") for price in range(1, 52)], [])


@pytest.mark.parametrize(
    ("category", "impossible"),
    [
        ("spot", [CROSSED, LOCKED, NEGATIVE, TOO_DEEP]),
        ("linear", [CROSSED, LOCKED, NEGATIVE, TOO_DEEP]),
        ("inverse", [CROSSED, LOCKED, NEGATIVE, TOO_DEEP]),
        ("option", [NEGATIVE, TOO_DEEP]),
        ("spread", [TOO_DEEP]),
    ],
)
def test_what_is_impossible_depends_on_the_category(category: str, impossible: list[bytes]) -> None:
    for frame in (CROSSED, LOCKED, NEGATIVE, TOO_DEEP):
        line = Line(category=category)
        line.feed(frame)
        expected = BookState.STALE if frame in impossible else BookState.LIVE
        assert line.book().state == expected, frame


def test_level_one_repeat_is_counted_and_not_called(top: Line) -> None:
    bids, asks = BASE[0][:1], BASE[1][:1]
    top.feed(book_frame("snapshot", 10, bids, asks, seq=500, depth=1, ts_ms=TS_MS + 3000))
    assert top.counted("repeats", "gaps") == [1, 0]
    assert len(top.notes.books) == 1
    assert top.book(1).state == BookState.LIVE


def test_level_one_repeat_is_known_by_its_values(top: Line) -> None:
    top.feed(book_frame("snapshot", 10, [("100.0", "1.00")], [("101", "3")], seq=500, depth=1))
    assert top.counted("repeats", "gaps") == [1, 0]


@pytest.mark.parametrize("bids", [[], [("99", "0")], [("100", "0")]])
def test_level_one_that_lost_a_side_is_no_repeat(top: Line, bids: list[tuple[str, str]]) -> None:
    top.feed(book_frame("snapshot", 10, bids, [("101", "3")], seq=500, depth=1))
    assert top.counted("repeats") == [0]
    assert top.book(1).bids() == []


def test_a_repeat_or_duplicate_in_finer_numbers_widens_with_an_event(top: Line, live: Line) -> None:
    top.feed(book_frame("snapshot", 10, [("100.0", "1")], [("101", "3")], seq=500, depth=1))
    live.feed(book_frame("delta", 10, [("100.0", "1")], [], seq=500))
    for line, book in ((top, top.book(1)), (live, live.book())):
        assert book.price_scale == 1
        assert line.notes.event_kinds() == ["scale_widened"]


def test_duplicate_is_known_by_its_values(live: Line) -> None:
    live.feed(book_frame("delta", 10, [("100.0", "1.00"), ("55.55", "0")], [("101", "3")], seq=500))
    assert live.counted("duplicates", "gaps") == [1, 0]


def test_level_one_may_jump_forward(top: Line) -> None:
    top.feed(book_frame("snapshot", 17, [("100", "2")], [("101", "3")], depth=1))
    assert top.gaps() == []
    assert top.book(1).update_id == 17
    assert len(top.notes.books) == 2


def test_level_one_with_the_same_id_and_other_content_is_taken(top: Line) -> None:
    top.feed(book_frame("snapshot", 10, [("100", "2")], [("101", "3")], seq=500, depth=1))
    assert top.counted("repeats") == [0]
    assert top.gaps() == [("sequence", "venue", 1000, 0), ("sequence", "venue", 1000, 1001)]
    assert top.book(1).best_bid == (100, 2)
    assert len(top.notes.books) == 2


def test_level_one_going_back_is_taken_with_a_gap_row(top: Line) -> None:
    top.feed(book_frame("snapshot", 9, [("100", "2")], [("101", "3")], seq=501, depth=1))
    assert top.gaps() == [("sequence", "venue", 1000, 0), ("sequence", "venue", 1000, 1001)]
    assert top.book(1).state == BookState.LIVE
    assert top.book(1).update_id == 9
    assert top.notes.gaps[0].topic == TOP_TOPIC


def test_level_one_restart(top: Line) -> None:
    top.feed(book_frame("snapshot", 1, [("100", "2")], [("101", "3")], seq=501, depth=1))
    assert [cause for cause, *_ in top.gaps()] == ["restart", "restart"]
    assert top.book(1).state == BookState.LIVE


def test_two_depths_of_a_symbol_are_two_books(live: Line) -> None:
    live.feed(book_frame("snapshot", 77, [("100", "5")], [], depth=1))
    live.feed(book_frame("delta", 11, [("98", "1")], []))
    assert live.gaps() == []
    assert sorted(book.depth for book in live.dispatcher.books()) == [1, 50]
    assert live.book(50).update_id == 11
    assert live.book(1).update_id == 77
    assert live.dispatcher.book("BTCUSDT", 200) is None
    assert live.dispatcher.book("ETHUSDT", 50) is None


MALFORMED = (
    book_frame("delta", 11, [("1", "-1")], []),
    book_frame("delta", 11, [("x", "1")], []),
    book_frame("delta", 0, [], []),
    book_frame("delta", 11, [("1",)], []),
    book_frame("delta", 11, [("1", "1", "1")], []),
    book_frame("update", 11, [], []),
    book_frame("delta", 11, [], []).replace(b'"s":"BTCUSDT"', b'"s":"ETHUSDT"'),
    book_frame("delta", 11, [], []).replace(b'"u":11', b'"u":11.0'),
    book_frame("delta", 11, [], []).replace(b'"u":11', b'"u":true'),
    book_frame("delta", 11, [], []).replace(b'"a":[]', b'"a":null'),
    book_frame("delta", 11, [], [])[:-1],
    book_frame("delta", 11, [], []) + b"}",
)


@pytest.mark.parametrize("frame", MALFORMED)
def test_malformed_frame_of_a_known_book_makes_it_stale(live: Line, frame: bytes) -> None:
    live.feed(frame)
    assert_stale(live, "malformed")
    assert live.counted("malformed", "book_messages") == [1, 1]
    events = [(event.kind, event.topic) for event in live.notes.events]
    assert events == [("malformed", TOPIC)]
    live.feed(book_frame("snapshot", 20, *BASE))
    assert live.book().state == BookState.LIVE
    assert live.dispatcher.open_gaps() == []
