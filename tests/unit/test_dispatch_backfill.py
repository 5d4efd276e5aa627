"""Trades and candles that REST brings after a gap: those that were missed, each once."""

from typing import Any

import pytest

from ext.dispatch import Dispatcher
from tests.support.frames import compact, trade_frame
from tests.support.listeners import Notes
from tests.support.special import answer, rest_trade, trade, trades_answer

TRADES = "publicTrade.BTCUSDT"
KLINES = "kline.1.BTCUSDT"
T = 1_790_000_000_000
NS = 1_000_000
MINUTE = 60_000


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def dispatcher(notes: Notes) -> Dispatcher:
    return Dispatcher("linear", notes)


def feed(dispatcher: Dispatcher, *numbers: int, recv_ms: int = T + 9_000) -> None:
    """Trade n is of the n-th second."""
    dispatcher.feed(trade_frame(*[trade(number, T + 1000 * number) for number in numbers]), recv_ms * NS)


def fill(dispatcher: Dispatcher, *numbers: int) -> None:
    trades = [rest_trade(number, T + 1000 * number) for number in numbers]
    dispatcher.rest("trades", TRADES, trades_answer(trades), (T + 60_000) * NS, 0, 500)


def seen(notes: Notes) -> list[tuple[int, str]]:
    return [(int(trade.size), trade.source) for trade in notes.trades]


def test_what_was_missed_is_delivered_once_and_in_order(dispatcher: Dispatcher, notes: Notes) -> None:
    feed(dispatcher, 1, 2)
    dispatcher.disconnected(0, (T + 3000) * NS)
    feed(dispatcher, 6, 7)
    assert dispatcher.holes() == [(TRADES, T + 2000, T + 6000)]
    fill(dispatcher, 1, 2, 3, 4, 5, 6, 7, 8)
    assert seen(notes)[4:] == [(3, "backfill"), (4, "backfill"), (5, "backfill")]
    filled = notes.trades[4]
    assert (filled.position, filled.index, filled.seq, bool(filled.is_rpi)) == (500, 0, 3, True)
    assert notes.trades[6].index == 2
    assert notes.events[-1].detail == "3 trades, back to the start of the gap"
    assert dispatcher.counters["backfilled"] == 3
    assert dispatcher.holes() == []
    feed(dispatcher, 8)
    assert seen(notes)[-1] == (8, "live")


def test_trades_of_one_millisecond_are_told_apart_by_their_ids(dispatcher: Dispatcher, notes: Notes) -> None:
    frames = [trade_frame(trade(number, T)) for number in (1, 2, 3, 4)]
    dispatcher.feed(frames[0], T * NS)
    dispatcher.feed(b'{"topic":"publicTrade.BTCUSDT"', T * NS)  # malformed: a gap opened and closed at once
    dispatcher.feed(frames[3], T * NS)
    body = trades_answer([rest_trade(number, T) for number in (1, 2, 3, 4)])
    dispatcher.rest("trades", TRADES, body, T * NS)
    assert seen(notes) == [(1, "live"), (4, "live"), (2, "backfill"), (3, "backfill")]


def test_an_answer_that_does_not_reach_back_says_so(dispatcher: Dispatcher, notes: Notes) -> None:
    feed(dispatcher, 1)
    dispatcher.disconnected(0, (T + 3000) * NS)
    feed(dispatcher, 6)
    fill(dispatcher, 4, 5, 6)
    assert notes.events[-1].detail == "2 trades, not back to the start of the gap"


def test_an_answer_ahead_of_the_stream_is_not_delivered_twice(dispatcher: Dispatcher, notes: Notes) -> None:
    feed(dispatcher, 1)
    dispatcher.disconnected(0, (T + 3000) * NS)
    dispatcher.confirmed([TRADES], (T + 5000) * NS)
    fill(dispatcher, 1, 2, 3, 4)
    feed(dispatcher, 3, 4, 5)
    feed(dispatcher, 6)
    assert seen(notes) == [
        (1, "live"),
        (2, "backfill"),
        (3, "backfill"),
        (4, "backfill"),
        (5, "live"),
        (6, "live"),
    ]
    assert dispatcher.counters["backfill_repeats"] == 2


