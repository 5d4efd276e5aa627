"""orjson, a dict of sizes by price text, a sorted list of prices: the fastest book of plain Python found.

It relies on the venue spelling a price one way only, and searches the list for new and vanished prices alone.
"""

from bisect import bisect_left

import orjson

from benchmarks.peers import TextPeer


class BisectDict(TextPeer):
    title = "orjson + dict + bisect list"
    libraries = ("orjson",)

    def __init__(self, depth: int) -> None:
        self.bid_prices: list[float] = []
        self.bid_sizes: dict[str, str] = {}
        self.ask_prices: list[float] = []
        self.ask_sizes: dict[str, str] = {}

    def run(self, frames: list[bytes]) -> None:
        loads = orjson.loads
        bid_prices, bid_sizes = self.bid_prices, self.bid_sizes
        ask_prices, ask_sizes = self.ask_prices, self.ask_sizes
        seen = self.seen
        for frame in frames:
            message = loads(frame)
            data = message["data"]
            if message["type"] == "snapshot":
                bid_prices.clear()
                bid_sizes.clear()
                ask_prices.clear()
                ask_sizes.clear()
            for prices, sizes, levels in (
                (bid_prices, bid_sizes, data["b"]),
                (ask_prices, ask_sizes, data["a"]),
            ):
                for price_text, size in levels:
                    if size != "0":
                        if price_text not in sizes:
                            price = float(price_text)
                            prices.insert(bisect_left(prices, price), price)
                        sizes[price_text] = size
                    elif sizes.pop(price_text, None):
                        del prices[bisect_left(prices, float(price_text))]
            seen = bid_prices[-1], ask_prices[0]
        self.seen = seen

    def pairs(self) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
        bids = {float(price): size for price, size in self.bid_sizes.items()}
        asks = {float(price): size for price, size in self.ask_sizes.items()}
        return [(price, bids[price]) for price in self.bid_prices[::-1]], [
            (price, asks[price]) for price in self.ask_prices
        ]


IMPLEMENTATION = BisectDict
