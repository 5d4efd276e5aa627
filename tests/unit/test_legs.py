"""Topics that several legs carry, through `Dispatcher.feed`, `desired`, `removed` and `disconnected`."""

import pytest

from ext.book import BookState
from tests.support.frames import book_frame, trade_frame
from tests.support.two_legs import (
    BASE,
    BOOK,
    LIQUIDATIONS,
    TICKER,
    TRADES,
    Pair,
    delta,
    liquidation,
    snapshot,
    ticker,
    trade,
)


@pytest.fixture
def pair() -> Pair:
    """A book of two legs in step at `u` = 10."""
    pair = Pair(BOOK)
    pair.both(snapshot(10))
    return pair


def test_the_first_arrival_is_told_and_the_second_counted(pair: Pair) -> None:
    pair.both(delta(11), delta(12))
    pair.feed(1, delta(13))
    pair.feed(0, delta(13))
    assert pair.update_ids() == [10, 11, 12, 13]
    assert pair.counted("late", "duplicates", "gaps") == [3, 0, 0]
    assert [pair.leg(leg)["wins"] for leg in (0, 1)] == [3, 1]
    late = pair.leg(1)
    assert (late["late"], late["late_ns_sum"], late["late_ns_max"]) == (2, 2000, 1000)
    assert late["late_histogram"] == {1024: 2}
    assert [(leg["topics"], leg["in_step"]) for leg in pair.dispatcher.legs()] == [(1, 1), (1, 1)]


def test_the_same_numbers_in_another_spelling_are_the_same(pair: Pair) -> None:
    pair.feed(0, book_frame("delta", 11, [("100", "7.0"), ("99", "0")], []))
    pair.feed(1, book_frame("delta", 11, [("99.00", "0.000"), ("100.0", "7")], []))
    assert pair.counted("late", "arbitrations_ended") == [1, 0]


def test_one_of_two_legs_cut_a_hundred_times_is_no_gap(pair: Pair) -> None:
    update_id = 10
    for number in range(100):
        cut, kept = number % 2, 1 - number % 2
        pair.cut(cut)
        for _ in range(3):
            update_id += 1
            pair.feed(kept, delta(update_id))
        pair.feed(cut, snapshot(update_id, str(update_id)))
    assert pair.update_ids() == list(range(10, update_id + 1))
    assert pair.counted("gaps") == [0]
    assert pair.book.state == BookState.LIVE
    assert [leg["in_step"] for leg in pair.dispatcher.legs()] == [1, 1]


def test_both_legs_cut_is_one_gap(pair: Pair) -> None:
    last_ns = pair.now_ns
    pair.cut(0)
    pair.feed(1, delta(11))
    pair.cut(1)
    assert pair.book.state == BookState.STALE
    pair.feed(0, snapshot(20))
    pair.feed(1, snapshot(19))
    assert [(gap.cause, gap.leg, gap.is_closed) for gap in pair.notes.gaps] == [
        ("disconnect", 1, False),
        ("disconnect", 1, True),
    ]
    assert pair.notes.gaps[0].start_ns > last_ns
    assert pair.book.update_id == 20
    assert [leg["in_step"] for leg in pair.dispatcher.legs()] == [1, 1]


def test_a_leg_that_lags_when_the_other_is_lost_goes_on_without_a_gap(pair: Pair) -> None:
    pair.feed(0, delta(11), delta(12), delta(13))
    pair.cut(0)
    pair.feed(1, delta(11), delta(12), delta(13), delta(14))
    assert pair.update_ids() == [10, 11, 12, 13, 14]
    assert pair.counted("gaps") == [0]


def test_a_gap_of_a_leg_that_lagged_begins_after_what_the_other_brought(pair: Pair) -> None:
    pair.feed(0, delta(11), delta(12))
    last_ns = pair.now_ns
    pair.cut(0)
    pair.feed(1, delta(11))
    pair.cut(1)
    assert [gap.start_ns for gap in pair.notes.gaps] == [last_ns]


def test_make_before_break_loses_nothing_and_tells_nothing_twice() -> None:
    pair = Pair(BOOK, TRADES)
    pair.dispatcher.removed(pair.topics, pair.tick(), 1)
    pair.feed(0, snapshot(10), trade_frame(trade("a")))
    pair.desire(1)
    pair.feed(1, snapshot(10), trade_frame(trade("a"), trade("b")))
    pair.feed(0, delta(11), trade_frame(trade("b")))
    pair.feed(0, delta(12))
    pair.feed(1, delta(11))
    pair.dispatcher.removed(pair.topics, pair.tick(), 0)
    pair.feed(0, delta(13))
    pair.feed(1, delta(12), delta(13), delta(14), trade_frame(trade("c")))
    assert pair.update_ids() == [10, 11, 12, 13, 14]
    # The leg that joins may repeat what the other told before it came.
    assert [item.trade_id for item in pair.notes.trades] == ["a", "a", "b", "c"]
    assert pair.notes.gaps == []
    assert pair.counted("undesired") == [1]
    assert pair.dispatcher.legs_of(BOOK) == [1]


