"""Spool to ClickHouse, each record once. docs/storage.md says how; `run` is the process."""

import ctypes
import logging
import os
import signal
import sys
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import orjson

from engine.clock import Clock, SystemClock
from engine.errors import TapeheadError, UsageError
from ext.columns import Columns
from recorder.batches import ORDER, Batch, Intent, IntentFile
from recorder.clickhouse import Database, DatabaseError, open_database
from recorder.instruments import append_instruments
from recorder.playback import Playback
from recorder.query import QueryServer
from recorder.sql import schema

__all__ = ["Loader", "LoaderConfig", "run"]

BATCH_RECORDS_MAX: Final = 100_000
BATCH_ROWS_MAX: Final = 1_000_000
BATCH_MS: Final = 1_000
BATCH_WITHOUT_ROWS_MS: Final = 10_000
RUN_RECORDS: Final = 10_000
POLL_S: Final = 0.02
RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 30.0
EMBEDDED_ATTEMPTS_MAX: Final = 5
STOPPING_ATTEMPTS_MAX: Final = 3
STATUS_MS: Final = 1_000
NS_PER_MS: Final = 1_000_000
OOM_SCORE: Final = "500"
PR_SET_PDEATHSIG: Final = 1

logger = logging.getLogger(__name__)


class Loader:
    """Loads one recorder's spool into a database, from where it ended last time.

    Args:
        spool: folder of the spool.
        database: with its schema; belongs to this loader's thread.
        recorder: the name in every row.
        state: folder for the intent file.
        clock: for the age of batches and the pauses between attempts; never reaches a row.
        stop: set from elsewhere to give up waiting for a database that fails.

    Attributes:
        cursor: position up to which everything is committed.
        rows: rows inserted by this loader, by table.
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
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock or SystemClock()
        self._stop = stop or threading.Event()
        self._batch_records = batch_records
        self._batch_ms = batch_ms
        self._columns = Columns(recorder, schema())
        self._playback = Playback(spool, self._columns, self._take_rest)
        self._intent_file = IntentFile(state / "loader.intent")
        self._begun_ns = 0
        self._before = (0, 0)
        self._first_recv_ns = 0
        self._generation = 0
        self.cursor = 0
        self.rows: Counter[str] = Counter()
        self.counters: Counter[str] = Counter()

    @property
    def playback(self) -> Playback:
        """The spool as far as it was read: dispatchers, books, counts."""
        return self._playback

    @property
    def lag_ns(self) -> int:
        """How far the commit mark is behind the wall clock; meaningful while something records."""
        return max(0, self._clock.now().wall_ns - self._playback.recv_ns) if self._playback.recv_ns else 0

    def recover(self) -> None:
        """Run the spool up to the commit mark without inserting, and finish a batch that was begun.

        Raises:
            DatabaseError: the database does not answer.
        """
        mark = self._database.query(
            "SELECT max(last_position) FROM load_batch WHERE recorder = {recorder:String}",
            {"recorder": self._recorder},
        )
        self.cursor = int(mark[0][0])
        while self.cursor and self._playback.run(RUN_RECORDS, until=self.cursor):
            self._columns.clear()
        self._columns.clear()
        self._note_start()
        intent = self._intent_file.read()
        if intent is not None and intent.last > self.cursor:
            self._repeat(intent)
        elif self._has_leftovers():
            self._purge(self.cursor + 1, (1 << 64) - 1)

    def step(self, *, drain: bool = False) -> bool:
        """Read on, and insert a batch if one is due; False when there was nothing to read.

        Args:
            drain: whether what was read is due as soon as there is nothing more.
        """
        pending = self._pending() > 0
        if pending:
            room = max(1, min(RUN_RECORDS, self._batch_records - self._pending()))
            taken = self._playback.run(room, stay=True)
        else:
            taken = self._playback.run(1)
            self._first_recv_ns = self._playback.recv_ns
            self._begun_ns = self._clock.now().mono_ns
        if self._is_due(drain=drain and taken == 0):
            self._commit(self._make_batch())
        return taken > 0

    def drain(self) -> None:
        """Load everything that the spool holds now."""
        while self.step(drain=True) or self._pending() or self._playback.at_seam:
            pass

    def status(self) -> dict[str, Any]:
        """What the loader is doing, for the status file."""
        return {
            "position": self.cursor,
            "read_position": self._playback.position,
            "frames": self._playback.frames,
            "records": self._playback.records,
            "recv_ns": self._playback.recv_ns,
            "lag_ms": self.lag_ns // NS_PER_MS,
            "rows": dict(self.rows),
            **self.counters,
        }

    def close(self) -> None:
        """Let the spool go; the database stays open."""
        self._playback.close()

    def _take_rest(self, payload: dict[str, Any], recv_ns: int, position: int) -> None:
        append_instruments(self._columns, payload, recv_ns, position)

    def _note_start(self) -> None:
        self._before = (self._playback.records, self._playback.frames)

    def _pending(self) -> int:
        return self._playback.records - self._before[0]

    def _is_due(self, *, drain: bool) -> bool:
        if not self._pending():
            return False
        rows = self._columns.rows
        if (
            self._pending() >= self._batch_records
            or rows >= BATCH_ROWS_MAX
            or drain
            or self._playback.at_seam
        ):
            return True
        age_ms = (self._clock.now().mono_ns - self._begun_ns) // NS_PER_MS
        return age_ms >= (self._batch_ms if rows else BATCH_WITHOUT_ROWS_MS)

    def _make_batch(self) -> Batch:
        records, frames = self._before
        batch = Batch(
            recorder=self._recorder,
            first=self.cursor + 1,
            last=self._playback.position,
            records=self._playback.records - records,
            frames=self._playback.frames - frames,
            first_recv_ns=self._first_recv_ns,
            last_recv_ns=self._playback.recv_ns,
            blocks=self._columns.take(),
        )
        if batch.last <= self.cursor:
            raise UsageError(
                f"the spool holds position {batch.last} of recorder {self._recorder!r}, "
                f"but the database has it up to {self.cursor}",
                "a new spool needs a new recorder name, or a new database",
            )
        return batch

    def _commit(self, batch: Batch, intent: Intent | None = None) -> None:
        if intent is None:
            intent = batch.intent(self._generation)
            self._intent_file.write(intent)
        for table, block, token in batch.inserts(intent):
            self._insert(table, block, token)
        self.cursor = batch.last
        self.rows.update({table: rows for table, (rows, _) in batch.blocks.items()})
        self.counters.update(batches=1, bytes=sum(len(block) for _, block in batch.blocks.values()))
        self._note_start()

    def _repeat(self, intent: Intent) -> None:
        """Build the range of an interrupted batch again and insert it under the tokens it had."""
        self._playback.run(1, until=intent.last)
        self._first_recv_ns = self._playback.recv_ns
        while self._playback.run(RUN_RECORDS, until=intent.last):
            pass
        if not self._pending():
            return
        batch = self._make_batch()
        again = batch.intent(intent.generation)
        if again != intent:
            logger.warning(
                "batch %d to %d differs from its first attempt, which is deleted", batch.first, batch.last
            )
            self._purge(batch.first, max(batch.last, intent.last))
            again = batch.intent(self._generation)
            self._intent_file.write(again)
        self.counters["repeated_batches"] += 1
        self._commit(batch, again)

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
        """Delete the rows of a range of positions from every table."""
        self.counters["purges"] += 1
        self._generation = self._clock.now().wall_ns
        name = self._recorder.replace("\\", "\\\\").replace("'", "\\'")
        for table in ORDER:
            self._database.command(
                f"ALTER TABLE {table} DELETE WHERE recorder = '{name}'"
                f" AND position BETWEEN {first} AND {last} SETTINGS mutations_sync = 2"
            )

    def _insert(self, table: str, block: bytes, token: str) -> None:
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


@dataclass(frozen=True)
class LoaderConfig:
    """What the loader process needs to know.

    Args:
        data: the data folder: spool in DATA/spool, the embedded database in DATA/clickhouse.
        recorder: name of the recorder.
        database: http(s) URL of a server; "" for the embedded database.
        sql_port: of the SQL endpoint; 0 for any free one.
    """

    data: Path
    recorder: str
    database: str = ""
    sql_port: int = 0

    @classmethod
    def from_json(cls, text: str) -> "LoaderConfig":
        """Read what `to_json` wrote."""
        values = orjson.loads(text)
        return cls(**{**values, "data": Path(values["data"])})

    def to_json(self) -> str:
        """Write it for a command line."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return orjson.dumps({**values, "data": str(self.data)}).decode()


