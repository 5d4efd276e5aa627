"""What is inserted together, under which tokens, in which order, and the note of it that a restart reads."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import orjson

from ext.block import Block
from ext.native import Table
from recorder.spool.durable import put
from recorder.sql import TABLES, columns

__all__ = ["DECODER_VERSION", "ORDER", "Batch", "Insert", "Intent", "IntentFile"]

# Counts up whenever the same frames would give other rows.
DECODER_VERSION: Final = "3"

# Losses first, so that a row is never there before what makes it doubtful.
ORDER: Final = ("gap", "event", *(table for table in TABLES if table not in ("gap", "event", "load_batch")))

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intent:
    """The batch that is being inserted: a restart builds this very range again.

    `generation` is 0, or a number never used before where rows of an earlier attempt were deleted: their
    tokens are known to the database, and would keep the new rows out. `begun_ns`: wall clock of its first
    attempt, 0 where that is not known.
    """

    first: int
    last: int
    generation: int
    tokens: list[str] = field(default_factory=list)
    begun_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Insert:
    """One insert of a batch."""

    table: str
    rows: int
    block: Block
    token: str


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
        put(self._path, orjson.dumps(asdict(intent)))


@dataclass(frozen=True)
class Batch:
    """A range of records of one segment as Native blocks: {table: (rows, block)}.

    `topics` were wanted at its end, by category. `in_place`: blocks, of the ledger, that stand for what was
    set aside; empty in a batch that is whole.
    """

    recorder: str
    first: int
    last: int
    records: int
    frames: int
    first_recv_ns: int
    last_recv_ns: int
    blocks: dict[str, tuple[int, Block]]
    topics: Mapping[str, Sequence[str]] = field(default_factory=dict)
    in_place: dict[str, tuple[int, Block]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all tables, the commit mark not counted."""
        return sum(rows for _, rows, _ in self._ordered())

    def intent(self, generation: int = 0, begun_ns: int = 0) -> Intent:
        """What to note before the first insert."""
        tokens = [self._token(table, block, generation) for table, _, block in self._ordered()]
        return Intent(self.first, self.last, generation, tokens, begun_ns)

    def inserts(self, generation: int) -> Iterator[Insert]:
        """Each insert, in order, the commit mark last."""
        for table, rows, block in self._ordered():
            yield Insert(table, rows, block, self._token(table, block, generation))
        mark = self._mark()
        yield Insert("load_batch", 1, mark, self._token("load_batch", mark, generation))

    def _ordered(self) -> Iterator[tuple[str, int, Block]]:
        for table in ORDER:
            for blocks in (self.blocks, self.in_place):
                if table in blocks:
                    yield table, *blocks[table]

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
