"""An order book, the slow and obvious way: two sorted dictionaries of exact decimals."""

import zlib
from collections.abc import Iterable
from decimal import Decimal

from sortedcontainers import SortedDict

from tests.support.oracle_fixed import Number, fits, spell_shortest, value

Levels = list[tuple[Decimal, Decimal]]
Change = list[tuple[Number, Number]]


class TooManyDigitsError(Exception):
    """At the scale that a message needs, some number has more than 18 digits."""


class SlowBook:
    def __init__(self, depth: int, price_scale: int = 0, size_scale: int = 0) -> None:
        self.depth = depth
        self.price_scale = price_scale
        self.size_scale = size_scale
        self.sides = {"b": SortedDict(), "a": SortedDict()}
        self.absent_deletes = 0

    def snapshot(self, bids: Change, asks: Change) -> None:
        try:
            self._widen(bids, asks, kept=())
        except TooManyDigitsError:
            # Nothing of the old book remains, so its scales need not either.
            kept_scales = self.price_scale, self.size_scale
            self.price_scale = self.size_scale = 0
            try:
                self._widen(bids, asks, kept=())
            except TooManyDigitsError:
                self.price_scale, self.size_scale = kept_scales
                raise
        for side, change in (("b", bids), ("a", asks)):
            latest = {value(price): value(size) for price, size in change}
            self.sides[side] = SortedDict({price: size for price, size in latest.items() if size})

    def delta(self, bids: Change, asks: Change) -> None:
        self._widen(bids, asks, kept=("b", "a"))
        for side, change in (("b", bids), ("a", asks)):
            levels = self.sides[side]
            for price, size in {value(price): value(size) for price, size in change}.items():
                if size:
                    levels[price] = size
                elif levels.pop(price, None) is None:
                    self.absent_deletes += 1

    def _widen(self, bids: Change, asks: Change, kept: Iterable[str]) -> None:
        change = bids + asks
        price_scale = max([self.price_scale, *(price[1] for price, _ in change)])
        # How a zero is spelled says nothing of the sizes there are.
        size_scale = max([self.size_scale, *(size[1] for _, size in change if size[0])])
        levels = [level for side in kept for level in self.sides[side].items()]
        limits = (Decimal(10) ** (18 - price_scale), Decimal(10) ** (18 - size_scale))
        if not all(fits(price, price_scale) and fits(size, size_scale) for price, size in change):
            raise TooManyDigitsError
        if not all(abs(price) < limits[0] and size < limits[1] for price, size in levels):
            raise TooManyDigitsError
        self.price_scale = price_scale
        self.size_scale = size_scale

    def holds(self, bids: Change, asks: Change) -> bool:
        """Whether each level of this delta, even one that a later one overrides, is in the book as it is."""
        return all(
            self.sides[side].get(value(price), Decimal(0)) == value(size)
            for side, change in (("b", bids), ("a", asks))
            for price, size in change
        )

    def equals(self, bids: Change, asks: Change) -> bool:
        """Whether this snapshot would change nothing."""
        other = SlowBook(self.depth)
        other.snapshot(bids, asks)
        return self.sides == other.sides

    @property
    def bids(self) -> Levels:
        return list(reversed(self.sides["b"].items()))

    @property
    def asks(self) -> Levels:
        return list(self.sides["a"].items())

    @property
    def is_crossed(self) -> bool:
        """Crossed or locked."""
        return bool(self.bids and self.asks and self.bids[0][0] >= self.asks[0][0])

    @property
    def has_negative_price(self) -> bool:
        return any(price < 0 for levels in self.sides.values() for price in levels)

    @property
    def is_too_deep(self) -> bool:
        return any(len(levels) > self.depth for levels in self.sides.values())

    def text(self, depth: int = 0) -> str:
        """The canonical text: a line per level, best first, bids before asks."""
        return "".join(
            f"{letter} {spell_shortest(price)} {spell_shortest(size)}\n"
            for letter, levels in (("B", self.bids), ("A", self.asks))
            for price, size in levels[: depth or None]
        )

    def checksum(self, depth: int = 0) -> int:
        return zlib.crc32(self.text(depth).encode("ascii"))
