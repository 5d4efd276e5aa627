"""orjson and two parallel sorted lists a side, kept with bisect: the fastest book of plain Python known."""

from bisect import bisect_left

import orjson

from benchmarks.peers import FloatPeer


def apply(keys: list[float], sizes: list[float], levels: list[list[str]], sign: int) -> None:
    for price_text, size_text in levels:
        key = sign * float(price_text)
        size = float(size_text)
        index = bisect_left(keys, key)
        if index < len(keys) and keys[index] == key:
            if size:
                sizes[index] = size
            else:
                del keys[index], sizes[index]
        elif size:
            keys.insert(index, key)
            sizes.insert(index, size)


class BisectLists(FloatPeer):
    """Keys ascend towards the best price (asks negated), so that most changes move few entries."""

    title = "orjson + bisect lists"
    libraries = ("orjson",)

    def __init__(self, depth: int) -> None:
        self.bid_keys: list[float] = []
        self.bid_sizes: list[float] = []
        self.ask_keys: list[float] = []
        self.ask_sizes: list[float] = []

    def run(self, frames: list[bytes]) -> None:
        loads = orjson.loads
        bid_keys, bid_sizes, ask_keys, ask_sizes = (
            self.bid_keys,
            self.bid_sizes,
            self.ask_keys,
            self.ask_sizes,
        )
        seen = self.seen
        for frame in frames:
            message = loads(frame)
            data = message["data"]
            if message["type"] == "snapshot":
                for part in (bid_keys, bid_sizes, ask_keys, ask_sizes):
                    part.clear()
            apply(bid_keys, bid_sizes, data["b"], 1)
            apply(ask_keys, ask_sizes, data["a"], -1)
            seen = bid_keys[-1], -ask_keys[-1]
        self.seen = seen

    def pairs(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        bids = zip(self.bid_keys, self.bid_sizes, strict=True)
        asks = zip((-key for key in self.ask_keys), self.ask_sizes, strict=True)
        return list(bids)[::-1], list(asks)[::-1]


IMPLEMENTATION = BisectLists
