"""The prices of a generated market, for the exchange."""

from collections.abc import Callable
from decimal import Decimal

from simulator.exchange.markets import Level
from simulator.live import LiveMarket
from simulator.tape import Follower


class LiveQuotes:
    """Asks the live market of the moment; it may be another one after its grid has changed."""

    def __init__(self, live: Callable[[], LiveMarket]) -> None:
        self._live = live
        self._follower: tuple[LiveMarket, Follower] | None = None
        self._levels: tuple[int, dict[bool, list[Level]]] = (-1, {})

    def _price(self, ticks: int) -> Decimal:
        return Decimal(self._live().instrument.price(ticks))

    def last(self) -> Decimal:
        """Return the price of the last trade."""
        return self._price(self._live().prices()[0])

    def mark(self) -> Decimal:
        """Return the mark price."""
        return self._price(self._live().prices()[1])

    def index(self) -> Decimal:
        """Return the index price."""
        return self._price(self._live().prices()[2])

    def band(self) -> tuple[Decimal, Decimal]:
        """Return the highest price to buy and the lowest to sell at."""
        highest, lowest = self._live().limits()
        return self._price(highest), self._price(lowest)

    def seq(self) -> int:
        """Return the sequence number of the moment."""
        return self._live().seq

    def best(self, asks: bool) -> Decimal:
        """Return the best price of a side."""
        return self._price(self._live().best()[asks])

    def levels(self, asks: bool) -> list[Level]:
        """Return the levels of a side, best first."""
        live = self._live()
        if self._follower is None or self._follower[0] is not live:
            self._follower = live, live.follower()
            self._levels = (-1, {})
        published = live.published(self._follower[1].depth)
        if self._levels[0] != published:
            self._levels = (published, {})
        if asks not in self._levels[1]:
            window = self._follower[1].at(published)
            side = window.asks if asks else window.bids
            self._levels[1][asks] = [(Decimal(price), Decimal(str(size))) for price, size in side.items()]
        return self._levels[1][asks]
