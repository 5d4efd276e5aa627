"""A lap of one symbol's market, rendered: every book and trade frame, ready but for its times and numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import orjson

from simulator import frames
from simulator.book import changes
from simulator.candles import Candle
from simulator.frames import Rows
from simulator.instruments import Instrument, Listing
from simulator.market import BOOK_BEATS, Market, Trade
from simulator.topics import DEPTHS, FULL, RPI, SYMBOL_KINDS, Depth

BEATS: dict[Depth, int] = {1: 1, 25: 1, 50: 1, 100: 2, 200: 2, 1000: 3, RPI: 2, FULL: 3}
"""A depth publishes at every n-th step: so a message of each carries about as many changes as the venue's."""
LIQUIDATION_EVERY = 25
"""Every n-th step with trades of a contract is a liquidation."""
RPI_LEVELS = 50
FULL_LEVELS = 10_000

LAP_STEPS_MAX = 2_046
LAP_STEPS_MIN = 120

Size = str | tuple[str, str]
Messages = tuple[tuple[int, bytes], ...]
SELDOM = (RPI, FULL)
TopOfBook = tuple[int, int, int, int]
"""Bid price, bid size, ask price, ask size, in ticks and steps."""


@dataclass(slots=True)
class Step:
    """What one step sends; `seq` counts within the lap.

    `books` and `seldom` hold (place among the depths, template). RPI and full books are in `seldom`, so that
    they cost nothing while nobody watches them.
    """

    seq: int
    top: TopOfBook
    books: Messages
    seldom: Messages
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
    """A window as a client holds it: price text to size text, a side, best price first.

    In an RPI book a size is the pair of sizes.
    """

    bids: dict[str, Size]
    asks: dict[str, Size]

    def rows(self, depth: int | None = None) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """Return the best `depth` rows of each side."""
        return _rows_of(self.bids)[:depth], _rows_of(self.asks)[:depth]

    def apply(self, bids: Rows, asks: Rows) -> None:
        """Apply level changes as a client does; call `sort` when all are applied."""
        for side, rows in ((self.bids, bids), (self.asks, asks)):
            for price, *sizes in rows:
                if not any(map(Decimal, sizes)):
                    side.pop(price, None)
                else:
                    side[price] = sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])

    def sort(self) -> None:
        """Put the best price first again."""
        self.bids = {price: self.bids[price] for price in sorted(self.bids, key=Decimal, reverse=True)}
        self.asks = {price: self.asks[price] for price in sorted(self.asks, key=Decimal)}


def _rows_of(side: dict[str, Size]) -> list[tuple[str, ...]]:
    return [(price, size) if isinstance(size, str) else (price, *size) for price, size in side.items()]


class Tape:
    """The steps of a lap, and the window of each depth at any place in it. Immutable once made."""

    def __init__(self, listing: Listing, random: Random, steps_out: int = LAP_STEPS_MAX) -> None:
        self.instrument = listing.instrument
        self.depths = DEPTHS[self.instrument.category]
        market = Market(random, listing.mid_ticks, listing.size_steps)
        windows = _Windows(self.instrument, market)
        self._start = windows.texts()
        self.top = windows.top()
        self.steps: list[Step] = []
        taken: list[list[Trade]] = []
        for number, trades in enumerate(market.lap(steps_out), start=1):
            taken.append(trades)
            self.steps.append(Step(market.seq, windows.top(), *windows.publish(number), None))
        self.seq_span = market.seq
        self.last_price = next(trades[-1].price for trades in reversed(taken) if trades)
        self._render_trades(taken)

    def _render_trades(self, taken: list[list[Trade]]) -> None:
        last, direction, count = self.last_price, "ZeroPlusTick", 0
        kinds = SYMBOL_KINDS[self.instrument.category]
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
            if "allLiquidation" in kinds and count % LIQUIDATION_EVERY == 1:
                liquidation = frames.liquidation_template(self.instrument, trades[0])
            step.trades = Trades(trades, Candle.of_trades(trades), direction, template, liquidation)

    def window(self, depth: Depth, published: int) -> Window:
        """Return the window of a depth after the first `published` messages of the lap."""
        start = self._start[depth]
        window = Window(dict(start.bids), dict(start.asks))
        lane = self.depths.index(depth)
        messages = (
            template for step in self.steps for one, template in (*step.books, *step.seldom) if one == lane
        )
        for _, template in zip(range(published), messages, strict=False):
            data = orjson.loads(template % (0, 0, 0, 0))["data"]
            if depth == 1:
                window = Window({}, {})
            window.apply(data["b"], data["a"])
        window.sort()
        return window


