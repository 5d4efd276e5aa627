"""Seeded streams of order-book frames as the venue sends them, with the book they must lead to.

A hidden book, half as deep again as the topic's window, takes random orders; a frame holds what they changed
inside the window. A level pushed out of the window is sent as size "0", one that enters it as an insert, so a
client's book always holds exactly `depth` levels a side. The expected levels are read from the hidden book.
"""

import json
import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

SYMBOL: Final = "BTCUSDT"
CATEGORY: Final = "linear"
DEPTHS: Final = (1, 50, 200, 1000)
# Mean level changes a message. Level 1 sends both levels each time either changed.
CHANGES: Final = {1: 2.0, 50: 11.4, 200: 19.0, 1000: 29.0}
# Levels that an order touches more than once, or that come and go within a message, are not sent.
TOUCHED_PER_CHANGE: Final = 1.07
INTERVAL_MS: Final = {1: 10, 50: 20, 200: 100, 1000: 200}
# The rest of the orders insert and delete. The mean rank of an order as a share of the depth is that of
# captured orderbook.200 frames.
RESIZE_SHARE: Final = 0.6
RANK_SHARE: Final = 1 / 8
FRAMES_FILE: Final = "frames.txt"
EXPECTED_FILE: Final = "expected.json"
START_TICK: Final = 867_234
START_UPDATE_ID: Final = 173_678_160
START_SEQ: Final = 814_547_787_693
START_TS_MS: Final = 1_790_134_712_130

Level = tuple[Decimal, Decimal]
Levels = tuple[list[Level], list[Level]]


@dataclass(frozen=True)
class Stream:
    """Frames of one topic, and what a correct book shows after them.

    `best` has the best (bid, ask) prices after each frame, `levels` all bids and asks, best first, after the
    last one.
    """

    depth: int
    seed: int
    changes: int
    frames: list[bytes]
    best: list[tuple[Decimal, Decimal]]
    levels: Levels

    @property
    def topic(self) -> str:
        return f"orderbook.{self.depth}.{SYMBOL}"

    @property
    def frame_bytes_mean(self) -> float:
        return sum(map(len, self.frames)) / len(self.frames)

    @property
    def changes_mean(self) -> float:
        """Level changes a message, the opening snapshot left out."""
        return self.changes / max(1, len(self.frames) - 1)