def run(config: LoaderConfig) -> int:
    """Load until SIGTERM (or SIGINT), then what the spool still holds; returns the exit code.

    0: everything loaded. 1: the database failed for good, or the configuration cannot be; the last line of
    stderr says why. For a process of its own: sets TMPDIR, signal handlers, and that it ends with its parent.
    """
    stop = threading.Event()
    _become_a_process(config, stop)
    try:
        with ExitStack() as stack:
            database = open_database(config.database or config.data / "clickhouse")
            stack.callback(database.close)
            database.create_schema()
            if database.is_embedded:
                server = QueryServer(database, config.data, config.sql_port).start()
                stack.callback(server.close)
            loader = Loader(config.data / "spool", database, config.recorder, config.data, stop=stop)
            stack.callback(loader.close)
            _load(loader, stop, config.data / "loader.status.json")
    except (TapeheadError, OSError) as error:
        logger.debug("the loader ends", exc_info=True)
        sys.stderr.write(f"loader: {error}\n")
        return 1
    return 0


def _load(loader: Loader, stop: threading.Event, status: Path) -> None:
    clock = SystemClock()
    loader.recover()
    told_ns = 0
    while not stop.is_set():
        if not loader.step():
            stop.wait(POLL_S)
        now_ns = clock.now().mono_ns
        if now_ns - told_ns >= STATUS_MS * NS_PER_MS:
            told_ns = now_ns
            _write_status(status, loader.status() | {"state": "loading"})
    loader.drain()
    _write_status(status, loader.status() | {"state": "stopped"})


def _write_status(path: Path, status: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(orjson.dumps({"pid": os.getpid(), **status}))
    fresh.replace(path)


def _become_a_process(config: LoaderConfig, stop: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with suppress(OSError, AttributeError):  # elsewhere than on Linux the supervisor's signals must do
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    scratch = config.data / "clickhouse" / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    sys.exit(run(LoaderConfig.from_json(sys.argv[1])))
