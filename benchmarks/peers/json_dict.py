"""The standard library's json and a plain dict a side, best prices by max() and min(): the naive book."""

import json

from benchmarks.peers import FloatPeer


class JsonDict(FloatPeer):
    title = "json + dict, max() and min()"
    shorten = 4

    def __init__(self, depth: int) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}

    def run(self, frames: list[bytes]) -> None:
        loads = json.loads
        bids, asks = self.bids, self.asks
        seen = self.seen
        for frame in frames:
            message = loads(frame)
            data = message["data"]
            if message["type"] == "snapshot":
                bids.clear()
                asks.clear()
            for book, levels in ((bids, data["b"]), (asks, data["a"])):
                for price_text, size_text in levels:
                    price = float(price_text)
                    size = float(size_text)
                    if size:
                        book[price] = size
                    else:
                        book.pop(price, None)
            seen = max(bids), min(asks)
        self.seen = seen

    def pairs(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())


IMPLEMENTATION = JsonDict