def test_a_leg_whose_content_differs_ends_arbitration(pair: Pair) -> None:
    pair.feed(0, delta(11, "5"))
    pair.feed(1, delta(11, "6"))
    assert pair.counted("arbitrations_ended", "gaps") == [1, 0]
    assert [(event.kind, event.topic) for event in pair.notes.events] == [("arbitration_ended", BOOK)]
    assert "leg 0 is followed" in pair.notes.events[0].detail
    pair.both(delta(12), delta(13))
    assert pair.update_ids() == [10, 11, 12, 13]
    assert (pair.leg(1)["mismatches"], pair.leg(1)["unfollowed"]) == (1, 2)
    pair.cut(0)
    assert [gap.cause for gap in pair.notes.gaps] == ["disconnect"]
    assert pair.control.asked == [(BOOK, 1)]
    pair.feed(1, snapshot(14), delta(15))
    assert pair.book.update_id == 15
    assert pair.book.leg == 1


def test_a_leg_that_breaks_asks_for_itself_alone(pair: Pair) -> None:
    pair.feed(0, delta(12))
    assert pair.control.asked == [(BOOK, 0)]
    pair.feed(1, delta(11), delta(12))
    pair.feed(0, delta(13))
    assert pair.counted("gaps", "dropped_unsynced") == [0, 1]
    pair.feed(0, snapshot(12, "12"))
    pair.feed(0, delta(13))
    assert pair.update_ids() == [10, 11, 12, 13]
    assert pair.control.came[-1] == (BOOK, 0)


def test_a_snapshot_ahead_of_the_book_waits_for_it(pair: Pair) -> None:
    pair.cut(1)
    pair.feed(1, snapshot(13, "13"), delta(14))
    assert pair.book.update_id == 10
    assert pair.leg(1)["held"] == 2
    pair.feed(0, delta(11), delta(12), delta(13))
    assert pair.update_ids() == [10, 11, 12, 13, 14]
    assert pair.book.recv_ns == pair.now_ns
    assert pair.counted("gaps") == [0]


def test_a_snapshot_that_waits_carries_the_book_on_when_the_other_leg_is_lost(pair: Pair) -> None:
    pair.cut(1)
    last_ns = pair.now_ns - 1000
    pair.feed(1, snapshot(13), delta(14))
    pair.cut(0)
    assert pair.update_ids() == [10, 13, 14]
    gap = pair.notes.gaps[0]
    assert (gap.cause, gap.leg, gap.missing) == ("disconnect", 0, 2)
    assert gap.start_ns <= last_ns
    assert [gap.is_closed for gap in pair.notes.gaps] == [False, True]


def test_a_leg_that_waits_too_long_is_asked_for_anew(pair: Pair) -> None:
    pair.cut(1)
    pair.feed(1, snapshot(100), *(delta(100 + number) for number in range(1, 65)))
    assert pair.control.asked == []
    pair.feed(1, delta(165))
    assert pair.control.asked == [(BOOK, 1)]
    assert pair.counted("gaps") == [0]
    assert pair.book.update_id == 10


def test_a_restart_is_one_gap_row_however_many_legs_bring_it(pair: Pair) -> None:
    pair.feed(0, delta(11), book_frame("snapshot", 1, *BASE, seq=60_000))
    pair.feed(1, delta(11))
    pair.feed(0, delta(2, seq=60_001))
    pair.feed(1, book_frame("snapshot", 1, *BASE, seq=60_000), delta(2, seq=60_001), delta(3, seq=60_002))
    assert pair.update_ids() == [10, 11, 1, 2, 3]
    assert [(gap.cause, gap.is_closed) for gap in pair.notes.gaps] == [("restart", False), ("restart", True)]


def test_a_restart_of_level_1_that_says_what_the_one_before_said_is_a_restart() -> None:
    def top(update_id: int, seq: int, size: str = "1") -> bytes:
        return book_frame("snapshot", update_id, [("100", size)], [("101", "1")], seq=seq, depth=1)

    pair = Pair("orderbook.1.BTCUSDT")
    pair.both(top(1, 500), top(2, 501, "2"), top(3, 502, "3"))
    pair.both(top(1, 600), top(2, 601, "2"), top(1, 603))
    assert pair.update_ids() == [1, 2, 3, 1, 2, 1]
    assert [gap.cause for gap in pair.notes.gaps if not gap.is_closed] == ["restart", "restart"]
    assert pair.counted("arbitrations_ended", "repeats") == [0, 0]


def test_two_gateways_that_count_differently_end_arbitration(pair: Pair) -> None:
    pair.cut(1)
    pair.feed(1, book_frame("snapshot", 900, *BASE, seq=50_012))
    pair.feed(0, delta(11), delta(12), delta(13))
    assert pair.counted("arbitrations_ended", "gaps") == [1, 0]
    assert pair.update_ids() == [10, 11, 12, 13]


