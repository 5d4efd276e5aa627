"""The slow, obvious book: one sorted mapping a side, best price first, and windows over it."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, TypeVar

from sortedcontainers import SortedDict

T = TypeVar("T")

Levels = dict[int, int]
"""Price in ticks -> size in steps, best price first."""


class Side:
    """One side of a book. `sign` is 1 for asks and -1 for bids: the best price has the smallest key."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self._levels: SortedDict = SortedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def __contains__(self, price: int) -> bool:
        return self.sign * price in self._levels

    def put(self, price: int, size: int) -> None:
        """Set the size at a price; 0 takes the level away, and is no error where there is none."""
        if size:
            self._levels[self.sign * price] = size
        else:
            self._levels.pop(self.sign * price, None)

    def size(self, price: int) -> int:
        """Return the size at a price, 0 where there is no level."""
        return int(self._levels.get(self.sign * price, 0))

    def price(self, rank: int) -> int:
        """Return the price of the level at a rank; 0 is the best, -1 the worst."""
        return int(self.sign * self._levels.peekitem(rank)[0])

    def window(self, depth: int) -> Levels:
        """Return the best `depth` levels."""
        return {self.sign * key: self._levels[key] for key in islice(self._levels, depth)}


def changes(old: Mapping[int, T], new: Mapping[int, T], sign: int, gone: Any = 0) -> list[tuple[int, T]]:
    """Return what turns one window into the other: a level that left gets `gone`, one that came its size."""
    prices = {price for price, _ in old.items() ^ new.items()}
    return [(price, new.get(price, gone)) for price in sorted(prices, key=lambda price: sign * price)]
