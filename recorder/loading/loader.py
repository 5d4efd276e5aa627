"""Spool to ClickHouse, each record once: docs/storage.md says how; `process` is the process."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from engine.clock import Clock, SystemClock
from engine.errors import UsageError
from recorder.database.clickhouse import Database
from recorder.loading import state as states
from recorder.loading.batches import Batch, Intent
from recorder.loading.decoding import Decoding
from recorder.loading.inserter import Inserter
from recorder.loading.state import State
from recorder.playback import Playback
from recorder.spool.lag import unread_bytes
from recorder.spool.segments import first_begun, last_number

__all__ = ["INTENT_FILE", "Loader", "intent_file"]

INTENT_FILE: Final = "loader.intent"

BATCH_RECORDS_MAX: Final = 100_000
BATCH_ROWS_MAX: Final = 1_000_000
BATCH_MS: Final = 1_000
BATCH_WITHOUT_ROWS_MS: Final = 10_000
RUN_RECORDS: Final = 10_000
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """The end of a batch: its last record, and where in which segment the next one is looked for."""

    position: int = 0
    recv_ns: int = 0
    segment: int = 0
    offset: int = 0


class Loader:
    """Loads one recorder's spool into a database, from where it ended last time.

    Args:
        spool: folder of the spool.
        database: with its schema; for this loader alone.
        recorder: the name in every row.
        state: folder of the intent file; the states of decoding lie in the spool.
        clock: for the age of batches; never reaches a row.
        stop: set from elsewhere to give up waiting for a database that fails.
        batch_records, batch_ms: how many records, and for how long, are gathered into one batch.
        intent: name of the intent file.
        thread: to insert on, where several loaders share a database.
        until: position not to go beyond; 0 for none.

    Attributes:
        reread_records: committed before this start, and read again to know what they led to.
    """

    def __init__(
        self,
        spool: Path,
        database: Database,
        recorder: str,
        state: Path,
        *,
        clock: Clock | None = None,
        stop: threading.Event | None = None,
        batch_records: int = BATCH_RECORDS_MAX,
        batch_ms: int = BATCH_MS,
        intent: str = INTENT_FILE,
        thread: ThreadPoolExecutor | None = None,
        until: int = 0,
    ) -> None:
        self.recorder = recorder
        self._clock = clock or SystemClock()
        self._batch_records = batch_records
        self._batch_ms = batch_ms
        self._until = until
        self._spool = spool
        self._decoding = Decoding(spool, recorder)
        self._unsaved: State | None = None  # of a seam, until all before that is committed
        self.inserter = Inserter(
            database, recorder, state / intent, self._clock, stop or threading.Event(), thread
        )
        self.reread_records = 0
        # Where the batch that is being gathered begins.
        self._last = 0
        self._records = 0
        self._frames = 0
        self._first_recv_ns = 0
        self._begun_ns = 0
        self._committed = self._under_way = _Place()

    @property
    def playback(self) -> Playback:
        """Where the spool is being read."""
        return self._decoding.playback

    def recover(self) -> None:
        """Go on from the newest state to the commit mark without inserting; finish a batch that was begun.

        Raises:
            DatabaseError: the database does not answer, or gave up.
            UsageError: what it has of this recorder is of another spool.
        """
        intent = self.inserter.recover()
        mark = self.inserter.cursor
        if mark:
            self._check_spool(mark)
        later = Decoding.after_expired(self._spool, self.recorder, mark)
        states.remove_beyond(self._spool, mark, later.playback.position if later is not None else 0)
        self._begin_with(later or Decoding.nearest(self._spool, self.recorder, mark), mark)
        if later is not None:
            later.tell_lacking(mark)
            self._first_recv_ns = later.playback.recv_ns
        if intent is not None:
            self._repeat(intent)

    def step(self, *, drain: bool = False) -> bool:
        """Read on, and begin to insert a batch if one is due; False when there was nothing to read.

        Args:
            drain: whether what was read is due as soon as there is nothing more.

        Raises:
            DatabaseError: the batch before gave up.
        """
        self._save_state()
        if self._is_due(drain=False):
            if self.inserter.is_busy and not drain:
                return False
            self._begin_insert()
            return True
        if self._pending():
            room = max(1, min(RUN_RECORDS, self._batch_records - self._read_records()))
            taken = self.playback.run(room, until=self._until, stay=True)
        else:
            taken = self._begin_batch(self._until)
        if drain and taken == 0 and self._pending():
            self._begin_insert()
        return taken > 0

    def drain(self, told: Callable[[Self], None] | None = None) -> None:
        """Load everything that the spool holds now, and wait until it is committed; tell of each step."""
        while self.step(drain=True) or self._pending() or self.playback.at_seam:
            if told is not None:
                told(self)
        self.inserter.wait()
        self._save_state()

    def status(self) -> dict[str, Any]:
        """What the loader is doing, for the status file.

        `position` is committed, `read_position` read; `lag_ms` is the age of the record read last.
        `lag_bytes` are of records not committed; while there are any, `lag_s` is the age of the last that is.
        """
        now_ns = self._clock.now().wall_ns
        recv_ns = self.playback.recv_ns
        lag_ns = max(0, now_ns - recv_ns) if recv_ns else 0
        if self.inserter.cursor >= self._under_way.position:
            self._committed = self._under_way
        lag_bytes = unread_bytes(self._spool, self._committed.segment, self._committed.offset)
        behind_ns = now_ns - self._committed.recv_ns if lag_bytes and self._committed.recv_ns else 0
        return {
            "position": self.inserter.cursor,
            "read_position": self.playback.position,
            "frames": self.playback.frames,
            "records": self.playback.records,
            "reread_records": self.reread_records,
            "recv_ns": recv_ns,
            "lag_ms": lag_ns // NS_PER_MS,
            "lag_s": round(max(behind_ns, 0) / NS_PER_S, 3),
            "lag_bytes": lag_bytes,
            "rows": dict(self.inserter.rows),
            "database_error": self.inserter.failing,
            **self.inserter.counters,
        }

    def close(self) -> None:
        """Wait for the batch under way and let the spool go; the database stays open."""
        self.inserter.close()
        self._decoding.close()

    def _check_spool(self, mark: int) -> None:
        """Refuse a spool that starts over under a known name: it would seem to be loaded."""
        if last_number(self._spool) >= mark >> 32:
            segment, recv_ns = first_begun(self._spool)
            if self.inserter.begun_ns(segment) in (0, recv_ns):
                return
        raise UsageError(
            f"the database has another spool of recorder {self.recorder!r}, up to segment {mark >> 32}",
            f"give the recording of {self._spool} a recorder name of its own, or a new database",
        )

    def _begin_with(self, decoding: Decoding, mark: int) -> None:
        """Read up to the commit mark; the next batch begins after it."""
        self._decoding.close()
        self._decoding = decoding
        known = self.playback.records
        while mark and self._decoding.run_to(mark, stay=True):
            self._keep_state()
            self._save_state()
        self._last = mark
        self._records, self._frames = self.playback.records, self.playback.frames
        self.reread_records = self._records - known
        self._committed = self._under_way = self._place()

    def _begin_batch(self, until: int = 0) -> int:
        """Read the first record of a batch; where that enters a segment, what was known before is kept."""
        taken = self.playback.run(1, until=until, stay=True)
        if not self._pending() and self.playback.at_seam:
            if self.playback.position:
                self._keep_state()
            taken = self.playback.run(1, until=until)
        self._first_recv_ns = self.playback.recv_ns
        self._begun_ns = self._clock.now().mono_ns
        return taken

    def _keep_state(self) -> None:
        self._unsaved = self._decoding.state()

    def _save_state(self) -> None:
        """Write the state that was kept, once all before it is committed."""
        if self._unsaved is None or self.inserter.cursor < self._unsaved.position:
            return
        kept, self._unsaved = self._unsaved, None
        try:
            states.save(self._spool, kept)
            states.thin(self._spool)
        except OSError as error:
            self.inserter.counters["state_failures"] += 1
            logger.warning("the state after segment %d was not saved: %s", kept.segment, error)

    def _read_records(self) -> int:
        return self.playback.records - self._records

    def _pending(self) -> bool:
        # Where damage ends a segment there are rows, and not a record.
        return self._read_records() > 0 or self.playback.position > self._last

    def _is_due(self, *, drain: bool) -> bool:
        if not self._pending():
            return False
        rows = self._decoding.columns.rows
        if (
            self._read_records() >= self._batch_records
            or rows >= BATCH_ROWS_MAX
            or drain
            or self.playback.at_seam
        ):
            return True
        age_ms = (self._clock.now().mono_ns - self._begun_ns) // NS_PER_MS
        return age_ms >= (self._batch_ms if rows else BATCH_WITHOUT_ROWS_MS)

    def _make_batch(self) -> Batch:
        batch = Batch(
            recorder=self.recorder,
            first=self._last + 1,
            last=self.playback.position,
            records=self.playback.records - self._records,
            frames=self.playback.frames - self._frames,
            first_recv_ns=self._first_recv_ns,
            last_recv_ns=self.playback.recv_ns,
            blocks=self._decoding.columns.take(),
            topics=self.playback.wanted,
        )
        self._last = batch.last
        self._records, self._frames = self.playback.records, self.playback.frames
        return batch

    def _begin_insert(self) -> None:
        place = self._place()
        self.inserter.begin(self._make_batch())
        self._committed, self._under_way = self._under_way, place  # `begin` waits for the one before

    def _place(self) -> "_Place":
        return _Place(self.playback.position, self.playback.recv_ns, *self.playback.place)

    def _repeat(self, intent: Intent) -> None:
        """Build the range of an interrupted batch again and commit it."""
        self._begin_batch(intent.last)
        while self.playback.run(RUN_RECORDS, until=intent.last):
            pass
        if self._pending():
            place = self._place()
            self.inserter.repeat(self._make_batch(), intent)
            self._committed = self._under_way = place


def intent_file(shard: int) -> str:
    """Name of the intent file of a shard."""
    return f"loader-{shard}.intent" if shard else INTENT_FILE
