"""Batches that the database refuses for what is in them: which, where they go, what stands for them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import orjson

from ext.columns import Columns
from recorder import ledger
from recorder.database.clickhouse import DatabaseError
from recorder.folder import POISON_FOLDER
from recorder.loading.batches import Batch, Intent
from recorder.spool.durable import sync_folder, write_synced
from recorder.sql import schema

__all__ = ["POISON_FOLDER", "PoisonFolder", "SetAside", "is_refusal", "stand_in"]

BLOCKS_KEPT_MAX: Final = 64  # batches whose blocks are kept; of further ones their description alone

_DESCRIPTION: Final = "batch.json"

# Errors that the same bytes will meet again wherever and whenever they are inserted into the same table. What
# may also come of a network, a disk, a right or a server that is short of something is not among them: it is
# tried again for ever. Nor is what cut-off data looks like (32, 33): a proxy may have done that.
_REFUSALS: Final = frozenset(
    (
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        117,  # INCORRECT_DATA
        128,  # TOO_LARGE_ARRAY_SIZE
        131,  # TOO_LARGE_STRING_SIZE
        190,  # SIZES_OF_ARRAYS_DONT_MATCH
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
        469,  # VIOLATED_CONSTRAINT
    )
)


def is_refusal(error: DatabaseError) -> bool:
    """Whether the database refused a block for what is in it; everything else may be tried later."""
    return error.code in _REFUSALS


@dataclass(frozen=True)
class SetAside:
    """A batch in the folder: its range of positions, and what the database said to which table."""

    path: Path
    recorder: str
    first: int
    last: int
    table: str
    error: str


class PoisonFolder:
    """Keeps batches that were set aside: DIR/RECORDER-FIRST-LAST/ with batch.json and TABLE.native of each.

    The spool still has their records: what is kept here serves to find out what was wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, batch: Batch, intent: Intent, table: str, error: DatabaseError) -> None:
        """Write a batch and why it was refused; there, synced, when this returns."""
        self._path.mkdir(exist_ok=True)
        place = self._place(batch.recorder, batch.first, batch.last)
        fresh = place.with_name(place.name + ".new")
        for left in (fresh, place):  # an earlier attempt's
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir()
        if sum(1 for _ in self._path.iterdir()) <= BLOCKS_KEPT_MAX:
            for name, (_, block) in batch.blocks.items():
                write_synced(fresh / f"{name}.native", block)
        description = {
            "recorder": batch.recorder,
            "first": batch.first,
            "last": batch.last,
            "first_recv_ns": batch.first_recv_ns,
            "last_recv_ns": batch.last_recv_ns,
            "rows": {name: rows for name, (rows, _) in batch.blocks.items()},
            "refused": table,
            "code": error.code,
            "error": error.problem,
            "tokens": intent.tokens,
        }
        write_synced(fresh / _DESCRIPTION, orjson.dumps(description, option=orjson.OPT_INDENT_2))
        sync_folder(fresh)
        fresh.replace(place)
        sync_folder(self._path)

    def entries(self, recorder: str, first: int = 0, last: int = (1 << 64) - 1) -> Iterator[SetAside]:
        """Batches of a recorder that touch a range of positions, in their order."""
        found = [_read(path) for path in self._path.glob(f"*/{_DESCRIPTION}") if path.parent.suffix != ".new"]
        for one in sorted(found, key=lambda entry: entry.first):
            if one.recorder == recorder and one.first <= last and one.last >= first:
                yield one

    def remove(self, entry: SetAside) -> None:
        """Forget a batch."""
        shutil.rmtree(entry.path)
        sync_folder(self._path)

    def _place(self, recorder: str, first: int, last: int) -> Path:
        return self._path / f"{quote(recorder, safe='')}-{first}-{last}"


def stand_in(batch: Batch, table: str, error: DatabaseError) -> Batch:
    """What is inserted in place of a batch: its own ledger, unless that was refused, an event and gaps.

    The gaps are of every topic that was wanted, from its first record to its last.
    """
    detail = f"{batch.rows} rows of {batch.frames} frames; {table} refused: {error.problem}"
    columns = Columns(batch.recorder, schema())
    ledger.tell_event(columns, "batch_set_aside", detail, batch.last_recv_ns, batch.last)
    loss = ledger.missed(batch.first_recv_ns, batch.last_recv_ns, "own_drop", f"batch set aside: {table}")
    ledger.tell_missed(columns, batch.topics, loss, batch.last)
    own = {
        name: blocks for name, blocks in batch.blocks.items() if name in ("gap", "event") and name != table
    }
    return replace(batch, blocks=own, in_place=columns.take())


def _read(path: Path) -> SetAside:
    told = orjson.loads(path.read_bytes())
    return SetAside(
        path.parent, told["recorder"], told["first"], told["last"], told["refused"], told["error"]
    )
