"""The loader process: a loader for each shard, over one database, which may be away at any time."""

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
from typing import Any, Final

from engine.clock import NS_PER_S, SystemClock
from recorder import shards
from recorder.database.clickhouse import Database, DatabaseError, open_embedded, open_server
from recorder.folder import DataFolder
from recorder.loading import again
from recorder.loading.inserter import pause_s
from recorder.loading.loader import Loader, intent_file
from recorder.queries.server import QueryServer, forget_address
from recorder.spool.lag import unread_bytes
from recorder.spool.segments import loaded_through

__all__ = ["LoaderConfig", "give_way", "run", "use_scratch"]

POLL_S: Final = 0.02
STATUS_S: Final = 1.0
OOM_SCORE: Final = "500"
NICENESS: Final = 10

# What a server refuses whoever waits: a user, a password or a right that is wrong.
REFUSED_FOR_GOOD: Final = frozenset((192, 193, 194, 497, 516))

logger = logging.getLogger(__name__)


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
    called once the database is open and answers, or is known to be a server that is away: that is waited for.

    Raises:
        TapeheadError: the database failed for good, or the configuration cannot be.
        OSError: the port of the SQL endpoint is taken, a disk is full.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    give_way()
    data = DataFolder(config.data)
    with ExitStack() as stack:
        if config.database:
            database = _open_server(config, stop, on_ready)
        else:
            use_scratch(config.data)
            database = open_embedded(data.database)
            database.create_schema()
        stack.callback(database.close)
        data.set_server(config.database)
        forget_address(config.data)
        if database.is_embedded:
            server = QueryServer(database, config.data, config.sql_port).start()
            stack.callback(server.close)
        loaders = _Loaders(config, database, stop)
        stack.callback(loaders.close)
        on_ready()
        again.finish(data, database, stop)
        _load(loaders, stop, data)


def _open_server(config: LoaderConfig, stop: threading.Event, on_ready: Callable[[], None]) -> Database:
    """Connect to the server and see to its schema, however long it is away; raises what no waiting cures."""
    data = DataFolder(config.data)
    attempts = 0
    while True:
        try:
            return _opened(config.database)
        except DatabaseError as error:
            if error.code in REFUSED_FOR_GOOD or stop.is_set():
                raise
            attempts += 1
            logger.warning("attempt %d: %s", attempts, error)
            _tell(data, _waiting(data, error))
            if attempts == 1:
                on_ready()
            stop.wait(pause_s(attempts))


def _opened(url: str) -> Database:
    database = open_server(url)
    try:
        database.create_schema()
    except BaseException:
        database.close()
        raise
    return database


def _waiting(data: DataFolder, error: DatabaseError) -> dict[str, Any]:
    spools = [data.spool_of(shard) for shard in shards.existing(data)]
    lag_bytes = sum(unread_bytes(spool, loaded_through(spool) + 1, 0) for spool in spools)
    return {"state": "waiting", "database_error": error.problem, "lag_bytes": lag_bytes}


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
                for other in self._loaders.values():  # the connection is for one thread at a time
                    other.inserter.wait()
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


def _load(loaders: _Loaders, stop: threading.Event, data: DataFolder) -> None:
    clock = SystemClock()
    told_ns = 0
    while not stop.is_set():
        now_ns = clock.now().mono_ns
        if now_ns - told_ns >= STATUS_S * NS_PER_S:
            told_ns = now_ns
            loaders.discover()
            _tell(data, loaders.status() | {"state": "loading"})
        if not loaders.step():
            stop.wait(POLL_S)
    loaders.drain()
    _tell(data, loaders.status() | {"state": "stopped"})


def _tell(data: DataFolder, status: dict[str, Any]) -> None:
    data.write_status("loader", {"pid": os.getpid(), **status})
