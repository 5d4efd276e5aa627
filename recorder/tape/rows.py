"""Rows of the tables as the venue's messages again: frames, and answers of REST where it was REST that told.

A row is a dict of the columns that `COLUMNS` names for its table; ``*_ms`` and ``*_ns`` are integers.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import orjson

from ext.ticker_row import NUMBERS, TEXTS, TIMES
from recorder.history.moments import iso
from recorder.tape.listeners import trade_topic

if TYPE_CHECKING:  # the database engine takes a second to load
    from recorder.database.clickhouse import Database

__all__ = ["COLUMNS", "FRAMES", "ORDER", "Row", "book_frame", "select", "ticker_frame", "topic_of"]

Row = dict[str, Any]
Level = tuple[str, ...]

NS_PER_MS: Final = 1_000_000
OPTION_LIKE: Final = ("option", "spread")  # their tickers have other names for some columns
NAMES: Final = {column: field for field, column in reversed(NUMBERS.items())}
OPTION_NAMES: Final = {column: field for field, column in NUMBERS.items()}


def _ms(column: str) -> str:
    return f"toUnixTimestamp64Milli({column}) AS {column}_ms"


_RECV: Final = "toUnixTimestamp64Nano(recv) AS recv_ns"
_ITEM: Final = ("category", "symbol", "position", _RECV, _ms("ts"))
_BOOK: Final = (*_ITEM, "kind", "depth", _ms("cts"), "update_id", "seq", "price_scale", "size_scale")
_LEVELS: Final = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")
_CANDLE: Final = ("open", "high", "low", "close", "volume", "turnover")

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "gap": (
        *("category", "topic", "position", "id", "cause", "fault", "leg", "missing", "detail"),
        "toUnixTimestamp64Nano(start) AS start_ns",
        "ifNull(toUnixTimestamp64Nano(end), 0) AS end_ns",
    ),
    "event": ("category", "topic", "position", _RECV, "leg", "kind", "detail"),
    "book_snapshot": (*_BOOK, *_LEVELS),
    "book_delta": (*_BOOK, *_LEVELS),
    "bbo": (*_BOOK, "bid_price", "bid_size", "ask_price", "ask_size"),
    "trade": (
        *(*_ITEM, "item", _ms("time"), "source", "seq", "trade_id", "side", "price_scale", "size_scale"),
        *("price", "size", "tick_direction", "is_block", "is_rpi"),
    ),
    "ticker": (
        *(*_ITEM, "seq", "is_snapshot", *dict.fromkeys(NUMBERS.values()), *TEXTS.values()),
        *(*map(_ms, TIMES.values()), "extra"),
    ),
    "kline": (
        *(*_ITEM, "item", _ms("time"), "source", "interval", _ms("start"), _ms("end"), *_CANDLE),
        "is_closed",
    ),
    "liquidation": (*_ITEM, "item", _ms("time"), "side", "price", "size"),
    "notice": (*_ITEM, "item", "topic", "is_snapshot", "fields"),
}
ORDER: Final = {
    **dict.fromkeys(("book_snapshot", "book_delta", "bbo"), "position, update_id, kind"),
    **dict.fromkeys(("trade", "kline", "liquidation", "notice"), "position, item"),
    "gap": "position, topic, isNotNull(end)",
}
"""By what the rows of a table are sorted, `position` unless said."""


def select(
    database: "Database",
    table: str,
    condition: str,
    parameters: dict[str, Any],
    *,
    columns: Sequence[str] = (),
    order: str = "",
) -> list[Row]:
    """Return the rows of a table of one recorder (a parameter) that meet a condition, in their order."""
    chosen = columns or COLUMNS[table]
    sql = (
        f"SELECT {', '.join(chosen)} FROM {table} WHERE recorder = {{recorder:String}} AND {condition}"  # noqa: S608 (our own names)
        f" ORDER BY {order or ORDER.get(table, 'position')}"
    )
    names = [column.rpartition(" AS ")[2] for column in chosen]
    return [dict(zip(names, row, strict=True)) for row in database.query(sql, parameters)]


def topic_of(table: str, row: Row) -> str:
    """Return the topic of a row."""
    if "topic" in row:
        return str(row["topic"])
    symbol = row["symbol"]
    if table in ("book_snapshot", "book_delta", "bbo"):
        parameter = row["depth"] if row["kind"] == "plain" else row["kind"].removesuffix("_only")
        return f"orderbook.{parameter}.{symbol}"
    if table == "trade":
        return trade_topic(row["category"], symbol)
    if table == "kline":
        return f"kline.{row['interval']}.{symbol}"
    return f"{'tickers' if table == 'ticker' else 'allLiquidation'}.{symbol}"


def scaled(mantissa: int, scale: int) -> str:
    """Return the text of an integer with a scale: 1050 with 2 is 10.50."""
    if not scale:
        return str(mantissa)
    digits = str(abs(mantissa)).rjust(scale + 1, "0")
    return f"{'-' if mantissa < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def plain(number: Decimal) -> str:
    """Return the shortest plain text of a number."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def levels(rows: Sequence[Row], side: str) -> list[Level]:
    """Return one side of a message: its prices with the size of each row (two rows: an RPI book)."""
    found: dict[str, list[str]] = {}
    for place, row in enumerate(rows):
        pairs = zip(row[f"{side}_prices"], row[f"{side}_sizes"], strict=True)
        for mantissa, size in pairs:
            sizes = found.setdefault(scaled(mantissa, row["price_scale"]), ["0"] * len(rows))
            sizes[place] = scaled(size, row["size_scale"])
    return [(price, *sizes) for price, sizes in found.items()]


