"""A lap of one symbol's market, rendered: every book and trade frame, ready but for its times and numbers."""

from dataclasses import dataclass
from decimal import Decimal
from random import Random

import orjson

from simulator import frames
from simulator.book import Levels, changes
from simulator.candles import Candle
from simulator.frames import Rows
from simulator.instruments import Instrument, Listing
from simulator.market import BOOK_BEATS, Market, Trade

DEPTHS = (1, 50, 200, 1000)
BEATS = {1: 1, 50: 1, 200: 2, 1000: 3}
"""A depth publishes at every n-th step: so a message of each carries about as many changes as the venue's."""
LIQUIDATION_EVERY = 25
"""Every n-th step with trades on linear is a liquidation."""

LAP_STEPS_MAX = 2_046
LAP_STEPS_MIN = 120

TopOfBook = tuple[int, int, int, int]
"""Bid price, bid size, ask price, ask size, in ticks and steps."""


@dataclass(slots=True)
class Step:
    """What one step sends. `seq` counts within the lap; `books` holds (index in DEPTHS, template)."""

    seq: int
    top: TopOfBook
    books: tuple[tuple[int, bytes], ...]
    trades: "Trades | None"


@dataclass(slots=True)
class Trades:
    """The trades of a step: one by one, summed, and as frames. `liquidation` is empty where there is none."""

    trades: list[Trade]
    sum: Candle
    direction: str
    template: bytes
    liquidation: bytes


@dataclass(slots=True)
class Window:
    """A window as a client holds it: price text to size text, a side, best price first."""

    bids: dict[str, str]
    asks: dict[str, str]

    def rows(self, depth: int | None = None) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Return the best `depth` rows of each side."""
        return list(self.bids.items())[:depth], list(self.asks.items())[:depth]

    def apply(self, bids: Rows, asks: Rows) -> None:
        """Apply level changes as a client does; call `sort` when all are applied."""
        for side, rows in ((self.bids, bids), (self.asks, asks)):
            for price, size in rows:
                if Decimal(size) == 0:
                    side.pop(price, None)
                else:
                    side[price] = size

    def sort(self) -> None:
        """Put the best price first again."""
        self.bids = {price: self.bids[price] for price in sorted(self.bids, key=Decimal, reverse=True)}
        self.asks = {price: self.asks[price] for price in sorted(self.asks, key=Decimal)}


class Tape:
    """The steps of a lap, and the window of each depth at any place in it. Immutable once made."""

    def __init__(self, listing: Listing, random: Random, steps_out: int = LAP_STEPS_MAX) -> None:
        self.instrument = listing.instrument
        market = Market(random, listing.mid_ticks, listing.size_steps)
        windows = _Windows(self.instrument, market)
        self._start = windows.texts()
        self.top = windows.top()
        self.steps: list[Step] = []
        taken: list[list[Trade]] = []
        for number, trades in enumerate(market.lap(steps_out), start=1):
            taken.append(trades)
            self.steps.append(Step(market.seq, windows.top(), windows.publish(number), None))
        self.seq_span = market.seq
        self.last_price = next(trades[-1].price for trades in reversed(taken) if trades)
        self._render_trades(taken)

    def _render_trades(self, taken: list[list[Trade]]) -> None:
        last, direction, count = self.last_price, "ZeroPlusTick", 0
        for step, trades in zip(self.steps, taken, strict=True):
            directions = []
            for trade in trades:
                if trade.price != last:
                    direction = "PlusTick" if trade.price > last else "MinusTick"
                elif not direction.startswith("Zero"):
                    direction = "Zero" + direction
                last = trade.price
                directions.append(direction)
            if not trades:
                continue
            count += 1
            template = frames.trades_template(self.instrument, trades, directions)
            liquidation = b""
            if self.instrument.category == "linear" and count % LIQUIDATION_EVERY == 1:
                liquidation = frames.liquidation_template(self.instrument, trades[0])
            step.trades = Trades(trades, Candle.of_trades(trades), direction, template, liquidation)

    def window(self, depth: int, published: int) -> Window:
        """Return the window of a depth after the first `published` messages of the lap."""
        start = self._start[depth]
        window = Window(dict(start.bids), dict(start.asks))
        lane = DEPTHS.index(depth)
        messages = (template for step in self.steps for one, template in step.books if one == lane)
        for _, template in zip(range(published), messages, strict=False):
            data = orjson.loads(template % (0, 0, 0, 0))["data"]
            if depth == 1:
                window = Window(dict(data["b"]), dict(data["a"]))
            else:
                window.apply(data["b"], data["a"])
        window.sort()
        return window


class _Windows:
    """The last published window of each depth while the lap is made."""

    def __init__(self, instrument: Instrument, market: Market) -> None:
        self._instrument = instrument
        self._market = market
        self._last = {depth: self._now(depth) for depth in DEPTHS}

    def _now(self, depth: int) -> tuple[Levels, Levels]:
        return self._market.bids.window(depth), self._market.asks.window(depth)

    def _texts(self, levels: Levels | list[tuple[int, int]]) -> list[tuple[str, str]]:
        pairs = levels.items() if isinstance(levels, dict) else levels
        return [(self._instrument.price(price), self._instrument.size(size)) for price, size in pairs]

    def texts(self) -> dict[int, Window]:
        return {
            depth: Window(dict(self._texts(bids)), dict(self._texts(asks)))
            for depth, (bids, asks) in self._last.items()
        }

    def top(self) -> TopOfBook:
        bids, asks = self._now(1)
        ((bid, bid_size),), ((ask, ask_size),) = bids.items(), asks.items()
        return bid, bid_size, ask, ask_size

    def publish(self, number: int) -> tuple[tuple[int, bytes], ...]:
        """Return the messages of the depths whose turn it is at this step, and whose window changed."""
        messages = []
        for lane, depth in enumerate(DEPTHS):
            if number % BEATS[depth]:
                continue
            now, last = self._now(depth), self._last[depth]
            if now == last:
                continue
            self._last[depth] = now
            if depth == 1:
                sides, kind = [self._texts(now[0]), self._texts(now[1])], "snapshot"
            else:
                kind = "delta"
                sides = [self._texts(changes(last[0], now[0], -1)), self._texts(changes(last[1], now[1], 1))]
            messages.append((lane, frames.book_template(self._instrument, depth, kind, *sides)))
        return tuple(messages)


assert all(BOOK_BEATS % beat == 0 for beat in BEATS.values())
