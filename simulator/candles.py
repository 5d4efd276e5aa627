"""Candles of one symbol from its trades: minutes are counted, longer intervals folded from them."""

import datetime
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from simulator.instruments import Instrument
from simulator.market import Trade
from simulator.numbers import decimal_text

INTERVALS = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M")
MINUTE_MS = 60_000
DAY_MS = 86_400_000
MONDAY_MS = 4 * DAY_MS
MINUTES_KEPT_MAX = 31 * 1_440 + 1


def candle_bounds(interval: str, ms: int) -> tuple[int, int]:
    """Return first and last millisecond of the candle that holds a moment (UTC; weeks begin on Monday)."""
    if interval == "M":
        day = datetime.datetime.fromtimestamp(ms // 1_000, datetime.UTC).date().replace(day=1)
        following = (day + datetime.timedelta(days=31)).replace(day=1)
        return _midnight_ms(day), _midnight_ms(following) - 1
    if interval == "W":
        start = (ms - MONDAY_MS) // (7 * DAY_MS) * 7 * DAY_MS + MONDAY_MS
        return start, start + 7 * DAY_MS - 1
    length = DAY_MS if interval == "D" else int(interval) * MINUTE_MS
    return ms // length * length, ms // length * length + length - 1


def _midnight_ms(day: datetime.date) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()) * 1_000


@dataclass(slots=True)
class Candle:
    """Prices in ticks, volume in steps, turnover in ticks x steps."""

    start_ms: int
    end_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    turnover: int = 0

    @classmethod
    def of_trades(cls, trades: list[Trade]) -> "Candle":
        """Return the candle of some trades, which has no time of its own."""
        prices = [trade.price for trade in trades]
        volume = sum(trade.size for trade in trades)
        turnover = sum(trade.price * trade.size for trade in trades)
        return cls(0, 0, prices[0], max(prices), min(prices), prices[-1], volume, turnover)

    def add(self, later: "Candle") -> None:
        """Count what follows within the same interval."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.turnover += later.turnover

    def fields(self, instrument: Instrument, interval: str, confirm: bool, ms: int) -> dict[str, Any]:
        """Return the candle in the keys, order and spelling of the kline topic."""
        turnover = self.turnover * instrument.tick * instrument.step
        return {
            "start": self.start_ms,
            "end": self.end_ms,
            "interval": interval,
            "open": instrument.short_price(self.open),
            "close": instrument.short_price(self.close),
            "high": instrument.short_price(self.high),
            "low": instrument.short_price(self.low),
            "volume": instrument.short_size(self.volume),
            "turnover": decimal_text(
                turnover, instrument.price_decimals + instrument.size_decimals, trim=True
            ),
            "confirm": confirm,
            "timestamp": ms,
        }


class Candles:
    """The minutes of a symbol since the market began; a minute without a trade keeps the last close."""

    def __init__(self, price: int, start_ms: int) -> None:
        start, end = candle_bounds("1", start_ms)
        self._minutes: deque[Candle] = deque(maxlen=MINUTES_KEPT_MAX)
        self._minutes.append(Candle(start, end, price, price, price, price))

    def add(self, trades: Candle, ms: int) -> None:
        """Count the trades of a moment."""
        self.roll(ms)
        self._minutes[-1].add(trades)

    def roll(self, ms: int) -> None:
        """Open the minutes up to a moment."""
        while self._minutes[-1].end_ms < ms:
            last = self._minutes[-1]
            close, length = last.close, MINUTE_MS
            self._minutes.append(Candle(last.end_ms + 1, last.end_ms + length, close, close, close, close))

    def of(self, interval: str, since_ms: int = 0) -> list[Candle]:
        """Return the candles that end at `since_ms` or later, oldest first, the open one last."""
        folded: list[Candle] = []
        for minute in reversed(self._minutes):
            if minute.end_ms < since_ms:
                break
            folded.append(minute)
        candles: list[Candle] = []
        for minute in reversed(folded):
            if candles and minute.start_ms <= candles[-1].end_ms:
                candles[-1].add(minute)
            else:
                start, end = candle_bounds(interval, minute.start_ms)
                candles.append(replace(minute, start_ms=start, end_ms=end))
        return candles
