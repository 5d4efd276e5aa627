"""Spool to ClickHouse, each record once. docs/storage.md says how; `run` is the process."""

import logging
import os
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import orjson

from engine.clock import Clock, SystemClock
from recorder import shards
from recorder import state as states
from recorder.batches import Batch, Intent
from recorder.clickhouse import Database, open_database
from recorder.decoding import Decoding
from recorder.folder import DataFolder
from recorder.inserter import Inserter
from recorder.lag import unread_bytes
from recorder.playback import Playback
from recorder.query import QueryServer, forget_address
from recorder.state import State

__all__ = [
    "INTENT_FILE",
    "STATUS_FILE",
    "Loader",
    "LoaderConfig",
    "give_way",
    "intent_file",
    "run",
    "use_scratch",
]

INTENT_FILE: Final = "loader.intent"
STATUS_FILE: Final = "loader.status.json"

BATCH_RECORDS_MAX: Final = 100_000
BATCH_ROWS_MAX: Final = 1_000_000
BATCH_MS: Final = 1_000
BATCH_WITHOUT_ROWS_MS: Final = 10_000
RUN_RECORDS: Final = 10_000
POLL_S: Final = 0.02
STATUS_MS: Final = 1_000
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
OOM_SCORE: Final = "500"
NICENESS: Final = 5

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
        """
        intent = self.inserter.recover()
        mark = self.inserter.cursor
        states.remove_beyond(self._spool, mark)
        self._begin_with(Decoding.nearest(self._spool, self.recorder, mark), mark)
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


def give_way() -> None:
    """Let capture go first where there is not enough for all: a core, memory."""
    os.nice(NICENESS)
    with suppress(OSError):  # not on Linux, or not permitted: then capture is as likely to be chosen
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)


def use_scratch(data: Path) -> None:
    """Let the embedded engine read its blocks from a folder on the disk of the data."""
    scratch = data / "clickhouse" / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)


@dataclass(frozen=True)
class LoaderConfig:
    """What the loader process needs to know.

    Args:
        data: the data folder: spool in DATA/spool, the embedded database in DATA/clickhouse.
        recorder: name of the recorder, of its shard 0; the others are named after it (`recorder.shards`).
        database: http(s) URL of a server; "" for the embedded database.
        sql_port: of the SQL endpoint; 0 for any free one.
    """

    data: Path
    recorder: str
    database: str = ""
    sql_port: int = 0


def run(config: LoaderConfig, on_ready: Callable[[], None]) -> None:
    """Load until SIGTERM (or SIGINT), then what the spool still holds.

    For a process of its own: sets TMPDIR, signal handlers and the score for being killed. ``on_ready`` is
    called once the database is open and answers.

    Raises:
        TapeheadError: the database failed for good, or the configuration cannot be.
        OSError: the port of the SQL endpoint is taken, a disk is full.
    """
    from recorder import again  # which makes a loader of its own

    stop = threading.Event()
    _become_a_process(config, stop)
    with ExitStack() as stack:
        database = open_database(config.database or config.data / "clickhouse")
        stack.callback(database.close)
        if database.is_embedded:
            forget_address(config.data)
        database.create_schema()
        if database.is_embedded:
            server = QueryServer(database, config.data, config.sql_port).start()
            stack.callback(server.close)
        loaders = _Loaders(config, database, stop)
        stack.callback(loaders.close)
        on_ready()
        again.finish(DataFolder(config.data), database, stop)
        _load(loaders, stop, config.data / STATUS_FILE)


class _Loaders:
    """One loader for each shard that ever recorded into the folder, in turn, over one database."""

    def __init__(self, config: LoaderConfig, database: Database, stop: threading.Event) -> None:
        self._config = config
        self._database = database
        self._stop = stop
        self._thread = ThreadPoolExecutor(1, "inserter")
        self._loaders: dict[int, Loader] = {}

    def discover(self) -> None:
        """Take up the shards that are new, each from where it was loaded to."""
        config = self._config
        for shard in shards.existing(DataFolder(config.data)):
            if shard not in self._loaders:
                loader = self._loaders[shard] = Loader(
                    DataFolder(config.data).spool_of(shard),
                    self._database,
                    shards.recorder_name(config.recorder, shard),
                    config.data,
                    stop=self._stop,
                    intent=intent_file(shard),
                    thread=self._thread,
                )
                loader.recover()

    def step(self) -> bool:
        """Let each read on; False when there was nothing to read."""
        read = [loader.step() for loader in self._loaders.values()]
        return any(read)

    def drain(self) -> None:
        """Load everything that the spools hold now."""
        self.discover()
        for loader in self._loaders.values():
            loader.drain()

    def close(self) -> None:
        """Let the spools go."""
        for loader in self._loaders.values():
            loader.close()
        self._thread.shutdown()

    def status(self) -> dict[str, Any]:
        """What they do, as if they were one: positions are of the first, the lag is that of the latest."""
        told = [loader.status() for loader in self._loaders.values()]
        if not told:
            nothing = ("position", "read_position", "frames", "records", "lag_ms", "lag_s", "lag_bytes")
            return dict.fromkeys(nothing, 0) | {"rows": {}}
        total = dict(told[0])
        for one in told[1:]:
            for name, value in one.items():
                if (
                    name in ("frames", "records", "reread_records", "lag_bytes")
                    or name in self._loaders[0].inserter.counters
                ):
                    total[name] = total.get(name, 0) + value
            total["rows"] = dict(Counter(total["rows"]) + Counter(one["rows"]))
            total["lag_ms"] = max(total["lag_ms"], one["lag_ms"])
            total["lag_s"] = max(total["lag_s"], one["lag_s"])
        if len(told) > 1:
            total["shards"] = {
                loader.recorder: {"position": one["position"], "lag_ms": one["lag_ms"]}
                for loader, one in zip(self._loaders.values(), told, strict=True)
            }
        return total


def _load(loaders: _Loaders, stop: threading.Event, status: Path) -> None:
    clock = SystemClock()
    told_ns = 0
    while not stop.is_set():
        now_ns = clock.now().mono_ns
        if now_ns - told_ns >= STATUS_MS * NS_PER_MS:
            told_ns = now_ns
            loaders.discover()
            _write_status(status, loaders.status() | {"state": "loading"})
        if not loaders.step():
            stop.wait(POLL_S)
    loaders.drain()
    _write_status(status, loaders.status() | {"state": "stopped"})


def _write_status(path: Path, status: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(orjson.dumps({"pid": os.getpid(), **status}))
    fresh.replace(path)


def _become_a_process(config: LoaderConfig, stop: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    give_way()
    use_scratch(config.data)
