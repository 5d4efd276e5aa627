"""What is inserted together, under which tokens, in which order, and the note of it that a restart reads."""

import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import orjson

from ext.block import Block
from ext.native import Table
from recorder.sql import TABLES, columns

__all__ = ["DECODER_VERSION", "Batch", "Intent", "IntentFile"]

# Counts up whenever the same frames would give other rows.
DECODER_VERSION: Final = "2"

# Losses first, so that a row is never there before what makes it doubtful.
ORDER: Final = ("gap", "event", *(table for table in TABLES if table not in ("gap", "event", "load_batch")))

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intent:
    """The batch that is being inserted: a restart builds this very range again.

    `generation` is 0, or a number never used before where rows of an earlier attempt were deleted: their
    tokens are known to the database, and would keep the new rows out.
    """

    first: int
    last: int
    generation: int
    tokens: dict[str, str] = field(default_factory=dict)


class IntentFile:
    """Keeps the present intent on disk; replaced as a whole, synced."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Intent | None:
        """The intent written last; None where there is none that can be read."""
        try:
            return Intent(**orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, TypeError) as error:
            logger.warning("%s is no intent, the batch it was of is made anew: %s", self._path, error)
            return None

    def write(self, intent: Intent) -> None:
        """Make the intent survive a crash and a power failure."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(orjson.dumps(asdict(intent)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@dataclass(frozen=True)
class Batch:
    """A range of records of one segment as Native blocks: {table: (rows, block)}."""

    recorder: str
    first: int
    last: int
    records: int
    frames: int
    first_recv_ns: int
    last_recv_ns: int
    blocks: dict[str, tuple[int, Block]]

    @property
    def rows(self) -> int:
        """Rows of all tables, the commit mark not counted."""
        return sum(rows for rows, _ in self.blocks.values())

    def intent(self, generation: int = 0) -> Intent:
        """What to note before the first insert."""
        tokens = {table: self._token(table, block, generation) for table, _, block in self._ordered()}
        return Intent(self.first, self.last, generation, tokens)

    def inserts(self, intent: Intent) -> Iterator[tuple[str, Block, str]]:
        """(table, block, token) of each insert, in order, the commit mark last."""
        for table, _, block in self._ordered():
            yield table, block, intent.tokens[table]
        mark = self._mark()
        yield "load_batch", mark, self._token("load_batch", mark, intent.generation)

    def _ordered(self) -> Iterator[tuple[str, int, Block]]:
        for table in ORDER:
            if table in self.blocks:
                yield table, *self.blocks[table]

    def _token(self, table: str, block: Block, generation: int) -> str:
        return f"{table}:{self.recorder}:{self.first}-{self.last}:{block.crc:08x}:{generation}"

    def _mark(self) -> Block:
        table = Table("load_batch", columns("load_batch"))
        table.append(
            {
                "recorder": self.recorder,
                "segment": self.last >> 32,
                "first_position": self.first,
                "last_position": self.last,
                "decoder_version": DECODER_VERSION,
                "records": self.records,
                "frames": self.frames,
                "tables.name": [name for name, _, _ in self._ordered()],
                "tables.rows": [rows for _, rows, _ in self._ordered()],
                "tables.crc": [block.crc for _, _, block in self._ordered()],
                "first_recv": self.first_recv_ns,
                "last_recv": self.last_recv_ns,
            }
        )
        return table.take()