class Follower:
    """The window of one depth, moved along the tape message by message. Runs on one thread."""

    def __init__(self, tape: Tape, depth: Depth) -> None:
        self.depth = depth
        self._tape = tape
        lane = tape.depths.index(depth)
        self._messages = [
            template for step in tape.steps for one, template in (*step.books, *step.seldom) if one == lane
        ]
        self._place = 0
        self._window = tape.window(depth, 0)

    def at(self, published: int) -> Window:
        """Return the window after so many messages of the lap; it is valid until the next call."""
        if published < self._place:
            self._place, self._window = 0, self._tape.window(self.depth, 0)
        for template in self._messages[self._place : published]:
            data = orjson.loads(template % (0, 0, 0, 0))["data"]
            self._window.apply(data["b"], data["a"])
        if published > self._place:
            self._window.sort()
        self._place = published
        return self._window


class _Windows:
    """The last published window of each depth while the lap is made."""

    def __init__(self, instrument: Instrument, market: Market) -> None:
        self._instrument = instrument
        self._market = market
        self._depths = DEPTHS[instrument.category]
        self._last = {depth: self._now(depth) for depth in self._depths}

    def _now(self, depth: Depth) -> tuple[Any, Any]:
        if depth == RPI:
            return self._market.rpi_window(RPI_LEVELS)
        levels = depth if isinstance(depth, int) else FULL_LEVELS
        return self._market.bids.window(levels), self._market.asks.window(levels)

    def _rows(self, levels: Iterable[tuple[int, Any]]) -> list[tuple[str, ...]]:
        price, size = self._instrument.price, self._instrument.size
        return [
            (price(one), *map(size, sizes)) if isinstance(sizes, tuple) else (price(one), size(sizes))
            for one, sizes in levels
        ]

    def texts(self) -> dict[Depth, Window]:
        found = {}
        for depth, (bids, asks) in self._last.items():
            found[depth] = Window({}, {})
            found[depth].apply(self._rows(bids.items()), self._rows(asks.items()))
        return found

    def top(self) -> TopOfBook:
        bids, asks = self._now(1)
        ((bid, bid_size),), ((ask, ask_size),) = bids.items(), asks.items()
        return bid, bid_size, ask, ask_size

    def publish(self, number: int) -> tuple[Messages, Messages]:
        """Return the messages of the depths whose turn it is at this step, and whose window changed."""
        books: list[tuple[int, bytes]] = []
        seldom: list[tuple[int, bytes]] = []
        for lane, depth in enumerate(self._depths):
            if number % BEATS[depth]:
                continue
            now, last = self._now(depth), self._last[depth]
            if now == last:
                continue
            self._last[depth] = now
            if depth == 1:
                sides, kind = [self._rows(now[0].items()), self._rows(now[1].items())], "snapshot"
            else:
                kind, gone = "delta", (0, 0) if depth == RPI else 0
                sides = [
                    self._rows(changes(last[side], now[side], sign, gone)) for side, sign in ((0, -1), (1, 1))
                ]
            messages = seldom if depth in SELDOM else books
            messages.append((lane, frames.book_template(self._instrument, depth, kind, *sides)))
        return tuple(books), tuple(seldom)


assert all(BOOK_BEATS % beat == 0 for beat in BEATS.values())
