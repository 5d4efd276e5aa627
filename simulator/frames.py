"""The text of every data frame, key by key in the order of the wire.

A template is a whole frame with `%d` where numbers change from lap to lap: serving it is one formatting.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from simulator.instruments import Instrument
from simulator.market import Trade

Rows = Iterable[tuple[str, str]]
"""(price, size) texts."""


def _rows(rows: Rows) -> str:
    return ",".join(f'["{price}","{size}"]' for price, size in rows)


def book_template(instrument: Instrument, depth: int, kind: str, bids: Rows, asks: Rows) -> bytes:
    """Return the frame of an order-book message; its holes are ts, u, seq, cts.

    {"topic":"orderbook.50.BTCUSDT","type":"delta","ts":…,"data":{"s":…,"b":[…],"a":[…],"u":…,"seq":…},"cts":…};
    spot, and level 1 everywhere, have ts before type.
    """
    head = f'"type":"{kind}","ts":%d'
    if instrument.category == "spot" or depth == 1:
        head = f'"ts":%d,"type":"{kind}"'
    return (
        f'{{"topic":"orderbook.{depth}.{instrument.symbol}",{head},"data":{{"s":"{instrument.symbol}",'
        f'"b":[{_rows(bids)}],"a":[{_rows(asks)}],"u":%d,"seq":%d}},"cts":%d}}'
    ).encode()


def trade_id_template(instrument: Instrument) -> str:
    """Return the id of a trade with one hole, its number: a UUID on linear, digits on spot."""
    return "229%016d" if instrument.category == "spot" else "5f0ad1c2-7be4-5a31-9c6e-%012x"


def trades_template(instrument: Instrument, trades: list[Trade], directions: list[str]) -> bytes:
    """Return the frame of trades of one moment; its holes are ts and then those of each trade.

    linear: T, id number, seq; spot: id number, T, seq (the orders of their keys).
    """
    trade_id = trade_id_template(instrument)
    elements = []
    for trade, direction in zip(trades, directions, strict=True):
        side = "Buy" if trade.buys else "Sell"
        rpi = "true" if trade.rpi else "false"
        size, price = instrument.size(trade.size), instrument.price(trade.price)
        if instrument.category == "spot":
            elements.append(
                f'{{"i":"{trade_id}","T":%d,"p":"{price}","v":"{size}","S":"{side}","seq":%d,'
                f'"s":"{instrument.symbol}","BT":false,"RPI":{rpi}}}'
            )
        else:
            elements.append(
                f'{{"T":%d,"s":"{instrument.symbol}","S":"{side}","v":"{size}","p":"{price}","L":"{direction}",'
                f'"i":"{trade_id}","BT":false,"RPI":{rpi},"seq":%d}}'
            )
    head = '"ts":%d,"type":"snapshot"' if instrument.category == "spot" else '"type":"snapshot","ts":%d'
    return f'{{"topic":"publicTrade.{instrument.symbol}",{head},"data":[{",".join(elements)}]}}'.encode()


def liquidation_template(instrument: Instrument, trade: Trade) -> bytes:
    """Return an allLiquidation frame; its holes are ts and T; `S` is the side of the closed position."""
    side = "Sell" if trade.buys else "Buy"
    return (
        f'{{"topic":"allLiquidation.{instrument.symbol}","type":"snapshot","ts":%d,"data":[{{"T":%d,'
        f'"s":"{instrument.symbol}","S":"{side}","v":"{instrument.size(trade.size)}","p":"{instrument.price(trade.price)}"}}]}}'
    ).encode()


def ticker(instrument: Instrument, kind: str, fields: dict[str, str], cross_seq: int, ts_ms: int) -> bytes:
    """Return a tickers frame of the given fields; `symbol` is added in front."""
    topic = f"tickers.{instrument.symbol}"
    data = {"symbol": instrument.symbol, **fields}
    if instrument.category == "spot":
        return orjson.dumps({"topic": topic, "ts": ts_ms, "type": kind, "cs": cross_seq, "data": data})
    return orjson.dumps({"topic": topic, "type": kind, "data": data, "cs": cross_seq, "ts": ts_ms})


def kline(instrument: Instrument, interval: str, candles: list[dict[str, Any]], ts_ms: int) -> bytes:
    """Return a kline frame of candles that are in the key order of the wire already."""
    topic = f"kline.{interval}.{instrument.symbol}"
    return orjson.dumps({"topic": topic, "data": candles, "ts": ts_ms, "type": "snapshot"})