def book_frame(topic: str, kind: str, row: Row, bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
    """Return a message of a book; the numbers are those of a row."""
    symbol = topic.split(".", 2)[2]
    data = {"s": symbol, "b": bids, "a": asks, "u": row["update_id"], "seq": row["seq"]}
    return orjson.dumps(
        {"topic": topic, "type": kind, "ts": row["ts_ms"], "data": data, "cts": row["cts_ms"]}
    )


def full_answer(symbol: str, row: Row, bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
    """Return the answer of REST by which a full book begins."""
    numbers = {"ts": row["ts_ms"], "u": row["update_id"], "seq": row["seq"], "cts": row["cts_ms"]}
    return _answer({"s": symbol, "b": bids, "a": asks, **numbers}, row["ts_ms"])


def trades_answer(rows: Sequence[Row]) -> bytes:
    """Return the answer of REST that told these trades: newest first."""
    trades = [
        {
            "execId": row["trade_id"],
            "symbol": row["symbol"],
            "price": scaled(row["price"], row["price_scale"]),
            "size": scaled(row["size"], row["size_scale"]),
            "side": row["side"],
            "time": str(row["time_ms"]),
            "isBlockTrade": row["is_block"],
            "isRPITrade": row["is_rpi"],
            "seq": str(row["seq"]),
        }
        for row in reversed(rows)
    ]
    return _answer({"list": trades}, rows[0]["ts_ms"])


def candles_answer(rows: Sequence[Row]) -> bytes:
    """Return the answer of REST that told these candles."""
    candles = [[str(row["start_ms"]), *(plain(row[name]) for name in _CANDLE)] for row in reversed(rows)]
    return _answer({"list": candles}, rows[0]["ts_ms"])


def _answer(result: dict[str, Any], time_ms: int) -> bytes:
    return orjson.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": time_ms})


def _message(topic: str, kind: str, rows: Sequence[Row], data: Any) -> bytes:
    return orjson.dumps({"topic": topic, "type": kind, "ts": rows[0]["ts_ms"], "data": data})


def _snapshot(topic: str, rows: Sequence[Row]) -> bytes:
    bids, asks = levels(rows, "bid"), levels(rows, "ask")
    if len(rows) > 1:  # of an RPI book: a price may have either size alone
        bids.sort(key=lambda level: Decimal(level[0]), reverse=True)
        asks.sort(key=lambda level: Decimal(level[0]))
    return book_frame(topic, "snapshot", rows[0], bids, asks)


def _delta(topic: str, rows: Sequence[Row]) -> bytes:
    return book_frame(topic, "delta", rows[0], levels(rows, "bid"), levels(rows, "ask"))


def _best(topic: str, rows: Sequence[Row]) -> bytes:
    row = rows[0]
    sides = []
    for side in ("bid", "ask"):
        size = scaled(row[f"{side}_size"], row["size_scale"])
        sides.append(
            [(scaled(row[f"{side}_price"], row["price_scale"]), size)] if row[f"{side}_size"] else []
        )
    return book_frame(topic, "snapshot", row, *sides)


def _trades(topic: str, rows: Sequence[Row]) -> bytes:
    trades = []
    for row in rows:
        price, size = scaled(row["price"], row["price_scale"]), scaled(row["size"], row["size_scale"])
        trade = {"T": row["time_ms"], "s": row["symbol"], "S": row["side"], "v": size, "p": price}
        trade |= {"L": row["tick_direction"]} if row["tick_direction"] else {}
        flags = {"i": row["trade_id"], "BT": row["is_block"], "RPI": row["is_rpi"], "seq": row["seq"]}
        trades.append(trade | flags)
    return _message(topic, "snapshot", rows, trades)


def _klines(topic: str, rows: Sequence[Row]) -> bytes:
    candles = [
        {"start": row["start_ms"], "end": row["end_ms"], "interval": row["interval"]}
        | {name: plain(row[name]) for name in _CANDLE}
        | {"confirm": row["is_closed"], "timestamp": row["time_ms"]}
        for row in rows
    ]
    return _message(topic, "snapshot", rows, candles)


def _liquidations(topic: str, rows: Sequence[Row]) -> bytes:
    entries = [
        {
            "T": row["time_ms"],
            "s": row["symbol"],
            "S": row["side"],
            "v": plain(row["size"]),
            "p": plain(row["price"]),
        }
        for row in rows
    ]
    return _message(topic, "snapshot", rows, entries)


def _notices(topic: str, rows: Sequence[Row]) -> bytes:
    kind = "snapshot" if rows[0]["is_snapshot"] else "delta"
    return _message(topic, kind, rows, [dict(row["fields"]) for row in rows])


FRAMES: Final[dict[str, Callable[[str, Sequence[Row]], bytes]]] = {
    "book_snapshot": _snapshot,
    "book_delta": _delta,
    "bbo": _best,
    "trade": _trades,
    "kline": _klines,
    "liquidation": _liquidations,
    "notice": _notices,
}
"""The frame of the rows of one message, by table; tickers need what came before (`ticker_frame`)."""


def ticker_fields(row: Row) -> dict[str, str]:
    """Return the fields of a merged ticker, as the venue names them in that category."""
    fields = dict(row["extra"])
    for column, field in (OPTION_NAMES if row["category"] in OPTION_LIKE else NAMES).items():
        if row[column] is not None:
            fields[field] = plain(row[column])
    for field, column in TEXTS.items():
        if row[column]:
            fields[field] = row[column]
    for field, column in TIMES.items():
        time_ms = row[f"{column}_ms"]
        if time_ms is not None:
            # The venue spells this one as a date.
            fields[field] = iso(time_ms * NS_PER_MS) if field == "deliveryTime" else str(time_ms)
    return fields


def ticker_frame(topic: str, row: Row, before: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """Return the message that leads from the fields before to those of a row, and these."""
    fields = ticker_fields(row)
    changed = fields
    if not row["is_snapshot"]:
        gone = dict.fromkeys(before.keys() - fields.keys(), "")
        changed = {name: text for name, text in fields.items() if before.get(name) != text} | gone
    kind = "snapshot" if row["is_snapshot"] else "delta"
    data = {"symbol": row["symbol"], **changed}
    sequence = {} if row["seq"] is None else {"cs": row["seq"]}
    frame = orjson.dumps({"topic": topic, "type": kind, "data": data, **sequence, "ts": row["ts_ms"]})
    return frame, fields
