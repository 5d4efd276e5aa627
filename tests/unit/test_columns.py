"""The listener that fills tables: exact rows, exact bytes."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from ext.block import Block
from ext.columns import Columns
from ext.dispatch import Dispatcher
from ext.journal import crc32c_bytes
from ext.listener import Event, Gap
from ext.native import Table, decimal_cell
from recorder.sql import TABLES, columns, schema
from tests.support import frames, special
from tests.support.market import MS, START_NS, S, book_frame, kline_frame, ticker_frame, trade_frame
from tests.support.native import read_block

FIRST = 1 << 32
DAY_NS = 86_400 * S


class Tape:
    """A dispatcher over fresh Columns; frames come 10 ms apart at consecutive positions."""

    def __init__(self) -> None:
        self.columns = Columns("r1", schema())
        self.dispatcher = Dispatcher("linear", self.columns)
        self.position = FIRST
        self.recv_ns = START_NS

    def feed(self, frame: bytes, after_ns: int = 10 * MS) -> None:
        self.position += 1
        self.recv_ns += after_ns
        self.dispatcher.feed(frame, self.recv_ns, 0, self.position)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        return {table: read_block(bytes(block)) for table, (_, block) in self.columns.take().items()}


def test_book_rows_hold_what_was_sent() -> None:
    tape = Tape()
    tape.feed(book_frame("AUSDT", "snapshot", 7, [("10.1", "1.5"), ("10.0", "2")], [("10.3", "4")]))
    tape.feed(
        book_frame("AUSDT", "delta", 8, [("10.2", "3"), ("10.0", "0")], [("10.4", "1"), ("10.3", "5.5")])
    )
    rows = tape.rows()
    assert {table: len(found) for table, found in rows.items()} == {
        "book_snapshot": 1,
        "book_delta": 1,
        "bbo": 2,
    }
    (snapshot,), (delta,) = rows["book_snapshot"], rows["book_delta"]
    assert delta == {
        "recorder": "r1",
        "category": "linear",
        "symbol": "AUSDT",
        "kind": "plain",
        "depth": 50,
        "position": FIRST + 2,
        "source": "live",
        "leg": 0,
        "recv": START_NS + 20 * MS,
        "ts_lag_ms": 20,
        "cts_lag_ms": 3,
        "update_id": 8,
        "seq": 80,
        "price_scale": 1,
        "size_scale": 1,
        "bid_ref": 102,
        "bids.step": [0, 2],
        "bids.size": [30, 0],
        "ask_ref": 103,
        "asks.step": [1, -1],
        "asks.size": [10, 55],
    }
    assert (snapshot["origin"], snapshot["position"], snapshot["update_id"]) == ("venue", FIRST + 1, 7)
    assert (snapshot["bid_ref"], snapshot["bids.step"], snapshot["bids.size"]) == (101, [0, 1], [15, 20])
    assert (snapshot["ask_ref"], snapshot["asks.step"], snapshot["asks.size"]) == (103, [0], [40])
    best = [(row["bid_price"], row["bid_size"], row["ask_price"], row["ask_size"]) for row in rows["bbo"]]
    assert best == [(101, 15, 103, 40), (102, 30, 103, 55)]


def test_snapshot_carries_the_checksum_of_the_book() -> None:
    tape = Tape()
    tape.feed(book_frame("AUSDT", "snapshot", 7, [("10.1", "1.5")], [("10.3", "4")]))
    book = tape.dispatcher.book("AUSDT", 50)
    assert book is not None
    assert tape.rows()["book_snapshot"][0]["checksum"] == book.checksum()


def test_widened_scale_is_that_of_its_own_row() -> None:
    tape = Tape()
    tape.feed(book_frame("AUSDT", "snapshot", 7, [("10.1", "1")], [("10.3", "4")]))
    tape.feed(book_frame("AUSDT", "delta", 8, [("10.125", "1")]))
    rows = tape.rows()
    delta = rows["book_delta"][0]
    assert (delta["price_scale"], delta["bid_ref"], delta["bids.step"]) == (3, 10125, [0])
    assert rows["book_snapshot"][0]["price_scale"] == 1


def test_empty_side_has_no_best_price() -> None:
    tape = Tape()
    tape.feed(book_frame("AUSDT", "snapshot", 7, [("10.1", "1")], []))
    rows = tape.rows()
    assert (rows["bbo"][0]["ask_price"], rows["bbo"][0]["ask_size"]) == (0, 0)
    assert rows["book_snapshot"][0]["asks.step"] == []


def test_level_one_goes_to_bbo_alone_and_repeats_do_not() -> None:
    tape = Tape()
    for update_id in (7, 7, 8):
        tape.feed(book_frame("AUSDT", "snapshot", update_id, [("10.1", "1")], [("10.3", "4")], depth=1))
    rows = tape.rows()
    assert list(rows) == ["bbo"]
    assert [(row["depth"], row["update_id"]) for row in rows["bbo"]] == [(1, 7), (1, 8)]


def _deltas(tape: Tape, first: int, count: int, after_ns: int) -> None:
    for update_id in range(first, first + count):
        size = str(update_id % 9 + 1)
        tape.feed(book_frame("AUSDT", "delta", update_id, [("10.1", size)], [("10.3", size)]), after_ns)


def test_own_snapshot_after_a_minute_with_enough_changes() -> None:
    tape = Tape()
    tape.feed(book_frame("AUSDT", "snapshot", 1, [("10.1", "1")], [("10.3", "4")]))
    _deltas(tape, 2, 100, S // 10)
    assert [row["origin"] for row in tape.rows()["book_snapshot"]] == ["venue"]
    _deltas(tape, 102, 1, 60 * S)
    own = tape.rows()["book_snapshot"][0]
    assert (own["origin"], own["position"], own["update_id"]) == ("own", tape.position, 102)
    assert (own["bids.size"], own["asks.size"]) == ([102 % 9 + 1], [102 % 9 + 1])


def test_quiet_book_is_not_written_again_before_the_day_ends() -> None:
    tape = Tape()
    tape.recv_ns = START_NS // DAY_NS * DAY_NS
    tape.feed(book_frame("AUSDT", "snapshot", 1, [("10.1", "1")], [("10.3", "4")]))
    _deltas(tape, 2, 3, 3600 * S)
    assert len(tape.rows()["book_snapshot"]) == 1
    _deltas(tape, 5, 1, DAY_NS)
    assert [row["origin"] for row in tape.rows()["book_snapshot"]] == ["own"]


def test_trade_rows() -> None:
    tape = Tape()
    tape.feed(trade_frame("AUSDT", [("x1", "Buy", "10.25", "0.5"), ("x2", "Sell", "10", "3")]))
    first, second = tape.rows()["trade"]
    assert (first["item"], first["trade_id"], first["side"], first["seq"]) == (0, "x1", "Buy", 77)
    assert (first["price"], first["price_scale"], first["size"], first["size_scale"]) == (1025, 2, 5, 1)
    assert (first["tick_direction"], first["is_block"], first["is_rpi"]) == ("PlusTick", False, True)
    assert (first["ts_lag_ms"], first["time_lag_ms"]) == (10, 2)
    assert (second["item"], second["side"], second["price"], second["price_scale"]) == (1, "Sell", 10, 0)


def test_tickers_are_merged_and_absent_is_null() -> None:
    tape = Tape()
    tape.feed(
        ticker_frame("AUSDT", "snapshot", lastPrice="10.5", markPrice="", fundingRate="-0.0001", novel="7")
    )
    tape.feed(ticker_frame("AUSDT", "delta", markPrice="10.4", nextFundingTime="1790000000000"))
    tape.feed(ticker_frame("AUSDT", "snapshot", lastPrice="11"))
    first, second, third = tape.rows()["ticker"]
    assert (first["last_price"], first["mark_price"], first["funding_rate"]) == (
        Decimal("10.5"),
        None,
        Decimal("-0.0001"),
    )
    assert (first["extra"], first["seq"], first["is_snapshot"]) == ({"novel": "7"}, 99, True)
    assert (second["last_price"], second["mark_price"]) == (Decimal("10.5"), Decimal("10.4"))
    assert (second["next_funding_time"], second["is_snapshot"]) == (1_790_000_000_000, False)
    assert (third["last_price"], third["mark_price"], third["extra"]) == (11, None, {})


def test_ticker_field_that_no_column_holds_is_kept_as_text() -> None:
    tape = Tape()
    tape.feed(
        ticker_frame(
            "AUSDT", "snapshot", lastPrice="1e-19", volume24h="123456789012345678901", turnover24h="x"
        )
    )
    row = tape.rows()["ticker"][0]
    assert row["extra"] == {"lastPrice": "1e-19", "volume24h": "123456789012345678901", "turnover24h": "x"}
    assert (row["last_price"], row["volume_24h"]) == (None, None)


def test_delivery_time_is_read_as_iso_text() -> None:
    tape = Tape()
    tape.feed(ticker_frame("AUSDT", "snapshot", deliveryTime="2026-12-25T08:00:00Z"))
    assert tape.rows()["ticker"][0]["delivery_time"] == 1_798_185_600_000


def test_kline_row_and_one_that_fits_no_column() -> None:
    tape = Tape()
    tape.feed(kline_frame("AUSDT", closed=True))
    tape.feed(kline_frame("AUSDT", volume="0.1234567890123456789"))
    rows = tape.rows()
    (row,) = rows["kline"]
    assert (row["interval"], row["open"], row["volume"], row["is_closed"]) == (
        "1",
        Decimal("10.1"),
        Decimal("1.5"),
        True,
    )
    assert row["end"] - row["start"] == 59_999
    (event,) = rows["event"]
    assert (event["kind"], event["topic"], event["position"]) == ("row_refused", "AUSDT", FIRST + 2)
    assert "0.1234567890123456789" in event["detail"]


def test_gap_and_event_rows() -> None:
    tape = Tape()
    common = {
        "id": 5,
        "category": "linear",
        "topic": "tickers.A",
        "cause": "stalled",
        "fault": "venue",
        "leg": 1,
    }
    tape.columns.on_gap(Gap(**common, start_ns=10, end_ns=0, missing=-1, detail="", position=5))
    tape.columns.on_gap(Gap(**common, start_ns=10, end_ns=20, missing=0, detail="late", position=9))
    tape.columns.on_event(
        Event(category="linear", topic="", kind="connected", detail="ü", recv_ns=3, position=4)
    )
    rows = tape.rows()
    assert [(row["end"], row["missing"], row["detail"]) for row in rows["gap"]] == [
        (None, None, ""),
        (20, 0, "late"),
    ]
    assert (rows["event"][0]["kind"], rows["event"][0]["detail"]) == ("connected", "ü")


def test_same_callbacks_give_the_same_bytes_in_every_batch() -> None:
    def blocks(tape: Tape) -> dict[str, tuple[int, bytes]]:
        tape.feed(book_frame("AUSDT", "snapshot", 1, [("10.1", "1")], [("10.3", "4")]))
        tape.feed(trade_frame("BUSDT", [("x1", "Buy", "1", "1")]))
        return {table: (rows, bytes(block)) for table, (rows, block) in tape.columns.take().items()}

    used, fresh = Tape(), Tape()
    used.feed(trade_frame("AUSDT", [("x0", "Buy", "1", "1")]))
    used.columns.take()
    used.position, used.recv_ns = fresh.position, fresh.recv_ns
    assert blocks(used) == blocks(fresh)


def test_clear_forgets_rows_and_keeps_tickers() -> None:
    tape = Tape()
    tape.feed(ticker_frame("AUSDT", "snapshot", lastPrice="10.5"))
    tape.columns.clear()
    assert tape.columns.rows == 0
    tape.feed(ticker_frame("AUSDT", "delta", markPrice="1"))
    assert tape.rows()["ticker"][0]["last_price"] == Decimal("10.5")


def test_unknown_source_is_refused() -> None:
    with pytest.raises(ValueError, match="source was 'paper'"):
        Columns("r1", schema(), "paper")


def test_schema_of_another_width_is_refused() -> None:
    narrow = {
        **schema(),
        "bbo": tuple((name, "UInt32" if name == "position" else type_) for name, type_ in columns("bbo")),
    }
    with pytest.raises(ValueError, match=r"bbo\.position: type was UInt32, 4 bytes"):
        Columns("r1", narrow)


def test_blocks_name_the_columns_of_the_schema() -> None:
    assert set(schema()) == set(TABLES)
    assert dict(columns("book_delta"))["bids.step"] == "Array(Int64)"
    assert "bid_prices" not in dict(columns("book_delta"))
    assert "loaded_at" not in dict(columns("load_batch"))


def test_dictionary_of_more_than_256_names() -> None:
    table = Table("t", [("name", "LowCardinality(String)"), ("number", "UInt32")])
    names = [f"n{number % 300}" for number in range(1000)]
    for number, name in enumerate(names):
        table.append({"name": name, "number": number})
    assert [row["name"] for row in read_block(bytes(table.take()))] == names
    assert read_block(bytes(table.take())) == []


def test_memory_of_a_block_is_used_again_only_when_nobody_holds_it() -> None:
    table = Table("t", [("number", "UInt32")])
    blocks: list[Block] = []
    for number in range(3):
        table.append({"number": number})
        blocks.append(table.take())
    held, seen, freed = blocks.pop(), memoryview(blocks.pop()), id(blocks.pop())
    table.append({"number": 3})
    again = table.take()
    assert id(again) == freed
    assert [read_block(bytes(block)) for block in (seen, held, again)] == [[{"number": n}] for n in (1, 2, 3)]
    assert seen.readonly
    assert held.crc == crc32c_bytes(bytes(held)) != 0


def test_equal_names_of_different_objects_are_one_name() -> None:
    table = Table("t", [("name", "LowCardinality(String)")])
    for index in range(3000):
        table.append({"name": "-".join(("name", str(index % 600)))})
    block = bytes(table.take())
    assert [row["name"] for row in read_block(block)] == [f"name-{index % 600}" for index in range(3000)]
    assert block.count(b"name-7\x06") == 1


def test_row_that_does_not_fit_is_not_appended() -> None:
    table = Table("t", [("texts", "Array(String)"), ("number", "Decimal(38, 18)")])
    with pytest.raises(ValueError, match="number was"):
        table.append({"texts": ["lost"], "number": "nonsense"})
    table.append({"texts": ["kept", ""], "number": "-1.5"})
    assert read_block(bytes(table.take())) == [{"texts": ["kept", ""], "number": Decimal("-1.5")}]


@pytest.mark.parametrize(
    "text", ["0", "-0.000000000000000001", "99999999999999999999.999999999999999999", "1e3", "12.50", "1E-18"]
)
def test_decimal_cell_is_exact(text: str) -> None:
    for value in (text, Decimal(text)):
        assert int.from_bytes(decimal_cell(value), "little", signed=True) == Fraction(text) * 10**18


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1e-19", "100000000000000000000", "0x1", "1e999999999", "1" * 80]
)
def test_decimal_cell_refuses_what_it_cannot_hold(text: str) -> None:
    with pytest.raises(ValueError, match="number was"):
        decimal_cell(text)


def test_books_of_a_symbol_are_told_apart_by_kind() -> None:
    tape = Tape()
    tape.feed(
        special.book("rpi", "snapshot", 7, [("10.1", "1.5", "0")], [("10.3", "0", "4")], symbol="AUSDT")
    )
    tape.feed(special.book("rpi", "delta", 8, [("10.1", "0", "2")], [], symbol="AUSDT"))
    tape.feed(special.book("full", "delta", 3, [("9", "1")], [], symbol="AUSDT"))
    body = special.book_answer(3, [("9", "1")], [("11", "2")], symbol="AUSDT")
    tape.dispatcher.rest("full_book", "orderbook.full.AUSDT", body, tape.recv_ns, 0, FIRST + 9)
    rows = tape.rows()
    whole = [(row["kind"], row["depth"], row["bids.size"], row["asks.size"]) for row in rows["book_snapshot"]]
    assert whole == [("rpi", 50, [15], []), ("rpi_only", 50, [], [4]), ("full", 0, [1], [2])]
    assert [row["position"] for row in rows["book_snapshot"]] == [FIRST + 1, FIRST + 1, FIRST + 9]
    deltas = [(row["kind"], row["bids.size"], row["update_id"]) for row in rows["book_delta"]]
    assert deltas == [("rpi", [0], 8), ("rpi_only", [2], 8)]
    assert [(row["kind"], row["depth"]) for row in rows["bbo"]] == [("rpi", 50), ("rpi", 50), ("full", 0)]


def test_notices_keep_their_fields() -> None:
    tape = Tape()
    tape.feed(
        b'{"topic":"insurance.USDT","type":"delta","ts":1790000000000,"data":[{"symbols":"AUSDT","balance":"1.50"}]}'
    )
    (row,) = tape.rows()["notice"]
    assert (row["kind"], row["topic"], row["symbol"]) == ("insurance", "insurance.USDT", "AUSDT")
    assert (row["position"], row["item"], row["is_snapshot"]) == (FIRST + 1, 0, False)
    assert dict(row["fields"]) == {"symbols": "AUSDT", "balance": "1.50"}


def test_what_a_backfill_brought_says_so() -> None:
    tape = Tape()
    tape.feed(frames.trade_frame(special.trade(1, 1000)))
    tape.dispatcher.disconnected(0, tape.recv_ns)
    body = special.trades_answer([special.rest_trade(2, 2000)])
    tape.dispatcher.rest("trades", "publicTrade.BTCUSDT", body, tape.recv_ns, 0, FIRST + 5)
    rows = tape.rows()["trade"]
    assert [(row["trade_id"][-1], row["source"], row["position"]) for row in rows] == [
        ("1", "live", FIRST + 1),
        ("2", "backfill", FIRST + 5),
    ]
