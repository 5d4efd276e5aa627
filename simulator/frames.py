"""The text of every data frame, key by key in the order of the wire.

A template is a whole frame with `%d` where numbers change from lap to lap: serving it is one formatting.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from simulator.instruments import Instrument
from simulator.market import Trade
from simulator.topics import RPI, Depth

Rows = Iterable[tuple[str, ...]]
"""(price, size) texts; of RPI books (price, size, RPI size)."""

OPTION_INDEX, OPTION_IV = "86750.1", "0.52"
"""The options of the simulator have one underlying price and one volatility."""


def _rows(rows: Rows) -> str:
    return ",".join('["' + '","'.join(row) + '"]' for row in rows)


def book_template(instrument: Instrument, depth: Depth, kind: str, bids: Rows, asks: Rows) -> bytes:
    """Return the frame of an order-book message; its holes are ts, u, seq, cts.

    {"topic":"orderbook.50.BTCUSDT","type":"delta","ts":…,"data":{"s":…,"b":[…],"a":[…],"u":…,"seq":…},"cts":…};
    spot, and level 1 and RPI everywhere, have ts before type.
    """
    head = f'"type":"{kind}","ts":%d'
    if instrument.category == "spot" or depth in (1, RPI):
        head = f'"ts":%d,"type":"{kind}"'
    return (
        f'{{"topic":"orderbook.{depth}.{instrument.symbol}",{head},"data":{{"s":"{instrument.symbol}",'
        f'"b":[{_rows(bids)}],"a":[{_rows(asks)}],"u":%d,"seq":%d}},"cts":%d}}'
    ).encode()


def trade_id_template(instrument: Instrument) -> str:
    """Return the id of a trade with one hole, its number: a UUID on linear, digits on spot."""
    return "229%016d" if instrument.category == "spot" else "5f0ad1c2-7be4-5a31-9c6e-%012x"


def trades_template(instrument: Instrument, trades: list[Trade], directions: list[str]) -> bytes:
    """Return the frame of trades of one moment; its holes are those of `trade_numbers`."""
    elements = [_trade(instrument, *one) for one in zip(trades, directions, strict=True)]
    data = f'"data":[{",".join(elements)}]'
    if instrument.category == "option":
        topic = f"publicTrade.{instrument.coins()[0]}"
        return f'{{"id":"{topic}-%d-%d","topic":"{topic}","type":"snapshot","ts":%d,{data}}}'.encode()
    head = '"ts":%d,"type":"snapshot"' if instrument.category == "spot" else '"type":"snapshot","ts":%d'
    return f'{{"topic":"publicTrade.{instrument.symbol}",{head},{data}}}'.encode()


def _trade(instrument: Instrument, trade: Trade, direction: str) -> str:
    trade_id, symbol = trade_id_template(instrument), instrument.symbol
    side = "Buy" if trade.buys else "Sell"
    rpi = "true" if trade.rpi else "false"
    size, price = instrument.size(trade.size), instrument.price(trade.price)
    if instrument.category == "spot":
        return (
            f'{{"i":"{trade_id}","T":%d,"p":"{price}","v":"{size}","S":"{side}","seq":%d,'
            f'"s":"{symbol}","BT":false,"RPI":{rpi}}}'
        )
    if instrument.category == "option":
        return (
            f'{{"p":"{price}","v":"{size}","i":"{trade_id}","T":%d,"BT":false,"s":"{symbol}","S":"{side}",'
            f'"mP":"{price}","iP":"{OPTION_INDEX}","mIv":"{OPTION_IV}","iv":"{OPTION_IV}"}}'
        )
    start = (
        f'{{"T":%d,"s":"{symbol}","S":"{side}","v":"{size}","p":"{price}","L":"{direction}","i":"{trade_id}"'
    )
    if instrument.category == "spread":
        return f'{start},"seq":%d}}'
    return f'{start},"BT":false,"RPI":{rpi},"seq":%d}}'


def trade_numbers(
    category: str, ts_ms: int, ms: int, first: int, seq_base: int, trades: list[Trade]
) -> tuple[int, ...]:
    """Return what fills the holes of a trades template; `first` is the id number of the first trade."""
    numbers = [first, ts_ms, ts_ms] if category == "option" else [ts_ms]
    for number, trade in enumerate(trades, start=first):
        if category == "spot":
            numbers += (number, ms, seq_base + trade.seq)
        elif category == "option":
            numbers += (number, ms)
        else:
            numbers += (ms, number, seq_base + trade.seq)
    return tuple(numbers)


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
    if instrument.category == "option":
        name = f"{topic}-{cross_seq}-{ts_ms}"
        return orjson.dumps({"id": name, "topic": topic, "ts": ts_ms, "data": data, "type": kind})
    if instrument.category == "spread":
        return orjson.dumps({"topic": topic, "ts": ts_ms, "type": kind, "data": data})
    return orjson.dumps({"topic": topic, "type": kind, "data": data, "cs": cross_seq, "ts": ts_ms})


def price_limit(instrument: Instrument, highest: int, lowest: int, ts_ms: int) -> bytes:
    """Return a priceLimit frame: the highest bid and the lowest ask that are let in, in ticks."""
    data = {
        "symbol": instrument.symbol,
        "buyLmt": instrument.price(highest),
        "sellLmt": instrument.price(lowest),
    }
    return orjson.dumps({"topic": f"priceLimit.{instrument.symbol}", "data": data, "ts": ts_ms})


def kline(instrument: Instrument, interval: str, candles: list[dict[str, Any]], ts_ms: int) -> bytes:
    """Return a kline frame of candles that are in the key order of the wire already."""
    topic = f"kline.{interval}.{instrument.symbol}"
    return orjson.dumps({"topic": topic, "data": candles, "ts": ts_ms, "type": "snapshot"})
