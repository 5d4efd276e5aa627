"""The known frames of the venue's public paths, one by one: the values that come out of each."""

import json
from decimal import Decimal
from typing import Any

import pytest

from ext.book import BookState
from ext.dispatch import Dispatcher
from tests.support.captures import FOLDER
from tests.support.frames import compact
from tests.support.listeners import ControlNotes, Notes

FIXTURES = FOLDER.parent / "bybit" / "fixtures.jsonl"
PUBLIC = ("/v5/public/linear", "/v5/public/spot", "/v5/public/option")


def fixtures() -> dict[str, dict[str, Any]]:
    if not FIXTURES.exists():
        pytest.skip(f"{FIXTURES.name} is not on this machine (set TAPEHEAD_CAPTURES to the folder beside it)")
    lines = [json.loads(line) for line in FIXTURES.read_text().splitlines()]
    return {line["name"]: line for line in lines if line["path"] in PUBLIC}


class Stage:
    """A dispatcher per category, fed fixtures by name."""

    def __init__(self) -> None:
        self.frames = fixtures()
        self.notes = Notes()
        self.control = ControlNotes()
        self.dispatchers: dict[str, Dispatcher] = {}

    def feed(self, *names: str) -> Dispatcher:
        for name in names:
            category = self.frames[name]["path"].rpartition("/")[2]
            dispatcher = self.dispatchers.setdefault(
                category, Dispatcher(category, self.notes, control=self.control)
            )
            dispatcher.feed(compact(self.frames[name]["frame"]), 1_790_000_001_000_000_000)
        return dispatcher


@pytest.fixture
def stage() -> Stage:
    return Stage()


def levels(*texts: tuple[str, str]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in texts]


def counted(dispatcher: Dispatcher) -> dict[str, int]:
    return {name: count for name, count in dispatcher.counters.items() if count}


def test_every_public_frame_is_known_or_counted(stage: Stage) -> None:
    for name in stage.frames:
        stage.feed(name)
    totals = [counted(dispatcher) for dispatcher in stage.dispatchers.values()]
    assert sum(total["frames"] for total in totals) == len(stage.frames)
    assert sum(total.get("malformed", 0) for total in totals) == 0
    assert sum(total.get("callback_failures", 0) for total in totals) == 0
    assert "unknown_topic" not in stage.notes.event_kinds()


@pytest.mark.parametrize(
    "name",
    [
        "ack_linear",
        "ack_spot",
        "ack_option",
        "nack_unknown_topic",
        "nack_duplicate",
        "nack_spot_args",
        "pong_linear",
        "pong_option",
    ],
)
def test_control_frames_reach_the_control_whole(stage: Stage, name: str) -> None:
    stage.feed(name)
    assert [message for message, _, _ in stage.control.messages] == [stage.frames[name]["frame"]]
    assert stage.notes.calls == []


def test_book_of_fifty_levels(stage: Stage) -> None:
    dispatcher = stage.feed("ob50_snapshot")
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert book.bids() == levels(("100.20", "3.0"), ("100.10", "1.5"))
    assert book.asks() == levels(("100.30", "2.0"), ("100.40", "4.0"))
    header = (book.update_id, book.seq, book.ts_ms, book.cts_ms)
    assert header == (1000, 50000, 1790000000000, 1789999999997)
    stage.feed("ob50_delta")
    assert book.bids() == levels(("100.20", "3.0"), ("100.00", "7.5"))
    assert (book.update_id, book.seq, book.ts_ms, book.cts_ms) == (
        1001,
        50040,
        1790000000020,
        1790000000017,
    )
    before = book.checksum()
    stage.feed("ob50_delete_absent")
    assert (book.state, book.update_id, book.absent_deletes) == (BookState.LIVE, 1002, 1)
    assert book.checksum() == before
    assert stage.notes.gaps == []


def test_gap_and_restart(stage: Stage) -> None:
    dispatcher = stage.feed("ob50_snapshot", "ob50_delta", "ob50_delta_gap")
    book = dispatcher.book("BTCUSDT", 50)
    assert book is not None
    assert book.state == BookState.STALE
    assert [(gap.cause, gap.missing) for gap in dispatcher.open_gaps()] == [("sequence", 1)]
    stage.feed("ob50_restart")
    assert (book.state, book.update_id) == (BookState.LIVE, 1)
    assert book.bids() == levels(("101", "1"))
    assert book.asks() == levels(("101.1", "1"))
    assert dispatcher.open_gaps() == []


