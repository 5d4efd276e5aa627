"""Ours: FrameListener -> Dispatcher -> book, best prices read in a Cython listener."""

from pathlib import Path

from picows import WSListener, WSTransport

from benchmarks.native.strategy import BestPrices
from benchmarks.peers.tapehead import subscribed
from benchmarks.receivers import Receiver
from benchmarks.stream import SYMBOL, Levels
from ext.frames import FrameListener
from ext.journal import Journal


class Owner:
    """Hears of the connection; raises what must not happen here."""

    def on_connected(self, transport: WSTransport) -> None:
        """Nothing to do: the benchmark asks for the stream itself."""

    def on_disconnected(self, transport: WSTransport) -> None:
        """Nothing to do: the benchmark waits for the end itself."""

    def on_fault(self, error: Exception) -> None:
        raise error

    def on_broken(self, cause: str, detail: str) -> None:
        raise RuntimeError(f"{cause}: {detail}")


class Tapehead(Receiver):
    title = "tapehead"
    keeps_book = True

    def __init__(self, depth: int, folder: Path) -> None:
        self.depth = depth
        self.prices = BestPrices()
        self.dispatcher = subscribed(self.prices, depth)
        self.frame_listener = FrameListener(self.dispatcher, Owner(), journal=self.journal(folder))

    def journal(self, folder: Path) -> Journal | None:
        """Return what frames are written to before they are dispatched."""
        return None

    def listener(self) -> WSListener:
        return self.frame_listener

    def frames(self) -> int:
        return self.prices.changes

    def levels(self, count: int) -> Levels:
        book = self.dispatcher.book(SYMBOL, self.depth)
        assert book is not None
        return book.bids(count), book.asks(count)


IMPLEMENTATION = Tapehead
