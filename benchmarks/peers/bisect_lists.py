"""orjson and two parallel sorted lists a side, kept with bisect.

Sizes stay text, as does the test for "0": turning them into numbers would cost a third more.
"""

from bisect import bisect_left

import orjson

from benchmarks.peers import TextPeer


class BisectLists(TextPeer):
    title = "orjson + bisect lists"
    libraries = ("orjson",)

    def __init__(self, depth: int) -> None:
        self.bids: tuple[list[float], list[str]] = ([], [])
        self.asks: tuple[list[float], list[str]] = ([], [])

    def run(self, frames: list[bytes]) -> None:
        loads = orjson.loads
        bids, asks = self.bids, self.asks
        bid_keys, ask_keys = bids[0], asks[0]
        seen = self.seen
        for frame in frames:
            message = loads(frame)
            data = message["data"]
            if message["type"] == "snapshot":
                for part in (*bids, *asks):
                    part.clear()
            for (keys, sizes), levels in ((bids, data["b"]), (asks, data["a"])):
                for price_text, size in levels:
                    price = float(price_text)
                    index = bisect_left(keys, price)
                    found = index < len(keys) and keys[index] == price
                    if size != "0":
                        if found:
                            sizes[index] = size
                        else:
                            keys.insert(index, price)
                            sizes.insert(index, size)
                    elif found:
                        del keys[index], sizes[index]
            seen = bid_keys[-1], ask_keys[0]
        self.seen = seen

    def pairs(self) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
        return list(zip(*self.bids, strict=True))[::-1], list(zip(*self.asks, strict=True))


IMPLEMENTATION = BisectLists
