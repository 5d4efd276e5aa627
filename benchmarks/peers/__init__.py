"""The implementations that are compared: one module each, imported only in the process that measures it."""

from abc import ABC, abstractmethod
from decimal import Decimal
from importlib import import_module
from typing import ClassVar, Final, cast

from benchmarks.stream import Level, Levels

Best = tuple[Decimal, Decimal]


class Peer(ABC):
    """Decodes the frames of one topic, keeps its book, reads the best bid and ask after each frame.

    A new peer has an empty book. `run` is what is timed: its loop stands in each peer, so that none pays for
    a call that its users would not make.
    """

    title: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ()
    keeps_book: ClassVar[bool] = True
    # Slow peers measure a shorter prefix of the same stream: messages divided by this.
    shorten: ClassVar[int] = 1

    @abstractmethod
    def __init__(self, depth: int) -> None: ...

    @abstractmethod
    def run(self, frames: list[bytes]) -> None:
        """Process frames in order."""

    def best(self) -> Best:
        """Return the best (bid, ask) prices as read after the last frame of `run`."""
        raise NotImplementedError(f"{self.title} keeps no book")

    def levels(self, count: int) -> Levels:
        """Return the first `count` levels a side, in the order in which this peer shows them."""
        raise NotImplementedError(f"{self.title} keeps no book")


class TextPeer(Peer):
    """A peer with float prices and sizes as sent, like the fast ones of plain Python; `run` sets `seen`."""

    seen: tuple[float, float] = (0.0, 0.0)

    def best(self) -> Best:
        return Decimal(repr(self.seen[0])), Decimal(repr(self.seen[1]))

    def levels(self, count: int) -> Levels:
        bids, asks = self.pairs()
        return decimals(bids[:count]), decimals(asks[:count])

    @abstractmethod
    def pairs(self) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
        """Return (price, size) of all bids and asks, best first."""


def decimals(pairs: list[tuple[float, str]]) -> list[Level]:
    return [(Decimal(repr(price)), Decimal(size)) for price, size in pairs]


NAMES: Final = (
    "orjson_loads",
    "tapehead",
    "tapehead_cython",
    "bisect_dict",
    "bisect_lists",
    "sorted_dict",
    "pybit_book",
)


def find(name: str) -> type[Peer]:
    """Import the peer of that name (one of NAMES)."""
    return cast("type[Peer]", import_module(f"benchmarks.peers.{name}").IMPLEMENTATION)
