"""Frames and REST answers of the shapes beside plain books and trades."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

TS_MS = 1_790_000_000_000

Level = Sequence[str]


def book(
    parameter: str,
    kind: str,
    update_id: int,
    bids: Iterable[Level],
    asks: Iterable[Level],
    *,
    seq: int | None = None,
    symbol: str = "BTCUSDT",
) -> bytes:
    """A book message of any parameter; `seq` is ten times `u` unless told."""
    data = {
        "s": symbol,
        "b": [list(level) for level in bids],
        "a": [list(level) for level in asks],
        "u": update_id,
        "seq": 10 * update_id if seq is None else seq,
    }
    message = {"topic": f"orderbook.{parameter}.{symbol}", "type": kind, "ts": TS_MS, "data": data}
    return json.dumps({**message, "cts": TS_MS - 3}, separators=(",", ":")).encode()


def answer(result: dict[str, Any], *, ret_code: int = 0, time_ms: int = TS_MS) -> bytes:
    """The envelope of REST."""
    return json.dumps({"retCode": ret_code, "retMsg": "OK", "result": result, "time": time_ms}).encode()


def book_answer(
    update_id: int,
    bids: Iterable[Level],
    asks: Iterable[Level],
    *,
    seq: int | None = None,
    symbol: str = "BTCUSDT",
) -> bytes:
    return answer(
        {
            "s": symbol,
            "b": [list(level) for level in bids],
            "a": [list(level) for level in asks],
            "ts": TS_MS,
            "u": update_id,
            "seq": 10 * update_id if seq is None else seq,
        }
    )


def rest_trade(number: int, time_ms: int, symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {
        "execId": trade_id(number),
        "symbol": symbol,
        "price": "100.5",
        "size": str(number),
        "side": "Buy",
        "time": str(time_ms),
        "isBlockTrade": False,
        "isRPITrade": True,
        "seq": str(number),
    }


def trade(number: int, time_ms: int, symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {
        "T": time_ms,
        "s": symbol,
        "S": "Buy",
        "v": str(number),
        "p": "100.5",
        "i": trade_id(number),
        "seq": number,
    }


def trade_id(number: int) -> str:
    return f"00000000-0000-5000-8000-{number:012d}"


def trades_answer(trades: Iterable[dict[str, Any]]) -> bytes:
    """Newest first, as the venue has them."""
    return answer({"category": "linear", "list": list(trades)[::-1]})
