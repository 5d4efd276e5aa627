"""Our Dispatcher driven from Cython, best prices read in a Cython listener: what a compiled strategy pays."""

from decimal import Decimal

from benchmarks.native.strategy import BestPrices, feed_all
from benchmarks.peers import Best, Peer
from benchmarks.peers.tapehead import RECV_NS, subscribed
from benchmarks.stream import SYMBOL, Levels
from ext.book import OrderBook


class TapeheadCython(Peer):
    title = "tapehead, Cython loop and listener"

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.listener = BestPrices()
        self.dispatcher = subscribed(self.listener, depth)

    def run(self, frames: list[bytes]) -> None:
        feed_all(self.dispatcher, frames, RECV_NS)

    def book(self) -> OrderBook:
        book = self.dispatcher.book(SYMBOL, self.depth)
        assert book is not None
        return book

    def best(self) -> Best:
        scale = self.book().price_scale
        return Decimal(self.listener.bid).scaleb(-scale), Decimal(self.listener.ask).scaleb(-scale)

    def levels(self, count: int) -> Levels:
        return self.book().bids(count), self.book().asks(count)


IMPLEMENTATION = TapeheadCython
