"""Batches into the database, each once: docs/storage.md has the protocol."""

import logging
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from engine.clock import Clock
from engine.errors import UsageError
from ext.block import Block
from recorder.batches import ORDER, Batch, Intent, IntentFile
from recorder.clickhouse import Database, DatabaseError

__all__ = ["Inserter"]

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 30.0
EMBEDDED_ATTEMPTS_MAX: Final = 5
STOPPING_ATTEMPTS_MAX: Final = 3

logger = logging.getLogger(__name__)


class Inserter:
    """Commits batches one after the other, on a thread of its own: the next one can be built meanwhile.

    Args:
        database: with its schema; for this inserter alone.
        recorder: whose rows.
        intent: path of the intent file.
        clock: for numbers never used before, see `Intent.generation`.
        thread: to insert on, where several share a database; one of its own if not given.
        stop: set from elsewhere to give up waiting for a database that fails.

    Attributes:
        cursor: position up to which everything is committed.
        rows: rows inserted, by table. counters: what happened, by name.
    """

    def __init__(
        self,
        database: Database,
        recorder: str,
        intent: Path,
        clock: Clock,
        stop: threading.Event,
        thread: ThreadPoolExecutor | None = None,
    ) -> None:
        self.cursor = 0
        self.rows: Counter[str] = Counter()
        self.counters: Counter[str] = Counter()
        self._database = database
        self._recorder = recorder
        self._intent_file = IntentFile(intent)
        self._clock = clock
        self._stop = stop
        self._generation = 0
        self._thread = thread or ThreadPoolExecutor(1, "inserter")
        self._is_thread_ours = thread is None
        self._under_way: Future[None] | None = None

    def recover(self) -> Intent | None:
        """Learn the commit mark, and return the batch that was begun and not committed, if there is one.

        Raises:
            DatabaseError: the database does not answer.
        """
        mark = self._database.query(
            "SELECT max(last_position) FROM load_batch WHERE recorder = {recorder:String}",
            {"recorder": self._recorder},
        )
        self.cursor = int(mark[0][0])
        intent = self._intent_file.read()
        if intent is not None and intent.first == self.cursor + 1:  # else it is of another database
            return intent
        if self._has_leftovers():
            logger.warning("rows beyond the commit mark %d without an intent are deleted", self.cursor)
            self._purge(self.cursor + 1, (1 << 64) - 1)
        return None

    def begin(self, batch: Batch) -> None:
        """Start to commit a batch, after the one before; raises what that one raised."""
        self.wait()
        intent = batch.intent(self._generation)
        self._under_way = self._thread.submit(self._commit, batch, intent, is_noted=False)

    def repeat(self, batch: Batch, intent: Intent) -> None:
        """Commit the batch of an intent again, under the tokens it had if it is still the same."""
        again = batch.intent(intent.generation)
        if again != intent:
            logger.warning(
                "batch %d to %d differs from its first attempt, which is deleted", batch.first, batch.last
            )
            self._purge(batch.first, max(batch.last, intent.last))
            again = batch.intent(self._generation)
        self.counters["repeated_batches"] += 1
        self._commit(batch, again, is_noted=again == intent)

    def wait(self) -> None:
        """Wait for the batch under way; raises what it raised."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        """Wait for the batch under way, whatever becomes of it."""
        if self._under_way is not None:
            wait([self._under_way])
        if self._is_thread_ours:
            self._thread.shutdown()

    def _commit(self, batch: Batch, intent: Intent, *, is_noted: bool) -> None:
        if batch.last <= self.cursor:
            raise UsageError(
                f"the spool holds position {batch.last} of recorder {self._recorder!r}, "
                f"but the database has it up to {self.cursor}",
                "a new spool needs a new recorder name, or a new database",
            )
        if not is_noted:
            self._intent_file.write(intent)
        for table, block, token in batch.inserts(intent):
            self._insert(table, block, token)
        self.cursor = batch.last
        self.rows.update({table: rows for table, (rows, _) in batch.blocks.items()})
        self.counters.update(batches=1, bytes=sum(len(block) for _, block in batch.blocks.values()))

    def _insert(self, table: str, block: Block, token: str) -> None:
        """Insert until it succeeds, always the same bytes under the same token."""
        attempts = 0
        while True:
            try:
                self._database.insert(table, block, token)
            except DatabaseError as error:
                attempts += 1
                self.counters["insert_failures"] += 1
                logger.warning("attempt %d: %s", attempts, error)
                if self._gives_up(attempts):
                    raise
                self._stop.wait(min(RETRY_FIRST_S * 2 ** (attempts - 1), RETRY_MAX_S))
            else:
                return

    def _gives_up(self, attempts: int) -> bool:
        # An embedded engine that keeps failing is cured by a new process, a server by waiting for it.
        if self._stop.is_set() and attempts >= STOPPING_ATTEMPTS_MAX:
            return True
        return self._database.is_embedded and attempts >= EMBEDDED_ATTEMPTS_MAX

    def _has_leftovers(self) -> bool:
        """Whether rows beyond the commit mark are there without an intent that explains them."""
        for table in ORDER:
            found = self._database.query(
                f"SELECT count() FROM {table}"  # noqa: S608  # a name of ours
                " WHERE recorder = {recorder:String} AND position > {cursor:UInt64}",
                {"recorder": self._recorder, "cursor": self.cursor},
            )
            if found[0][0]:
                return True
        return False

    def _purge(self, first: int, last: int) -> None:
        """Delete the rows of a range of positions from every table; tokens used so far are not used again."""
        self.counters["purges"] += 1
        self._generation = self._clock.now().wall_ns
        name = self._recorder.replace("\\", "\\\\").replace("'", "\\'")
        for table in ORDER:
            self._database.command(
                f"ALTER TABLE {table} DELETE WHERE recorder = '{name}'"
                f" AND position BETWEEN {first} AND {last} SETTINGS mutations_sync = 2"
            )
