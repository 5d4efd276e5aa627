"""Writes the spool that `load` reads: several markets, interleaved, as if recorded from one connection."""

import json
from pathlib import Path
from typing import Final

import zstandard

from benchmarks import stream
from benchmarks.harness import Facts
from ext.journal import RecordKind
from recorder.spool.writer import Spool

DEPTH: Final = 50
SYMBOLS: Final = 10
RECORDER: Final = "benchmark"
CONNECTION: Final = 1
COMMIT_FRAMES: Final = 1_000
NS_PER_MS: Final = 1_000_000
START_NS: Final = stream.START_TS_MS * NS_PER_MS
ZSTD_LEVEL: Final = 3
ZSTD_BLOCK_BYTES: Final = 1 << 20


def symbol(index: int) -> str:
    return f"BM{index:02d}USDT"


def write(folder: Path, each: int) -> Facts:
    """Record `each` frames of every symbol, interleaved, as if they had come by one connection."""
    markets = [stream.Market(DEPTH, index + 1, symbol(index)) for index in range(SYMBOLS)]
    sizes = Sizes()
    changes = 0
    with Spool(folder / "spool", RECORDER, now=lambda: (START_NS, START_NS)) as spool:
        writer = Tape(spool, [f"orderbook.{DEPTH}.{market.symbol}" for market in markets])
        sources = [market.frames() for market in markets]
        for _ in range(each):
            for source in sources:
                frame, count = next(source)
                changes += count
                writer.append(frame)
                sizes.add(frame)
        writer.commit()
    expected = {market.symbol: stream.levels_as_text(market.levels()) for market in markets}
    (folder / "expected.json").write_text(json.dumps({"frames": each * SYMBOLS, "levels": expected}))
    return {"changes": changes, "json_bytes": sizes.plain, "zstd_bytes": sizes.compressed()}


class Tape:
    """Appends frames to a spool, at even distances in time."""

    def __init__(self, spool: Spool, topics: list[str]) -> None:
        self.journal = spool.journal
        self.recv_ns = START_NS
        self.step_ns = stream.INTERVAL_MS[DEPTH] * NS_PER_MS // len(topics)
        self.uncommitted = 0
        connection = {"connection": CONNECTION, "category": stream.CATEGORY, "leg": 0, "url": "benchmark"}
        subscription = connection | {"op": "subscribe", "topics": topics}
        spool.describe = lambda: {"connections": [connection], "topics": {stream.CATEGORY: topics}}
        self.decide(RecordKind.CONNECTED, connection)
        self.decide(RecordKind.REQUESTED, subscription)
        self.decide(RecordKind.CONFIRMED, subscription)

    def decide(self, kind: RecordKind, payload: Facts) -> None:
        self.journal.append_record(kind, json.dumps(payload).encode(), CONNECTION, self.recv_ns, self.recv_ns)

    def append(self, frame: bytes, recv_ns: int = 0) -> None:
        self.recv_ns = recv_ns or self.recv_ns + self.step_ns
        self.journal.append_record(RecordKind.FRAME, frame, CONNECTION, self.recv_ns, self.recv_ns)
        self.uncommitted += 1
        if self.uncommitted == COMMIT_FRAMES:
            self.commit()

    def commit(self) -> None:
        """Write what was appended; nobody here takes the frames, so they are let go."""
        self.journal.commit()
        while self.journal.next_pending() is not None:
            continue
        self.uncommitted = 0


class Sizes:
    """The size of the frames, one a line, plain and compressed in blocks as sealed segments are."""

    def __init__(self) -> None:
        self.plain = 0
        self._compressed = 0
        self._block = bytearray()
        self._compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)

    def add(self, frame: bytes) -> None:
        self.plain += len(frame)
        self._block += frame + b"\n"
        if len(self._block) >= ZSTD_BLOCK_BYTES:
            self._flush()

    def compressed(self) -> int:
        self._flush()
        return self._compressed

    def _flush(self) -> None:
        self._compressed += len(self._compressor.compress(bytes(self._block)))
        self._block.clear()
