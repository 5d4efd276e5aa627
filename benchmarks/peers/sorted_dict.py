"""orjson and a sortedcontainers.SortedDict a side: what most Python programs use."""

import orjson
from sortedcontainers import SortedDict

from benchmarks.peers import TextPeer


class SortedDicts(TextPeer):
    title = "orjson + SortedDict"
    libraries = ("orjson", "sortedcontainers")

    def __init__(self, depth: int) -> None:
        self.bids: SortedDict[float, str] = SortedDict()
        self.asks: SortedDict[float, str] = SortedDict()

    def run(self, frames: list[bytes]) -> None:
        loads = orjson.loads
        bids, asks = self.bids, self.asks
        seen = self.seen
        for frame in frames:
            message = loads(frame)
            data = message["data"]
            if message["type"] == "snapshot":
                bids.clear()
                asks.clear()
            for book, levels in ((bids, data["b"]), (asks, data["a"])):
                for price, size in levels:
                    if size != "0":
                        book[float(price)] = size
                    else:
                        book.pop(float(price), None)
            seen = bids.peekitem(-1)[0], asks.peekitem(0)[0]
        self.seen = seen

    def pairs(self) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
        return list(self.bids.items())[::-1], list(self.asks.items())


IMPLEMENTATION = SortedDicts