def test_an_impossible_book_needs_a_snapshot_on_every_leg(pair: Pair) -> None:
    pair.feed(0, book_frame("delta", 11, [("105", "1")], []))
    assert [gap.cause for gap in pair.notes.gaps] == ["integrity"]
    assert sorted(pair.control.asked) == [(BOOK, 0), (BOOK, 1)]
    assert pair.book.state == BookState.STALE


def test_a_frame_that_is_refused_concerns_its_leg(pair: Pair) -> None:
    pair.feed(0, delta(11).replace(b'"100"', b'"1x0"'))
    assert pair.counted("gaps", "malformed") == [0, 1]
    assert pair.control.asked == [(BOOK, 0)]
    pair.feed(1, delta(11))
    assert pair.book.update_id == 11


def test_trades_are_told_once(pair: Pair) -> None:
    pair = Pair(TRADES)
    pair.feed(0, trade_frame(trade("a"), trade("b")))
    pair.feed(1, trade_frame(trade("b"), trade("c")))
    pair.feed(0, trade_frame(trade("c"), trade("d")))
    assert [item.trade_id for item in pair.notes.trades] == ["a", "b", "c", "d"]
    assert pair.counted("late") == [2]
    pair.cut(0)
    pair.feed(1, trade_frame(trade("d"), trade("e")))
    assert pair.notes.gaps == []
    assert [item.trade_id for item in pair.notes.trades] == ["a", "b", "c", "d", "e"]


def test_trades_of_no_leg_are_a_gap() -> None:
    pair = Pair(TRADES)
    pair.both(trade_frame(trade("a")))
    pair.cut(0)
    pair.cut(1)
    pair.dispatcher.confirmed([TRADES], pair.tick(), 1)
    assert [(gap.cause, gap.leg, gap.is_closed) for gap in pair.notes.gaps] == [
        ("disconnect", 1, False),
        ("disconnect", 1, True),
    ]
    pair.cut(0)
    assert len(pair.notes.gaps) == 2


def test_a_ticker_goes_on_with_what_the_next_leg_was_told() -> None:
    pair = Pair(TICKER)
    pair.feed(0, ticker("snapshot", lastPrice="1", markPrice="5"))
    pair.feed(1, ticker("snapshot", lastPrice="1", markPrice="5"))
    pair.feed(1, ticker("delta", markPrice="6"))
    assert len(pair.notes.tickers) == 1
    pair.cut(0)
    assert pair.dispatcher.ticker("BTCUSDT") == {"lastPrice": "1", "markPrice": "6"}
    pair.feed(1, ticker("delta", lastPrice="2"))
    _, fields, changed = pair.notes.tickers[-1]
    assert fields == {"lastPrice": "2", "markPrice": "6"}
    assert changed == {"lastPrice": "2", "markPrice": "6"}
    assert pair.notes.gaps == []
    assert pair.control.came == [(TICKER, 0), (TICKER, 1)]
    pair.feed(0, ticker("snapshot", lastPrice="9", markPrice="9"))
    assert len(pair.notes.tickers) == 2


def test_one_leg_leads_what_has_no_identity() -> None:
    pair = Pair(LIQUIDATIONS)
    pair.both(liquidation("1"), liquidation("2"))
    assert [str(item["size"]) for item in pair.notes.liquidations] == ["1", "2"]
    pair.cut(0)
    pair.feed(1, liquidation("3"))
    assert [str(item["size"]) for item in pair.notes.liquidations] == ["1", "2", "3"]
    assert pair.notes.gaps == []


def test_what_only_the_next_leg_told_while_the_leader_was_silent_is_a_gap() -> None:
    pair = Pair(LIQUIDATIONS)
    pair.both(liquidation("1"))
    pair.feed(1, liquidation("2"))
    pair.cut(0)
    assert [(gap.cause, gap.missing, gap.is_closed) for gap in pair.notes.gaps] == [
        ("disconnect", 1, False),
        ("disconnect", 1, True),
    ]


def test_a_leg_that_was_left_is_heard_no_more(pair: Pair) -> None:
    pair.dispatcher.removed([BOOK], pair.tick(), 1)
    pair.feed(1, delta(11))
    assert pair.counted("undesired", "gaps") == [1, 0]
    assert [(leg["leg"], leg["topics"]) for leg in pair.dispatcher.legs()] == [(0, 1), (1, 0)]


def test_leaving_the_only_leg_in_step_is_a_gap(pair: Pair) -> None:
    pair.cut(1)
    pair.dispatcher.removed([BOOK], pair.tick(), 0)
    assert [(gap.cause, gap.fault, gap.leg) for gap in pair.notes.gaps] == [("removed", "caller", 0)]
    pair.feed(1, snapshot(15))
    assert pair.notes.gaps[-1].is_closed
