"""Limit-order flow on a tick grid around a moving mid: never crossed, and back home at the end of a lap."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from simulator.book import Side, changes

LEVELS = 1_150
LEVELS_SPARE = 30
TRADE_CHANCE = 0.22
DEEP_CHANCE = 0.04
RANK_MEAN = 9.0
EVENTS_MIN, EVENTS_MAX = 7, 12
HOMEWARD_CHANGES = 11
SPREADS = (1, 1, 1, 2, 3, 5)

RPI_LEVELS_MAX = 40

RpiLevels = dict[int, tuple[int, int]]
"""Price in ticks -> (size, RPI size) in steps, best price first."""

BOOK_BEATS = 6
"""A lap is a whole number of beats, so that every depth publishes at its end."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill. `seq` counts within the lap."""

    price: int
    size: int
    buys: bool
    rpi: bool
    seq: int


class Market:
    """The book of one symbol and the flow of orders that moves it."""

    def __init__(self, random: Random, mid_ticks: int, size_steps: int) -> None:
        self._random = random
        self._size_steps = size_steps
        self._mid_ticks = mid_ticks
        self.bids = Side(-1)
        self.asks = Side(1)
        self.rpi_bids = Side(-1)
        self.rpi_asks = Side(1)
        self.seq = 0
        self._hold_levels(self.bids)
        self._hold_levels(self.asks)
        self._move_rpi()
        self._home = [(side, side.window(len(side))) for side in (self.bids, self.asks)]
        self._rpi_home = [(side, side.window(len(side))) for side in (self.rpi_bids, self.rpi_asks)]

    def lap(self, steps_out: int) -> Iterator[list[Trade]]:
        """Yield the trades of each step, with the book as that step left it.

        After `steps_out` steps of free flow come as many as it takes to lead the book back to where it began.
        """
        for _ in range(steps_out):
            yield self._step()
        way = self._way_home()
        steps = -(-len(way) // HOMEWARD_CHANGES)
        steps += -(steps_out + steps) % BOOK_BEATS
        for number in range(steps):
            for side, price, size in way[len(way) * number // steps : len(way) * (number + 1) // steps]:
                side.put(price, size)
            self._tick_seq()
            yield []

    def _step(self) -> list[Trade]:
        trades = self._market_order() if self._random.random() < TRADE_CHANCE else []
        for _ in range(self._random.randint(EVENTS_MIN, EVENTS_MAX)):
            self._limit_order()
        self._hold_spread()
        self._hold_levels(self.bids)
        self._hold_levels(self.asks)
        self._move_rpi()
        self._tick_seq()
        return trades

    def rpi_window(self, depth: int) -> tuple["RpiLevels", "RpiLevels"]:
        """Return the best `depth` prices a side with their (size, RPI size).

        An RPI order that would cross the other side's best is hidden; here only bids stand inside the spread.
        """
        bid_end, ask_end = self.asks.price(0) - 1, self.asks.price(0)
        return (
            _with_rpi(self.bids, self.rpi_bids, bid_end, depth),
            _with_rpi(self.asks, self.rpi_asks, ask_end, depth),
        )

    def _move_rpi(self) -> None:
        for side, rpi in ((self.bids, self.rpi_bids), (self.asks, self.rpi_asks)):
            if self._random.random() < 0.5:
                price = side.price(self._random.randrange(12)) - side.sign * self._random.randrange(2)
                rpi.put(price, self._new_size() if self._random.random() < 0.6 else 0)
            while len(rpi) > RPI_LEVELS_MAX:
                rpi.put(rpi.price(-1), 0)

    def _tick_seq(self) -> None:
        self.seq += self._random.randint(1, 120)

    def _new_size(self) -> int:
        return max(1, int(self._random.expovariate(1 / self._size_steps)))

    def _market_order(self) -> list[Trade]:
        pull = (self._mid_ticks - self.bids.price(0)) / 60
        buys = self._random.random() < min(0.9, max(0.1, 0.5 + pull * 0.4))
        side = self.asks if buys else self.bids
        if self._random.random() < 0.03:
            self._tick_seq()
            return [Trade(side.price(0), self._new_size(), buys, True, self.seq)]
        left = self._new_size() * self._random.choice((1, 1, 1, 4))
        trades: list[Trade] = []
        self._tick_seq()
        while left and len(trades) < 8:
            price = side.price(0)
            filled = min(left, side.size(price))
            trades.append(Trade(price, filled, buys, False, self.seq))
            side.put(price, side.size(price) - filled)
            left -= filled
        return trades

    def _limit_order(self) -> None:
        side, other = (self.bids, self.asks) if self._random.random() < 0.5 else (self.asks, self.bids)
        if self._random.random() < DEEP_CHANCE:
            rank = self._random.randrange(len(side))
        else:
            rank = min(int(self._random.expovariate(1 / RANK_MEAN)), len(side) - 1)
        price = side.price(rank)
        kind = self._random.random()
        if kind < 0.15:
            side.put(price, 0)
            return
        if kind < 0.40:
            better = price - side.sign
            if better not in side and side.sign * (better - other.price(0)) > 0:
                price = better
        side.put(price, self._new_size())

    def _hold_spread(self) -> None:
        widest = self._random.choice(SPREADS)
        while self.asks.price(0) - self.bids.price(0) > widest:
            side = self.bids if self._random.random() < 0.5 else self.asks
            side.put(side.price(0) - side.sign, self._new_size())

    def _hold_levels(self, side: Side) -> None:
        if not len(side):
            side.put(self._mid_ticks + (side.sign > 0), self._new_size())
        while len(side) < LEVELS:
            side.put(side.price(-1) + side.sign * self._random.choice((1, 1, 1, 2)), self._new_size())
        while len(side) > LEVELS + LEVELS_SPARE:
            side.put(side.price(-1), 0)

    def _way_home(self) -> list[tuple[Side, int, int]]:
        """Return the level changes that lead home: what is in the way of the other side goes first."""
        first: list[tuple[Side, int, int]] = []
        rest: list[tuple[Side, int, int]] = []
        for (side, home), (_, other_home) in zip(self._home, reversed(self._home), strict=True):
            other_best = next(iter(other_home))
            for price, size in side.window(len(side)).items():
                if home.get(price) == size:
                    continue
                in_the_way = side.sign * (price - other_best) <= 0
                (first if in_the_way else rest).append((side, price, home.get(price, 0)))
            rest += [(side, price, size) for price, size in home.items() if price not in side]
        for side, home in self._rpi_home:
            rest += [(side, price, size) for price, size in changes(side.window(len(side)), home, side.sign)]
        self._random.shuffle(rest)
        return first + rest


def _with_rpi(side: Side, rpi: Side, best: int, depth: int) -> RpiLevels:
    """Return a side with its RPI sizes; none is shown at a better price than `best`."""
    shown = {price for price in rpi.window(len(rpi)) if side.sign * (price - best) >= 0}
    prices = sorted(shown.union(side.window(depth)), key=lambda price: side.sign * price)[:depth]
    return {price: (side.size(price), rpi.size(price) if price in shown else 0) for price in prices}