class Side:
    """One side of the hidden book. Keys ascend from the best price: ticks of asks, negated ticks of bids."""

    def __init__(self, rng: random.Random, best_key: int, depth: int) -> None:
        self.rng = rng
        self.depth = depth
        self.full = depth + max(4, depth // 2)
        self.keys: list[int] = []
        self.sizes: dict[int, int] = {}
        self.sent: dict[int, int] = {}
        key = best_key
        for _ in range(self.full):
            self.keys.append(key)
            self.sizes[key] = self.random_size()
            key += 1 if rng.random() < 0.7 else rng.randint(2, 6)

    def random_size(self) -> int:
        """A size in thousandths, spread over a few decades."""
        return 1 + int(self.rng.lognormvariate(5.7, 1.4))

    def random_rank(self) -> int:
        return min(int(self.rng.expovariate(1 / max(1.0, self.depth * RANK_SHARE))), self.depth - 1)

    def order(self, limit_key: int) -> list[int]:
        """Change one level, keys staying above `limit_key`; return the keys that may have changed."""
        rank = self.random_rank()
        draw = self.rng.random()
        if draw < RESIZE_SHARE:
            key = self.keys[rank]
            self.sizes[key] = self.random_size()
            return [key]
        # The number of hidden levels is pulled back to `full`, so that the book neither empties nor grows.
        insert_share = 0.5 - 0.5 * (len(self.keys) - self.full) / self.full
        if self.rng.random() < insert_share:
            return self.insert(rank, limit_key)
        return self.delete(rank)

    def insert(self, rank: int, limit_key: int) -> list[int]:
        key = self.keys[rank] - 1
        while key in self.sizes:
            key -= 1
        if key <= limit_key:
            key = self.keys[rank] + 1
            while key in self.sizes:
                key += 1
        self.keys.insert(bisect_left(self.keys, key), key)
        self.sizes[key] = self.random_size()
        return [key, self.keys[self.depth]]

    def delete(self, rank: int) -> list[int]:
        if len(self.keys) <= self.depth:
            self.extend()
        key = self.keys.pop(rank)
        del self.sizes[key]
        return [key, self.keys[self.depth - 1]]

    def extend(self) -> None:
        key = self.keys[-1] + self.rng.randint(1, 6)
        self.keys.append(key)
        self.sizes[key] = self.random_size()

    def drain(self, touched: set[int]) -> list[tuple[int, int]]:
        """Return the window's (key, size) differences from what was sent before, best first."""
        last = self.keys[self.depth - 1]
        changes = []
        for key in sorted(touched):
            size = self.sizes.get(key, 0) if key <= last else 0
            if self.sent.get(key, 0) != size:
                changes.append((key, size))
                self.remember(key, size)
        return changes

    def remember(self, key: int, size: int) -> None:
        if size:
            self.sent[key] = size
        else:
            del self.sent[key]

    def window(self) -> list[tuple[int, int]]:
        return [(key, self.sizes[key]) for key in self.keys[: self.depth]]


def render_levels(changes: list[tuple[int, int]]) -> str:
    parts = []
    for key, size in changes:
        tick = abs(key)
        text = f"{size // 1000}.{size % 1000:03d}" if size else "0"
        parts.append(f'["{tick // 10}.{tick % 10}0","{text}"]')
    return ",".join(parts)


def decimal_levels(window: list[tuple[int, int]]) -> list[Level]:
    return [(Decimal(abs(key)).scaleb(-1), Decimal(size).scaleb(-3)) for key, size in window]


class Market:
    """Draws the frames of one topic one after another."""

    def __init__(self, depth: int, seed: int, symbol: str = SYMBOL) -> None:
        self.depth = depth
        self.symbol = symbol
        self.rng = random.Random(seed)
        self.bids = Side(self.rng, -START_TICK, depth)
        self.asks = Side(self.rng, START_TICK + 1, depth)
        self.update_id = START_UPDATE_ID
        self.seq = START_SEQ
        self.ts_ms = START_TS_MS

    def frames(self) -> Iterator[tuple[bytes, int]]:
        """Yield (frame, level changes) without end, the snapshot first."""
        yield self.render("snapshot", self.snapshot(self.bids), self.snapshot(self.asks)), 0
        while True:
            bids, asks = self.step()
            self.advance()
            if self.depth == 1:
                yield self.render("snapshot", self.bids.window(), self.asks.window()), 2
            else:
                yield self.render("delta", bids, asks), len(bids) + len(asks)

    def snapshot(self, side: Side) -> list[tuple[int, int]]:
        window = side.window()
        side.sent = dict(window)
        return window

    def step(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Let orders arrive until enough levels changed; never returns two empty sides."""
        mean = CHANGES[self.depth] * TOUCHED_PER_CHANGE
        while True:
            wanted = 1 if self.depth == 1 else self.rng.triangular(1, 2 * mean - 2, mean - 1)
            touched: tuple[set[int], set[int]] = (set(), set())
            while len(touched[0]) + len(touched[1]) < wanted:
                if self.rng.random() < 0.5:
                    touched[0].update(self.bids.order(-self.asks.keys[0]))
                else:
                    touched[1].update(self.asks.order(-self.bids.keys[0]))
            bids, asks = self.bids.drain(touched[0]), self.asks.drain(touched[1])
            if bids or asks:
                return bids, asks

    def advance(self) -> None:
        self.update_id += 1
        self.seq += self.rng.randint(80, 900)
        self.ts_ms += INTERVAL_MS[self.depth]

    def render(self, kind: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> bytes:
        times = (
            f'"ts":{self.ts_ms},"type":"{kind}"' if self.depth == 1 else f'"type":"{kind}","ts":{self.ts_ms}'
        )
        return (
            f'{{"topic":"orderbook.{self.depth}.{self.symbol}",{times},"data":{{"s":"{self.symbol}",'
            f'"b":[{render_levels(bids)}],"a":[{render_levels(asks)}],"u":{self.update_id},"seq":{self.seq}}},'
            f'"cts":{self.ts_ms - self.rng.randint(1, 5)}}}'
        ).encode()

    def levels(self) -> Levels:
        return decimal_levels(self.bids.window()), decimal_levels(self.asks.window())

    def best(self) -> tuple[Decimal, Decimal]:
        return Decimal(abs(self.bids.keys[0])).scaleb(-1), Decimal(self.asks.keys[0]).scaleb(-1)


def generate(depth: int, messages: int, seed: int = 1) -> Stream:
    """Draw a stream; equal arguments give equal bytes, and fewer messages give a prefix of more."""
    if depth not in CHANGES:
        raise ValueError(f"depth was {depth}; streams exist for {', '.join(map(str, CHANGES))}")
    if messages < 1:
        raise ValueError(f"messages was {messages}; at least 1 is needed")
    market = Market(depth, seed)
    frames: list[bytes] = []
    best: list[tuple[Decimal, Decimal]] = []
    changes = 0
    for frame, count in market.frames():
        frames.append(frame)
        best.append(market.best())
        changes += count
        if len(frames) == messages:
            break
    return Stream(depth, seed, changes, frames, best, market.levels())


def save(stream: Stream, folder: Path) -> None:
    """Write a stream for another process: frames one a line (they hold no line feed), the rest as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FRAMES_FILE).write_bytes(b"\n".join(stream.frames))
    expected = {
        "depth": stream.depth,
        "seed": stream.seed,
        "changes": stream.changes,
        "best": [[str(bid), str(ask)] for bid, ask in stream.best],
        "levels": levels_as_text(stream.levels),
    }
    (folder / EXPECTED_FILE).write_text(json.dumps(expected))


def levels_as_text(levels: Levels) -> list[list[tuple[str, str]]]:
    return [[(str(price), str(size)) for price, size in side] for side in levels]


def levels_from_text(levels: list[list[tuple[str, str]]]) -> Levels:
    bids, asks = ([(Decimal(price), Decimal(size)) for price, size in side] for side in levels)
    return bids, asks


def load_frames(folder: Path) -> list[bytes]:
    return (folder / FRAMES_FILE).read_bytes().split(b"\n")


def load(folder: Path) -> Stream:
    """Read what `save` wrote."""
    expected = json.loads((folder / EXPECTED_FILE).read_text())
    return Stream(
        depth=expected["depth"],
        seed=expected["seed"],
        changes=expected["changes"],
        frames=load_frames(folder),
        best=[(Decimal(bid), Decimal(ask)) for bid, ask in expected["best"]],
        levels=levels_from_text(expected["levels"]),
    )
