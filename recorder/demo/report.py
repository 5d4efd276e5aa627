"""What a demonstration recorded, held against what was sent."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

from ext.journal import Record, RecordKind
from recorder.database.clickhouse import Database, open_embedded
from recorder.folder import DataFolder
from recorder.spool.reader import SpoolReader
from recorder.sql import TABLES
from recorder.verify import book_at

__all__ = ["Report", "Sent", "check"]

BookKey = tuple[str, str, int]

FRAMES: Final = """
SELECT
    (SELECT sum(frames) FROM load_batch),
    (SELECT (toUnixTimestamp64Nano(max(recv)) - toUnixTimestamp64Nano(min(recv))) / 1e9 FROM bbo)
"""
SIZE: Final = """
SELECT
    (SELECT sum(length(`bids.size`) + length(`asks.size`)) FROM book_delta),
    (SELECT sum(data_compressed_bytes) FROM system.parts
     WHERE active AND database = currentDatabase() AND table = 'book_delta')
"""
LAST: Final = """
SELECT recorder, max(last_position) FROM committed GROUP BY recorder
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the simulator sent: all frames, those with market data, books by (category, symbol, depth)."""

    frames: int
    data_frames: int
    books: Mapping[BookKey, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """What was sent, captured (in the spool) and loaded (in ClickHouse); ``different_books`` are named."""

    frames_sent: int
    frames_captured: int
    frames_loaded: int
    data_frames: int
    seconds: float
    messages_per_s: float
    rows: dict[str, int]
    gaps: int
    books: int
    different_books: list[str]
    level_changes: int
    bytes_per_level_change: float

    @property
    def is_good(self) -> bool:
        """Whether every frame was captured and loaded, without a gap, and all books are equal."""
        is_complete = self.frames_sent == self.frames_captured == self.frames_loaded > 0
        return is_complete and self.gaps == 0 and self.books > 0 and not self.different_books

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {"ok": self.is_good, **asdict(self)}


def check(folder: DataFolder, sent: Sent) -> Report:
    """Read a recording back, from its spool and by SQL, and compare."""
    with open_embedded(folder.database) as database:
        frames_loaded, seconds = database.query(FRAMES)[0]
        level_changes, size = database.query(SIZE)[0]
        return Report(
            frames_sent=sent.frames,
            frames_captured=count_frames(folder),
            frames_loaded=int(frames_loaded),
            data_frames=sent.data_frames,
            seconds=round(seconds, 3),
            messages_per_s=round(sent.data_frames / seconds, 1) if seconds else 0.0,
            rows={table: int(database.query(f"SELECT count() FROM {table}")[0][0]) for table in TABLES},  # noqa: S608 (our own names)
            gaps=int(database.query("SELECT count() FROM gaps")[0][0]),
            books=len(sent.books),
            different_books=different_books(database, sent.books),
            level_changes=int(level_changes),
            bytes_per_level_change=round(size / level_changes, 2) if level_changes else 0.0,
        )


def count_frames(folder: DataFolder) -> int:
    """Return how many frames a spool holds."""
    frames = 0
    with SpoolReader(folder.spool) as reader:
        while (item := reader.poll()) is not None:
            frames += isinstance(item, Record) and item.kind == RecordKind.FRAME
    return frames


def different_books(database: Database, books: Mapping[BookKey, Mapping[str, Any]]) -> list[str]:
    """Return which books, rebuilt from the tables up to their last row, are not those that were sent."""
    ((recorder, position),) = database.query(LAST)
    different = []
    for (category, symbol, depth), book in books.items():
        expected = _levels(book["bids"]), _levels(book["asks"])
        rebuilt = book_at(database, recorder, category, symbol, depth, position)
        if rebuilt != expected or not all(expected):
            different.append(f"{category} {symbol} {depth}")
    return different


def _levels(rows: list[list[str]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in rows]
