"""Real captures through the Dispatcher: the right book after every message, every frame counted."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from ext.book import BookState, OrderBook
from ext.dispatch import Dispatcher
from ext.fixed import format_decimal
from tests.support.captures import capture
from tests.support.compare import compare_books
from tests.support.listeners import ControlNotes, Notes
from tests.support.pair import Pair

LINEAR = "bybit_linear_sol_doge.recv_ns.log"
SYMBOLS = ("SOLUSDT", "DOGEUSDT")


def linear_frames() -> Iterator[tuple[int, bytes]]:
    for line in capture(LINEAR).read_bytes().splitlines():
        recv_ns, _, frame = line.partition(b" ")
        yield int(recv_ns), frame


def venue_text(book: OrderBook) -> str:
    """The book in the venue's own spelling: in this capture every number has all decimals of its scale."""
    sides = (("B", book.bids()), ("A", book.asks()))
    return "".join(
        f"{letter} {spelled(price, book.price_scale)} {spelled(size, book.size_scale)}\n"
        for letter, levels in sides
        for price, size in levels
    )


def spelled(number: Decimal, scale: int) -> str:
    return format_decimal(int(number.scaleb(scale)), scale)


def expected_states(symbol: str) -> list[dict[str, Any]]:
    lines = capture(f"linear.orderbook.200.{symbol}.expected.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


class Checker(Notes):
    """Holds every state of every book against the expected one, as it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.expected = {symbol: iter(expected_states(symbol)) for symbol in SYMBOLS}

    def on_book(self, book: OrderBook) -> None:
        super().on_book(book)
        state = next(self.expected[book.symbol])
        change = book.change
        assert change is not None
        assert bool(change.is_snapshot) == (state["type"] == "snapshot")
        assert (book.ts_ms, book.cts_ms) == (state["ts"], state["cts"])
        assert (book.update_id, book.seq) == (state["u"], state["seq"])
        assert book.level_counts() == (state["n_bids"], state["n_asks"])
        for best, name in ((book.best_bid, "best_bid"), (book.best_ask, "best_ask")):
            assert best is not None
            level = (format_decimal(best[0], book.price_scale), format_decimal(best[1], book.size_scale))
            assert level == tuple(state[name])
        digest = hashlib.sha256(venue_text(book).encode()).hexdigest()
        assert digest[:16] == state["book_sha16"]


def test_linear_book_is_right_after_every_message(caplog: pytest.LogCaptureFixture) -> None:
    checker, control = Checker(), ControlNotes()
    dispatcher = Dispatcher("linear", checker, control=control)
    kinds: Counter[str] = Counter()
    for recv_ns, frame in linear_frames():
        topic = json.loads(frame).get("topic", "control")
        kinds[topic.partition(".")[0]] += 1
        dispatcher.feed(frame, recv_ns)
        # A callback that raises is isolated: without this the checker's own failures would pass unseen.
        assert dispatcher.counters["callback_failures"] == 0, caplog.text
    assert [next(states, None) for states in checker.expected.values()] == [None, None]
    assert kinds == {"orderbook": 763, "tickers": 357, "publicTrade": 74, "kline": 37, "control": 17}
    expected = {
        "frames": 1248,
        "book_messages": 763,
        "ticker_messages": 357,
        "trade_messages": 74,
        "kline_messages": 37,
        "control_messages": 17,
    }
    # Deletions of prices that are not there are the only thing to count beside the messages themselves.
    counters = {name: count for name, count in dispatcher.counters.items() if count}
    counters.pop("absent_deletes", None)
    assert counters == expected
    assert checker.gaps == []
    assert "malformed" not in checker.event_kinds()
    assert control.desyncs == []
    assert set(control.syncs) == {
        f"{kind}.{symbol}" for kind in ("orderbook.200", "tickers") for symbol in SYMBOLS
    }
    assert len(control.syncs) == 4
    assert len(control.messages) == 17
    for symbol in SYMBOLS:
        book = dispatcher.book(symbol, 200)
        assert book is not None
        assert book.state == BookState.LIVE
        final = capture(f"linear.orderbook.200.{symbol}.final_book.txt").read_text()
        assert venue_text(book) == final


def test_linear_trades_tickers_and_klines_are_all_there() -> None:
    notes = Notes()
    dispatcher = Dispatcher("linear", notes)
    trades: list[tuple[str, ...]] = []
    tickers: dict[str, dict[str, str]] = {}
    klines: list[tuple[Any, ...]] = []
    for recv_ns, frame in linear_frames():
        dispatcher.feed(frame, recv_ns)
        message = json.loads(frame)
        topic = message.get("topic", "")
        if topic.startswith("publicTrade."):
            trades += [tuple(trade[name] for name in "siSpvL") for trade in message["data"]]
        elif topic.startswith("tickers."):
            merged = {} if message["type"] == "snapshot" else tickers[topic]
            tickers[topic] = merged | message["data"]
        elif topic.startswith("kline."):
            klines += [
                (kline["start"], kline["end"], kline["confirm"], *(Decimal(kline[name]) for name in OHLCV))
                for kline in message["data"]
            ]
    got = [
        (trade.symbol, trade.trade_id, trade.side, str(trade.price), str(trade.size), trade.tick_direction)
        for trade in notes.trades
    ]
    assert got == trades
    assert len(trades) > 74
    for topic, fields in tickers.items():
        kept = dispatcher.ticker(topic.partition(".")[2])
        assert kept is not None
        assert kept.items() >= {item for item in fields.items() if item[0] != "symbol"}
    assert [
        (kline["start_ms"], kline["end_ms"], bool(kline["is_closed"]), *(kline[name] for name in OHLCV))
        for kline in notes.klines
    ] == klines


OHLCV = ("open", "high", "low", "close", "volume", "turnover")


@pytest.mark.parametrize(
    ("name", "category", "applied"),
    [
        (LINEAR, "linear", 763),
        ("bybit_spot_btc_orderbook50.jsonl", "spot", 9),
        ("bybit_doc_push_samples.jsonl", "spot", 2),
    ],
)
def test_every_capture_is_read_as_by_the_slow_dispatcher(name: str, category: str, applied: int) -> None:
    pair = Pair.make(category)
    outcomes = []
    for line in capture(name).read_bytes().splitlines():
        frame = line.partition(b" ")[2] if name == LINEAR else line
        outcomes.append(pair.feed(frame))
    assert sum(outcome.applied is not None for outcome in outcomes) == applied
    assert pair.notes.gaps == []
    assert pair.dispatcher.counters["malformed"] == 0
    for topic, entry in pair.slow.topics.items():
        book = pair.book(topic)
        assert book is not None
        compare_books(book, entry.book.bids, entry.book.asks)
        assert book.checksum() == entry.book.checksum()
        assert book.level_counts() == (book.depth, book.depth)


def test_books_need_no_fallback() -> None:
    pair = Pair.make("spot")
    for line in capture("bybit_spot_btc_orderbook50.jsonl").read_bytes().splitlines():
        pair.feed(line)
    assert pair.dispatcher.counters["fallback"] == 0
    assert pair.dispatcher.counters["control_messages"] == 1
