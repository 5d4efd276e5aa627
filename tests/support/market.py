"""Frames made by hand, and spools of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from ext.journal import RecordKind
from recorder.spool.writer import Spool

START_NS = 1_790_000_000_000_000_000
MS = 1_000_000
S = 1_000_000_000
URL = "ws://127.0.0.1/v5/public/linear"

Levels = Sequence[tuple[str, str]]


def book_frame(
    symbol: str,
    kind: str,
    update_id: int,
    bids: Levels = (),
    asks: Levels = (),
    *,
    depth: int = 50,
    ts_ms: int = START_NS // MS,
    seq: int | None = None,
) -> bytes:
    """An orderbook frame of the linear category; seq follows the update id, cts is 3 ms before ts."""
    return orjson.dumps(
        {
            "topic": f"orderbook.{depth}.{symbol}",
            "type": kind,
            "ts": ts_ms,
            "data": {"s": symbol, "b": bids, "a": asks, "u": update_id, "seq": seq or update_id * 10},
            "cts": ts_ms - 3,
        }
    )


def trade_frame(
    symbol: str, trades: Iterable[tuple[str, str, str, str]], *, ts_ms: int = START_NS // MS
) -> bytes:
    """A publicTrade frame from (id, side, price, size); each trade happened 2 ms before ts."""
    return orjson.dumps(
        {
            "topic": f"publicTrade.{symbol}",
            "type": "snapshot",
            "ts": ts_ms,
            "data": [
                {
                    "T": ts_ms - 2,
                    "s": symbol,
                    "S": side,
                    "v": size,
                    "p": price,
                    "L": "PlusTick",
                    "i": number,
                    "BT": False,
                    "RPI": True,
                    "seq": 77,
                }
                for number, side, price, size in trades
            ],
        }
    )


def ticker_frame(symbol: str, kind: str, *, ts_ms: int = START_NS // MS, **fields: str) -> bytes:
    """A linear tickers frame."""
    data = {"symbol": symbol, **fields}
    return orjson.dumps({"topic": f"tickers.{symbol}", "type": kind, "data": data, "cs": 99, "ts": ts_ms})


def kline_frame(
    symbol: str, *, ts_ms: int = START_NS // MS, closed: bool = False, volume: str = "1.5"
) -> bytes:
    """A kline.1 frame."""
    start = ts_ms // 60_000 * 60_000
    candle = {
        "start": start,
        "end": start + 59_999,
        "interval": "1",
        "open": "10.1",
        "close": "10.2",
        "high": "10.3",
        "low": "10",
        "volume": volume,
        "turnover": "15.3",
        "confirm": closed,
        "timestamp": ts_ms - 1,
    }
    return orjson.dumps({"topic": f"kline.1.{symbol}", "data": [candle], "ts": ts_ms, "type": "snapshot"})


class SpoolMaker:
    """Writes a spool as a recorder of one linear connection would."""

    def __init__(
        self,
        folder: Path,
        recorder: str = "r1",
        *,
        start_ns: int = START_NS,
        segment_bytes: int = 1 << 16,
        wanted: Sequence[str] = (),
    ):
        self.now_ns = start_ns
        self.wall_ahead_ns = 0  # of the monotonic clock
        self.connection = {"connection": 1, "category": "linear", "leg": 0, "url": URL}
        self.topics: list[str] = []
        self.wanted = list(wanted)
        self.spool = Spool(
            folder,
            recorder,
            now=lambda: (self.wall_ns, self.now_ns),
            describe=self._describe,
            segment_bytes=segment_bytes,
        )

    @property
    def wall_ns(self) -> int:
        """What the wall clock shows."""
        return self.now_ns + self.wall_ahead_ns

    def beat(self, seconds: int) -> None:
        """Let so many seconds pass, with a heartbeat in each."""
        for _ in range(seconds):
            self.now_ns += S
            self.spool.heartbeat()

    def _describe(self) -> dict[str, Any]:
        if not self.topics:
            return {"connections": [], "topics": {"linear": self.wanted} if self.wanted else {}}
        return {
            "connections": [{**self.connection, "topics": self.topics}],
            "topics": {"linear": self.topics},
        }

    def disconnect(self, cause: str, detail: str = "") -> int:
        """Lose the connection; returns the position of the record."""
        common = {"connection": 1, "category": "linear", "leg": 0}
        return self.record(RecordKind.DISCONNECTED, {**common, "cause": cause, "detail": detail})

    def record(self, kind: RecordKind, payload: dict[str, Any]) -> int:
        """Append a decision; returns its position."""
        position = self.spool.journal.append_record(kind, orjson.dumps(payload), 1, self.wall_ns, self.now_ns)
        self._written()
        return position

    def connect(self, *topics: str) -> None:
        """Open the connection and subscribe."""
        self.topics = list(topics)
        common = {"connection": 1, "category": "linear", "leg": 0, "topics": self.topics}
        self.record(RecordKind.CONNECTED, self.connection)
        self.record(RecordKind.REQUESTED, {**common, "op": "desire"})
        self.record(RecordKind.CONFIRMED, {**common, "op": "subscribe"})

    def frame(self, frame: bytes, after_ns: int = 10 * MS) -> int:
        """Append a frame received that much later; returns its position."""
        self.now_ns += after_ns
        position = self.spool.journal.append_record(RecordKind.FRAME, frame, 1, self.wall_ns, self.now_ns)
        self._written()
        return position

    def _written(self) -> None:
        self.spool.journal.commit()
        while self.spool.journal.next_pending() is not None:
            pass

    def close(self) -> None:
        """Stop on purpose."""
        self.spool.close()


def make_market(maker: SpoolMaker, messages: int, symbols: Sequence[str] = ("AAAUSDT", "BBBUSDT")) -> None:
    """Subscribe, and record a small market: books, trades, tickers and klines of each symbol."""
    maker.connect(
        *(
            f"{kind}.{symbol}"
            for symbol in symbols
            for kind in ("orderbook.50", "publicTrade", "tickers", "kline.1")
        )
    )
    for symbol in symbols:
        maker.frame(
            book_frame(
                symbol, "snapshot", 100, [("10.1", "1"), ("10.0", "2")], [("10.3", "1"), ("10.4", "2")]
            )
        )
        maker.frame(ticker_frame(symbol, "snapshot", lastPrice="10.2", markPrice="10.21"))
    for number in range(messages):
        symbol = symbols[number % len(symbols)]
        update_id = 101 + number // len(symbols)
        size = f"{number % 7 + 1}.5"
        maker.frame(book_frame(symbol, "delta", update_id, [("10.1", size)], [("10.3", size), ("10.5", "0")]))
        if number % 3 == 0:
            maker.frame(
                trade_frame(
                    symbol, [(f"{symbol}-{number}", "Buy", "10.3", size), (f"{number}b", "Sell", "10.1", "1")]
                )
            )
        if number % 5 == 0:
            maker.frame(ticker_frame(symbol, "delta", lastPrice=f"10.{number % 10}"))
        if number % 11 == 0:
            maker.frame(kline_frame(symbol))
