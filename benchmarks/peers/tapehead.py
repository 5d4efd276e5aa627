"""Our Dispatcher driven from a Python loop, with an idle listener; best prices read as Python integers."""

from typing import Final

from benchmarks.peers import Best, Peer
from benchmarks.stream import CATEGORY, START_TS_MS, SYMBOL, Levels
from ext.book import OrderBook
from ext.dispatch import Dispatcher
from ext.listener import Listener

RECV_NS: Final = START_TS_MS * 1_000_000


def subscribed(listener: Listener, depth: int) -> Dispatcher:
    """Return a dispatcher that expects the benchmark's topic."""
    dispatcher = Dispatcher(CATEGORY, listener)
    dispatcher.desired([f"orderbook.{depth}.{SYMBOL}"], RECV_NS)
    return dispatcher


class Tapehead(Peer):
    title = "tapehead, Python loop"

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.dispatcher = subscribed(Listener(), depth)
        self.seen: tuple[tuple[int, int] | None, tuple[int, int] | None] = (None, None)

    def run(self, frames: list[bytes]) -> None:
        feed = self.dispatcher.feed
        if self.dispatcher.book(SYMBOL, self.depth) is None:
            feed(frames[0], RECV_NS)
            frames = frames[1:]
        book = self.book()
        bid, ask = book.best_bid, book.best_ask
        for frame in frames:
            feed(frame, RECV_NS)
            bid, ask = book.best_bid, book.best_ask
        self.seen = bid, ask

    def book(self) -> OrderBook:
        book = self.dispatcher.book(SYMBOL, self.depth)
        assert book is not None
        return book

    def best(self) -> Best:
        bid, ask = self.seen
        assert bid is not None
        assert ask is not None
        return self.book().price(bid[0]), self.book().price(ask[0])

    def levels(self, count: int) -> Levels:
        return self.book().bids(count), self.book().asks(count)


IMPLEMENTATION = Tapehead
