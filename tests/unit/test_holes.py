"""What gaps leave behind is known until an answer fills it; an audit that nobody answers ends by itself."""

import json
from typing import Any

from ext.audit import AuditLimit
from ext.dispatch import Dispatcher
from tests.support.frames import book_frame
from tests.support.listeners import Notes
from tests.support.market import START_NS, S, kline_frame, trade_frame

TRADES = "publicTrade.BTCUSDT"
MS = 1_000_000


def cut(dispatcher: Dispatcher) -> None:
    dispatcher.desired([TRADES, "kline.1.BTCUSDT", "tickers.BTCUSDT"], START_NS)
    dispatcher.feed(trade_frame("BTCUSDT", [("a", "Buy", "1", "1")]), START_NS)
    dispatcher.feed(kline_frame("BTCUSDT"), START_NS)
    dispatcher.disconnected(0, START_NS + S)


def answer(**result: Any) -> str:
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": START_NS // MS})


def test_a_hole_is_there_from_the_end_of_its_gap_until_it_is_filled() -> None:
    notes = Notes()
    dispatcher = Dispatcher("linear", notes)
    assert dispatcher.holes() == []
    cut(dispatcher)
    assert dispatcher.holes() == []
    dispatcher.confirmed([TRADES, "kline.1.BTCUSDT", "tickers.BTCUSDT"], START_NS + 5 * S)
    (trades, candles) = dispatcher.holes()
    assert (trades[0], trades[2]) == (TRADES, -1)
    assert candles[0] == "kline.1.BTCUSDT"
    dispatcher.feed(
        trade_frame("BTCUSDT", [("b", "Buy", "1", "1")], ts_ms=START_NS // MS + 9000), START_NS + 9 * S
    )
    assert dispatcher.holes()[0][2] == START_NS // MS + 9000 - 2
    dispatcher.rest("trades", TRADES, answer(category="linear", list=[]), START_NS + 10 * S)
    assert [hole[0] for hole in dispatcher.holes()] == ["kline.1.BTCUSDT"]
    dispatcher.removed(["kline.1.BTCUSDT"], START_NS + 11 * S)
    assert dispatcher.holes() == []


def test_an_audit_without_an_answer_ends_by_itself() -> None:
    notes = Notes()
    dispatcher = Dispatcher("linear", notes)
    dispatcher.feed(book_frame("snapshot", 10, [["1", "1"]], [["2", "1"]], depth=1000), START_NS)
    dispatcher.audit(["orderbook.1000.BTCUSDT"], START_NS)
    for number in range(AuditLimit.AUDIT_MESSAGES_MAX + 10):
        dispatcher.feed(book_frame("delta", 11 + number, [["1", str(number + 2)]], depth=1000), START_NS)
    assert dispatcher.counters["audits_unmatched"] == 1
    assert [event.detail for event in notes.events if event.kind == "audited"] == ["no answer came"]
    assert notes.gaps == []


def rest_trade(trade_id: str, time_ms: int) -> dict[str, Any]:
    return {
        "execId": trade_id,
        "symbol": "BTCUSDT",
        "price": "1",
        "size": "1",
        "side": "Buy",
        "time": str(time_ms),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": "7",
    }


def test_an_answer_of_trades_after_the_gap_does_not_reach_back_to_it() -> None:
    notes = Notes()
    dispatcher = Dispatcher("linear", notes)
    cut(dispatcher)
    late_ms = START_NS // MS + 9000
    dispatcher.feed(trade_frame("BTCUSDT", [("b", "Buy", "1", "1")], ts_ms=late_ms), START_NS + 9 * S)
    listed = [rest_trade("c", late_ms + 5), rest_trade("b", late_ms - 2)]
    dispatcher.rest("trades", TRADES, answer(category="linear", list=listed), START_NS + 10 * S)
    (said,) = (event.detail for event in notes.events if event.kind == "backfilled")
    assert said == "0 trades, not back to the start of the gap"
