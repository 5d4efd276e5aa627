"""Frames by the million: laps of the simulator's market, with the true book at each update id.

They go to a Dispatcher directly; the truth is the simulator's window, as a checksum of its canonical text.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Final

import orjson

from simulator.instruments import listing
from simulator.tape import Tape, Window

__all__ = ["Block", "Message", "Strip", "canonical_checksum"]

LAP_STEPS: Final = 120
TS_MS: Final = 1_790_000_000_000
REPEAT_CHANCE: Final = 0.05
SNAPSHOT_CHANCE: Final = 0.01
SEQ_STEP_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Message:
    """A frame of a book, and what may be asked of the book once it was applied."""

    frame: bytes
    update_id: int
    seq: int
    is_snapshot: bool


@dataclass(frozen=True, slots=True)
class Block:
    """So many clean frames of one topic, from a snapshot with ``u`` = 1 on; ``checksums`` by update id."""

    topic: str
    frames: list[bytes]
    checksums: Mapping[int, int]
    repeats: int
    snapshots: int


def canonical_checksum(window: Window) -> int:
    """Return the CRC32 of a book as docs/storage.md defines it, from texts."""
    lines = [f"{side} {_shortest(price)} {_shortest(size)}\n" for side, price, size in _levels(window)]
    return zlib.crc32("".join(lines).encode())


def _levels(window: Window) -> Iterator[tuple[str, str, str]]:
    bids, asks = window.rows()
    for side, rows in (("B", bids), ("A", asks)):
        for price, size in rows:
            yield side, price, size


def _shortest(text: str) -> str:
    return f"{Decimal(text).normalize():f}"


class Strip:
    """The messages of one order-book topic of a generated market, lap after lap, without end."""

    def __init__(self, random: Random, depth: int, category: str = "linear") -> None:
        tape = Tape(listing(f"{category}:BTCUSDT"), random, LAP_STEPS)
        lane = tape.depths.index(depth)
        self.topic = f"orderbook.{depth}.BTCUSDT"
        self.depth = depth
        self.random = random
        self.update_id = 0
        self.seq = 1_000
        self._templates = [template for step in tape.steps for one, template in step.books if one == lane]
        self._windows = [tape.window(depth, 0)]
        for template in self._templates:
            self._windows.append(_after(self._windows[-1], template, depth))
        self._checksums = [canonical_checksum(window) for window in self._windows]
        self._snapshot = self._snapshot_templates()
        self._place = 0

    @property
    def checksum(self) -> int:
        """The checksum of the true book after the last message."""
        return self._checksums[self._place]

    def delta(self) -> Message:
        """Return the next message: a delta, at level 1 a snapshot."""
        template = self._templates[self._place]
        self._place = (self._place + 1) % len(self._templates)
        return self._message(template, is_snapshot=self.depth == 1)

    def snapshot(self, update_id: int | None = None) -> Message:
        """Return a snapshot of the book as it is, under the next update id or a given one."""
        if update_id is not None:
            self.update_id = update_id - 1
        return self._message(self._snapshot[self._place], is_snapshot=True)

    def at(self, message: Message, update_id: int, seq: int) -> bytes:
        """Return a message with other numbers."""
        data = orjson.loads(message.frame)
        data["data"] |= {"u": update_id, "seq": seq}
        return orjson.dumps(data)

    def block(self, count: int) -> Block:
        """Render ``count`` frames from a restart on, with repeats of level 1 and snapshots among them."""
        frames = [self.snapshot(update_id=1).frame]
        checksums = {1: self.checksum}
        repeats = snapshots = 0
        while len(frames) < count:
            chance = self.random.random()
            if self.depth == 1 and chance < REPEAT_CHANCE:
                frames.append(frames[-1])
                repeats += 1
                continue
            is_snapshot = self.depth > 1 and chance < SNAPSHOT_CHANCE
            message = self.snapshot() if is_snapshot else self.delta()
            snapshots += is_snapshot
            frames.append(message.frame)
            checksums[message.update_id] = self.checksum
        return Block(self.topic, frames, checksums, repeats, snapshots)

    def _message(self, template: bytes, *, is_snapshot: bool) -> Message:
        self.update_id += 1
        self.seq += self.random.randint(1, SEQ_STEP_MAX)
        ts_ms = TS_MS + self.update_id
        frame = template % (ts_ms, self.update_id, self.seq, ts_ms - 2)
        return Message(frame, self.update_id, self.seq, is_snapshot)

    def _snapshot_templates(self) -> list[bytes]:
        rendered = []
        for window in self._windows:
            bids, asks = window.rows()
            rows = [orjson.dumps(rows).decode() for rows in (bids, asks)]
            rendered.append(
                f'{{"topic":"{self.topic}","type":"snapshot","ts":%d,"data":{{"s":"BTCUSDT",'
                f'"b":{rows[0]},"a":{rows[1]},"u":%d,"seq":%d}},"cts":%d}}'.encode()
            )
        return rendered


def _after(window: Window, template: bytes, depth: int) -> Window:
    data = orjson.loads(template % (0, 0, 0, 0))["data"]
    if depth == 1:
        return Window(dict(data["b"]), dict(data["a"]))
    after = Window(dict(window.bids), dict(window.asks))
    after.apply(data["b"], data["a"])
    after.sort()
    return after