def test_a_trade_of_the_very_moment_after_the_gap_is_not_delivered_twice(
    dispatcher: Dispatcher, notes: Notes
) -> None:
    feed(dispatcher, 1)
    dispatcher.disconnected(0, (T + 3000) * NS)
    feed(dispatcher, 6)
    beside = 7
    trades = [rest_trade(1, T + 1000), rest_trade(6, T + 6000), rest_trade(beside, T + 6000)]
    dispatcher.rest("trades", TRADES, trades_answer(trades), (T + 60_000) * NS, 0, 500)
    dispatcher.feed(trade_frame(trade(beside, T + 6000)), (T + 61_000) * NS)
    assert seen(notes) == [(1, "live"), (6, "live"), (beside, "backfill")]


def test_before_any_trade_the_gap_is_that_of_the_clock(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.desired([TRADES], (T + 100) * NS)
    dispatcher.lost([TRADES], (T + 2500) * NS, (T + 4000) * NS, "not_running", "ours")
    feed(dispatcher, 6)
    fill(dispatcher, 1, 2, 3, 4, 5, 6)
    assert seen(notes) == [(6, "live"), (3, "backfill"), (4, "backfill"), (5, "backfill")]


def test_a_second_gap_before_the_answer_widens_the_hole(dispatcher: Dispatcher, notes: Notes) -> None:
    feed(dispatcher, 1)
    dispatcher.disconnected(0, (T + 2000) * NS)
    feed(dispatcher, 3)
    dispatcher.disconnected(0, (T + 4000) * NS)
    feed(dispatcher, 5)
    fill(dispatcher, 1, 2, 3, 4, 5)
    assert seen(notes)[3:] == [(2, "backfill"), (4, "backfill")]


def test_without_a_gap_an_answer_is_counted_and_nothing_else(dispatcher: Dispatcher, notes: Notes) -> None:
    feed(dispatcher, 1)
    fill(dispatcher, 1, 2, 3)
    assert seen(notes) == [(1, "live")]
    assert dispatcher.counters["answers_unmatched"] == 1


def test_option_trades_name_their_symbol(notes: Notes) -> None:
    dispatcher = Dispatcher("option", notes)
    frame = trade_frame(trade(1, T, "BTC-1-C"), trade(2, T + 5, "BTC-2-P"), symbol="BTC")
    dispatcher.feed(frame, T * NS)
    dispatcher.disconnected(0, T * NS)
    rest = [rest_trade(2, T + 5, "BTC-2-P"), rest_trade(3, T + 9, "BTC-3-C")]
    dispatcher.rest("trades", "publicTrade.BTC", trades_answer(rest), T * NS)
    assert [trade.symbol for trade in notes.trades] == ["BTC-1-C", "BTC-2-P", "BTC-3-C"]


@pytest.mark.parametrize(
    "change",
    [
        {"execId": ""},
        {"execId": 5},
        {"execId": "x" * 65},
        {"price": "1,5"},
        {"size": "-1"},
        {"side": "buy"},
        {"time": 5},
        {"time": "x"},
        {"symbol": None},
        {"seq": "-5"},
    ],
)
def test_an_answer_with_a_trade_that_is_none_delivers_nothing(
    dispatcher: Dispatcher, notes: Notes, change: dict[str, Any]
) -> None:
    feed(dispatcher, 1)
    dispatcher.disconnected(0, (T + 2000) * NS)
    body = trades_answer([rest_trade(2, T + 2000), rest_trade(3, T + 3000) | change])
    dispatcher.rest("trades", TRADES, body, T * NS)
    assert seen(notes) == [(1, "live")]
    assert notes.events[-1].kind == "answer_refused"
    fill(dispatcher, 2)
    assert seen(notes)[-1] == (2, "backfill")


def kline(minute: int, *, closed: bool) -> bytes:
    start = T // MINUTE * MINUTE + minute * MINUTE
    fields = {
        "start": start,
        "end": start + MINUTE - 1,
        "interval": "1",
        "confirm": closed,
        "timestamp": start + 5,
    }
    prices = dict.fromkeys(("open", "high", "low", "close", "volume", "turnover"), "1")
    return compact({"topic": KLINES, "type": "snapshot", "ts": T, "data": [fields | prices]})


def candles(*minutes: int, now: int) -> bytes:
    start = T // MINUTE * MINUTE
    rows = [[str(start + minute * MINUTE), "1", "2", "0.5", "1.5", "10", "15"] for minute in minutes]
    return answer(
        {"category": "linear", "symbol": "BTCUSDT", "list": rows[::-1]}, time_ms=start + now * MINUTE
    )


def test_closed_candles_of_the_gap_are_delivered_once(dispatcher: Dispatcher, notes: Notes) -> None:
    start = T // MINUTE * MINUTE
    for minute, closed in ((0, True), (1, False)):
        dispatcher.feed(kline(minute, closed=closed), T * NS)
    dispatcher.disconnected(0, T * NS)
    dispatcher.feed(kline(4, closed=False), T * NS)
    assert dispatcher.holes() == [(KLINES, start + MINUTE, start + 4 * MINUTE)]
    dispatcher.rest("kline", KLINES, candles(0, 1, 2, 3, 4, 5, now=5), T * NS, 0, 500)
    filled = notes.klines[3:]
    assert [(each["start_ms"] - start) // MINUTE for each in filled] == [1, 2, 3]
    assert {each["source"] for each in filled} == {"backfill"}
    assert all(each["is_closed"] and each["end_ms"] == each["start_ms"] + MINUTE - 1 for each in filled)
    assert str(filled[0]["low"]) == "0.5"
    assert [each["index"] for each in filled] == [0, 1, 2]
    assert notes.events[-1].detail == "3 candles, back to the start of the gap"
    dispatcher.rest("kline", KLINES, candles(1, 2, now=5), T * NS)
    assert len(notes.klines) == 6


def test_an_unfinished_candle_is_not_backfilled(dispatcher: Dispatcher, notes: Notes) -> None:
    dispatcher.feed(kline(0, closed=False), T * NS)
    dispatcher.disconnected(0, T * NS)
    dispatcher.rest("kline", KLINES, candles(0, 1, 2, now=2), T * NS)
    start = T // MINUTE * MINUTE
    assert [(each["start_ms"] - start) // MINUTE for each in notes.klines] == [0, 0, 1]


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("60", 1_788_220_800_000, 1_788_224_399_999),
        ("D", 1_788_220_800_000, 1_788_307_199_999),
        ("W", 1_788_134_400_000, 1_788_739_199_999),
        ("M", 1_788_220_800_000, 1_790_812_799_999),
        ("M", 1_796_083_200_000, 1_798_761_599_999),
    ],
)
def test_where_candles_end(notes: Notes, interval: str, start: int, end: int) -> None:
    topic = f"kline.{interval}.BTCUSDT"
    dispatcher = Dispatcher("linear", notes)
    dispatcher.desired([topic], 1)
    dispatcher.lost([topic], start * NS, start * NS, "not_running", "ours")
    row = [str(start), "1", "1", "1", "1", "1", "1"]
    dispatcher.rest("kline", topic, answer({"list": [row]}, time_ms=end + 1), end * NS)
    assert [each["end_ms"] for each in notes.klines] == [end]


@pytest.mark.parametrize(
    "rows",
    [None, [None], [[]], [["1"]], [[1, "1", "1", "1", "1", "1", "1"]], [["1", "x", "1", "1", "1", "1", "1"]]],
)
def test_an_answer_with_a_candle_that_is_none_is_refused(
    dispatcher: Dispatcher, notes: Notes, rows: object
) -> None:
    dispatcher.feed(kline(0, closed=False), T * NS)
    dispatcher.disconnected(0, T * NS)
    dispatcher.rest("kline", KLINES, answer({"list": rows}), T * NS)
    assert notes.events[-1].kind == "answer_refused"
