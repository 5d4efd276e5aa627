"""Batches into the database, each once: docs/storage.md has the protocol."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from engine.clock import Clock
from engine.errors import UsageError
from recorder.database.clickhouse import Database, DatabaseError
from recorder.loading.batches import ORDER, Batch, Insert, Intent, IntentFile
from recorder.loading.poison import POISON_FOLDER, PoisonFolder, is_refusal, stand_in
from recorder.sql import columns

__all__ = ["Inserter", "pause_s"]

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 30.0
EMBEDDED_ATTEMPTS_MAX: Final = 5
STOPPING_ATTEMPTS_MAX: Final = 3
REFUSALS_MAX: Final = 5
# More than this many batches set aside one after the other: it is not what is in them.
SET_ASIDE_RUN_MAX: Final = 3
# How long the database is trusted to know a token. Its window is 1000 inserts a table, of all recorders.
TOKENS_HOLD_S: Final = 600
TOKENS_HOLD_BATCHES: Final = 400
NS_PER_S: Final = 1_000_000_000
POSITION_MAX: Final = (1 << 64) - 1

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class _RefusedError(Exception):
    """A table refuses a block of the batch for what is in it, again and again."""

    def __init__(self, table: str, error: DatabaseError) -> None:
        super().__init__(table)
        self.table = table
        self.error = error


class _PartlyThereError(Exception):
    """Some rows of a block are there, and its token is not known any more."""


def pause_s(attempts: int) -> float:
    """Return how long to wait after so many attempts that failed."""
    return min(RETRY_FIRST_S * 2.0 ** min(attempts - 1, 16), RETRY_MAX_S)


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
        failing: what the database last said, while it fails; else "".
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
        self._poison = PoisonFolder(intent.parent / POISON_FOLDER)
        self._set_aside_run = 0
        self.failing = ""

    @property
    def is_busy(self) -> bool:
        """Whether a batch is under way: `begin` would wait."""
        return self._under_way is not None and not self._under_way.done()

    def recover(self) -> Intent | None:
        """Learn the commit mark, and return the batch that was begun and not committed, if there is one.

        Raises:
            DatabaseError: the database does not answer, and is embedded, or `stop` is set.
        """
        self.cursor = self._persist(self._mark)
        intent = self._intent_file.read()
        if intent is not None and intent.first == self.cursor + 1:  # else it is of another database
            return intent
        if self._persist(self._has_leftovers):
            logger.warning("rows beyond the commit mark %d without an intent are deleted", self.cursor)
            self._purge(self.cursor + 1, POSITION_MAX)
        return None

    def begun_ns(self, segment: int) -> int:
        """When the first record of a segment was received, as the database has it; 0 where it has none."""
        return self._persist(partial(self._begun_ns, segment))

    def forget(self, first: int, last: int) -> None:
        """Delete what was committed of a range of positions, whole batches, to begin again before it.

        The commit marks go first: where nothing was loaded after the range, views stop before it at once.
        """
        self._delete("load_batch", "first_position", first, last)
        self._purge(first, last)
        self.cursor = first - 1

    def begin(self, batch: Batch) -> None:
        """Start to commit a batch, after the one before; raises what that one raised."""
        self.wait()
        self._under_way = self._thread.submit(self._commit, batch, self._intent(batch))

    def repeat(self, batch: Batch, intent: Intent) -> None:
        """Commit the batch of an intent again, under the tokens it had if it is still the same."""
        self.counters["repeated_batches"] += 1
        if batch.intent(intent.generation) == intent:
            self._commit(batch, intent, is_repeated=True)
            return
        logger.warning(
            "batch %d to %d differs from its first attempt, which is deleted", batch.first, batch.last
        )
        self._purge(batch.first, max(batch.last, intent.last))
        self._commit(batch, self._intent(batch))

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

    def _intent(self, batch: Batch) -> Intent:
        return batch.intent(self._generation, self._clock.now().wall_ns)

    def _commit(self, batch: Batch, intent: Intent, *, is_repeated: bool = False) -> None:
        if batch.last <= self.cursor:
            raise UsageError(
                f"the spool holds position {batch.last} of recorder {self._recorder!r}, "
                f"but the database has it up to {self.cursor}",
                "a new spool needs a new recorder name, or a new database",
            )
        if not is_repeated:
            self._intent_file.write(intent)
        try:
            for insert in batch.inserts(intent.generation):
                self._insert(batch, insert, intent.begun_ns, is_repeated=is_repeated)
        except _RefusedError as refused:
            self._set_aside(batch, intent, refused)
            return
        except _PartlyThereError:
            self._purge(batch.first, batch.last)
            self._commit(batch, self._intent(batch))
            return
        self.cursor = batch.last
        self._set_aside_run = self._set_aside_run + 1 if batch.in_place else 0
        for insert in batch.inserts(intent.generation):
            if insert.table != "load_batch":
                self.rows[insert.table] += insert.rows
                self.counters["bytes"] += len(insert.block)
        self.counters["batches"] += 1

    def _insert(self, batch: Batch, insert: Insert, begun_ns: int, *, is_repeated: bool) -> None:
        """Insert until it succeeds, always the same bytes under the same token."""
        refusals = 0
        is_new = not is_repeated

        def once() -> None:
            nonlocal refusals, is_new
            if not is_new and not self._tokens_hold(begun_ns) and self._is_there(batch, insert):
                self.counters["found_inserted"] += 1
                return
            is_new = False
            try:
                self._database.insert(insert.table, insert.block, insert.token)
            except DatabaseError as error:
                self.counters["insert_failures"] += 1
                refusals += is_refusal(error)
                if refusals >= REFUSALS_MAX and self._may_set_aside(batch, insert.table, is_repeated):
                    raise _RefusedError(insert.table, error) from error
                raise

        self._persist(once)

    def _persist(self, doing: Callable[[], Answer]) -> Answer:
        """Do it until it succeeds, with growing pauses; the database's errors alone are lived with."""
        attempts = 0
        while True:
            try:
                answer = doing()
            except DatabaseError as error:
                attempts += 1
                self.failing = error.problem
                logger.warning("attempt %d: %s", attempts, error)
                if self._gives_up(attempts):
                    raise
                self._stop.wait(pause_s(attempts))
            else:
                self.failing = ""
                return answer

    def _gives_up(self, attempts: int) -> bool:
        # An embedded engine that keeps failing is cured by a new process, a server by waiting for it.
        if self._stop.is_set() and attempts >= STOPPING_ATTEMPTS_MAX:
            return True
        return self._database.is_embedded and attempts >= EMBEDDED_ATTEMPTS_MAX

    def _may_set_aside(self, batch: Batch, table: str, is_repeated: bool) -> bool:
        """Whether a refused batch is to blame, and not its table or a broken engine: that is waited for."""
        if batch.in_place or self._set_aside_run >= SET_ASIDE_RUN_MAX:
            return False
        if self._database.is_embedded and not is_repeated:  # the next process tries once more
            return False
        found = self._database.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase()"
            " AND table = {table:String}",
            {"table": table},
        )
        missing = set(columns(table)) - set(found)
        if missing:
            logger.error("table %s is not as it must be, it lacks %s", table, sorted(missing))
        return not missing

    def _set_aside(self, batch: Batch, intent: Intent, refused: _RefusedError) -> None:
        """Put a batch into the poison folder, and a note of it into the database."""
        self.counters["set_aside_batches"] += 1
        logger.error(
            "batch %d to %d is set aside, see the folder %s: %s",
            batch.first,
            batch.last,
            POISON_FOLDER,
            refused.error,
        )
        self._poison.keep(batch, intent, refused.table, refused.error)
        self._purge(batch.first, batch.last)
        standing_in = stand_in(batch, refused.table, refused.error)
        self._commit(standing_in, self._intent(standing_in))

    def _mark(self) -> int:
        found = self._database.query(
            "SELECT max(last_position) FROM load_batch WHERE recorder = {recorder:String}",
            {"recorder": self._recorder},
        )
        return int(found[0][0])

    def _begun_ns(self, segment: int) -> int:
        found = self._database.query(
            "SELECT toUnixTimestamp64Nano(argMin(first_recv, first_position)) FROM load_batch"
            " WHERE recorder = {recorder:String} AND segment = {segment:UInt32}",
            {"recorder": self._recorder, "segment": segment},
        )
        return int(found[0][0])

    def _tokens_hold(self, begun_ns: int) -> bool:
        """Whether the database still knows the tokens of a batch that was begun then."""
        if not 0 <= self._clock.now().wall_ns - begun_ns <= TOKENS_HOLD_S * NS_PER_S:
            return False
        others = self._database.query(
            "SELECT count() FROM load_batch WHERE loaded_at >="
            " (SELECT max(loaded_at) FROM load_batch WHERE recorder = {recorder:String})",
            {"recorder": self._recorder},
        )
        return int(others[0][0]) <= TOKENS_HOLD_BATCHES

    def _is_there(self, batch: Batch, insert: Insert) -> bool:
        """Whether a block was inserted, by its rows."""
        column = "last_position" if insert.table == "load_batch" else "position"
        rows = self._count(insert.table, column, batch.first, batch.last)
        if rows not in (0, insert.rows) or (rows and batch.in_place):  # whose tables have two blocks
            raise _PartlyThereError
        return rows > 0

    def _has_leftovers(self) -> bool:
        """Whether rows beyond the commit mark are there without an intent that explains them."""
        return any(self._count(table, "position", self.cursor + 1, POSITION_MAX) for table in ORDER)

    def _purge(self, first: int, last: int) -> None:
        """Delete the rows of a range of positions from every table; tokens used so far are not used again."""
        self.counters["purges"] += 1
        self._generation = self._clock.now().wall_ns
        for table in ORDER:
            self._delete(table, "position", first, last)

    def _delete(self, table: str, column: str, first: int, last: int) -> None:
        if not self._persist(partial(self._count, table, column, first, last)):
            return
        name = self._recorder.replace("\\", "\\\\").replace("'", "\\'")
        condition = f"recorder = '{name}' AND {column} BETWEEN {first} AND {last}"
        self._persist(partial(self._database.delete, table, condition))

    def _count(self, table: str, column: str, first: int, last: int) -> int:
        """Rows of ours in a range of positions."""
        found = self._database.query(
            f"SELECT count() FROM {table} WHERE recorder = {{recorder:String}}"  # noqa: S608  # names of ours
            f" AND {column} BETWEEN {{first:UInt64}} AND {{last:UInt64}}",
            {"recorder": self._recorder, "first": first, "last": last},
        )
        return int(found[0][0])
