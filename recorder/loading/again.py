"""Segments loaded anew: their rows are deleted by position, then made and inserted again.

What is wanted is noted in DATA/again.json first, and forgotten last: whatever ends the process in between,
the next start of a loader does it all once more.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

from engine.clock import Clock
from engine.errors import UsageError
from recorder.database.clickhouse import Database
from recorder.folder import DataFolder
from recorder.loading import state as states
from recorder.loading.batches import DECODER_VERSION
from recorder.loading.decoding import Decoding
from recorder.loading.loader import Loader
from recorder.loading.poison import POISON_FOLDER, PoisonFolder
from recorder.spool.durable import put, sync_folder
from recorder.spool.segments import segments

__all__ = ["Again", "ask", "finish"]

INTENT_FILE: Final = "again.intent"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Again:
    """Which batches are to be loaded anew: all of a recorder from one position to another.

    `segment` is the first of them; a batch begins after the last record of the one before, so that `first`
    may be the position after the end of an earlier segment.
    """

    shard: int
    recorder: str
    segment: int
    first: int
    last: int


def ask(place: DataFolder, database: Database, shard: int, first: int, last: int) -> Again:
    """Note that segments `first` to `last` of a shard are to be loaded anew; `finish` does it.

    Raises:
        UsageError: none of them is loaded, or the spool has not got all that it takes.
    """
    recorder = place.recorder(shard)
    loaded = _loaded(database, recorder, last)
    wanted = [mark for mark in loaded if mark[0] >= first]
    if not wanted:
        raise UsageError(
            f"segment was {first}{f' to {last}' if last > first else ''}: nothing of it is loaded",
            "give segments that are loaded; `tapehead load` without --again loads what is not",
        )
    segment, begin, _ = wanted[0]
    _check_spool(place.spool_of(shard), recorder, segment, [number for number, _, _ in loaded])
    wish = Again(shard, recorder, segment, begin, wanted[-1][2])
    put(place.wish, orjson.dumps(asdict(wish)))
    return wish


def finish(
    place: DataFolder,
    database: Database,
    stop: threading.Event,
    told: Callable[[Loader], None] | None = None,
    clock: Clock | None = None,
) -> Loader | None:
    """Do what was asked, if anything was; return the loader that did it, closed.

    Args:
        place: the data folder, held by this process.
        database: with its schema; for this call alone.
        stop: set from elsewhere to give up waiting for a database that fails.
        told: called now and then with the loader.
        clock: for numbers never used before.
    """
    try:
        wish = Again(**orjson.loads(place.wish.read_bytes()))
    except FileNotFoundError:
        return None
    if not _follows(database, wish):
        logger.warning("segment %d is not loaded anew: it was of another database", wish.segment)
        place.wish.unlink()
        return None
    logger.warning("positions %d to %d of recorder %s are loaded anew", wish.first, wish.last, wish.recorder)
    poison = PoisonFolder(place.path / POISON_FOLDER)
    for entry in poison.entries(wish.recorder, wish.first, wish.last):
        poison.remove(entry)
    loader = _AgainLoader(place, database, wish, stop, clock)
    try:
        loader.recover()
        loader.drain(told)
    finally:
        loader.close()
    place.wish.unlink()
    (place.path / INTENT_FILE).unlink(missing_ok=True)
    sync_folder(place.path)
    return loader


class _AgainLoader(Loader):
    """Begins before a segment that was loaded, and ends where that ended."""

    def __init__(
        self, place: DataFolder, database: Database, wish: Again, stop: threading.Event, clock: Clock | None
    ) -> None:
        super().__init__(
            place.spool_of(wish.shard),
            database,
            wish.recorder,
            place.path,
            clock=clock,
            stop=stop,
            intent=INTENT_FILE,
            until=wish.last,
        )
        self._wish = wish

    def recover(self) -> None:
        wish = self._wish
        self.inserter.forget(wish.first, wish.last)
        self._begin_with(Decoding.before(self._spool, wish.recorder, wish.segment), wish.first - 1)


def _loaded(database: Database, recorder: str, last: int) -> list[tuple[int, int, int]]:
    """Number, first and last position of each segment up to the last one, as far as they are loaded."""
    found = database.query(
        "SELECT segment, min(first_position), max(last_position) FROM load_batch"
        " WHERE recorder = {recorder:String} AND segment <= {last:UInt32} GROUP BY segment ORDER BY segment",
        {"recorder": recorder, "last": last},
    )
    return [(int(segment), int(first), int(end)) for segment, first, end in found]


def _follows(database: Database, wish: Again) -> bool:
    """Whether all before is loaded: a database that is new is loaded from the beginning, without a hole."""
    found = database.query(
        "SELECT max(last_position) FROM load_batch"
        " WHERE recorder = {recorder:String} AND last_position < {first:UInt64}",
        {"recorder": wish.recorder, "first": wish.first},
    )
    return int(found[0][0]) == wish.first - 1


def _check_spool(spool: Path, recorder: str, first: int, loaded: list[int]) -> None:
    begin = next(states.usable(spool, recorder, DECODER_VERSION, first << 32), None)
    known = begin.segment if begin is not None else 0
    there = {segment.number for segment in segments(spool)}
    gone = [number for number in loaded if number > known and number not in there]
    if gone:
        raise UsageError(
            f"segment {gone[0]} is not in the spool any more; it takes it to load from segment {first} on",
            "leave those rows as they are: nothing was changed",
        )