def test_restart_of_a_live_book(stage: Stage) -> None:
    stage.feed("ob50_snapshot", "ob50_restart")
    assert [(gap.cause, gap.is_closed) for gap in stage.notes.gaps] == [("restart", False), ("restart", True)]


def test_level_one_repeat(stage: Stage) -> None:
    dispatcher = stage.feed("ob1_snapshot", "ob1_repush")
    assert counted(dispatcher) == {"frames": 2, "book_messages": 2, "repeats": 1}
    assert len(stage.notes.books) == 1
    book = dispatcher.book("BTCUSDT", 1)
    assert book is not None
    assert (book.category, book.update_id, book.seq) == ("spot", 77, 50041)
    assert book.bids() == levels(("100.2", "3"))


def test_trades_of_three_categories(stage: Stage) -> None:
    stage.feed("trade_linear", "trade_spot", "trade_option")
    first, second, spot, option = stage.notes.trades
    assert (first.category, first.symbol, first.side, first.index) == ("linear", "BTCUSDT", "Buy", 0)
    assert (str(first.price), str(first.size)) == ("100.30", "0.001")
    assert (first.tick_direction, second.tick_direction) == ("PlusTick", "ZeroPlusTick")
    assert (second.trade_id, second.index) == ("00000000-0000-5000-8000-000000000002", 1)
    assert (first.time_ms, first.ts_ms, first.seq) == (1789999999998, 1790000000000, 50041)
    assert (spot.category, spot.trade_id, spot.side) == ("spot", "2290000000000000001", "Sell")
    assert (spot.tick_direction, bool(spot.is_rpi), bool(spot.is_block)) == ("", True, False)
    assert (option.category, option.symbol) == ("option", "BTC-25DEC26-90000-C")
    assert (option.price, option.size, option.seq) == (Decimal(500), Decimal("0.1"), 0)


def test_tickers(stage: Stage) -> None:
    dispatcher = stage.feed("ticker_linear_snapshot", "ticker_linear_delta")
    kept = dispatcher.ticker("BTCUSDT")
    assert kept is not None
    assert (kept["markPrice"], kept["lastPrice"], kept["openInterest"]) == ("100.32", "100.30", "10")
    spot = stage.feed("ticker_spot").ticker("BTCUSDT")
    assert spot is not None
    assert (spot["price24hPcnt"], spot["usdIndexPrice"]) == ("0.0131", "")
    assert "markPrice" not in spot


def test_kline(stage: Stage) -> None:
    stage.feed("kline_closed")
    (kline,) = stage.notes.klines
    assert (kline["symbol"], kline["interval"], kline["is_closed"]) == ("BTCUSDT", "1", True)
    assert (kline["start_ms"], kline["end_ms"]) == (1790000000000, 1790000059999)
    prices = [kline[name] for name in ("open", "high", "low", "close", "volume", "turnover")]
    assert prices == [Decimal(text) for text in ("100", "101", "99", "100.3", "5", "500")]
    assert (kline["time_ms"], kline["ts_ms"]) == (1790000059000, 1790000060010)


def test_liquidation(stage: Stage) -> None:
    stage.feed("liquidation")
    (liquidation,) = stage.notes.liquidations
    assert (liquidation["symbol"], liquidation["side"], liquidation["time_ms"]) == (
        "BTCUSDT",
        "Buy",
        1789999999900,
    )
    assert (liquidation["price"], liquidation["size"]) == (Decimal("95.0"), Decimal("0.5"))


def test_an_rpi_delta_without_its_snapshot_is_dropped(stage: Stage) -> None:
    dispatcher = stage.feed("rpi_delta")
    assert counted(dispatcher) == {"frames": 1, "book_messages": 1, "dropped_unsynced": 1}
    assert stage.notes.books == []


def test_a_full_delta_asks_for_the_book_and_a_restart_for_another(stage: Stage) -> None:
    dispatcher = stage.feed("full_delta")
    result = {"s": "BTCUSDT", "b": [["99.5", "1"], ["99", "2"]], "a": [["100", "1"]], "u": 900, "seq": 50043}
    dispatcher.rest("full_book", "orderbook.full.BTCUSDT", {"retCode": 0, "result": result}, 2)
    book = dispatcher.book("BTCUSDT", "full")
    assert book is not None
    assert (book.state, book.bids()) == (BookState.LIVE, levels(("99.5", "1"), ("99", "2")))
    stage.feed("full_reinit")
    assert book.state == BookState.STALE
    assert [gap.cause for gap in stage.notes.gaps] == ["restart"]
    assert stage.control.desyncs == ["orderbook.full.BTCUSDT"] * 2
