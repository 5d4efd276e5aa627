"""An archive file into the database, each line once, from where an earlier attempt ended: docs/import.md."""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from engine.clock import Clock, SystemClock
from ext.columns import Columns
from recorder.archives.archive import Archive, examine, hash_of, recorder_of
from recorder.archives.errors import ArchiveError
from recorder.archives.lines import Trade
from recorder.archives.playback import BEGUN, FINISHED, ArchivePlayback, KnownTrades
from recorder.archives.recorded import Recorded
from recorder.database.clickhouse import Database
from recorder.loading.batches import Batch
from recorder.loading.inserter import Inserter
from recorder.loading.poison import POISON_FOLDER
from recorder.sql import schema

__all__ = ["Import", "ImportOptions", "Outcome", "import_file"]

BATCH_LINES: Final = 50_000
BATCH_BYTES: Final = 32 << 20
BATCH_SPAN_NS: Final = 31 * 86_400 * 10**9  # each month of an insert is a part of its own

# What is being done ("hashing", "checking", "importing"), bytes of the file done, rows inserted.
OnProgress = Callable[[str, int, int], None]


@dataclass
class Outcome:
    """What became of a file.

    `known`: it had been imported before. `resumed_at`: the line an earlier attempt had come to. `bad`: lines
    that are no frame or row, each an event. `trades`: of the whole file. `recorded`: messages that other
    recorders have too; trades of them were left out where that was wanted. `rows`: by table, of this attempt.
    """

    path: Path
    recorder: str = ""
    category: str = ""
    symbol: str = ""
    known: bool = False
    resumed_at: int = 0
    lines: int = 0
    size_bytes: int = 0
    bad: int = 0
    trades: int = 0
    recorded: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {**vars(self), "path": str(self.path)}


@dataclass(frozen=True)
class ImportOptions:
    """How files are imported.

    Args:
        category, symbol: "" for what a file says.
        skip_recorded: to leave out trades that are there already.
        batch_lines: how many lines become one batch at most.
    """

    category: str = ""
    symbol: str = ""
    skip_recorded: bool = True
    batch_lines: int = BATCH_LINES


def import_file(
    path: Path,
    database: Database,
    reader: Database,
    state: Path,
    options: ImportOptions,
    *,
    on_progress: OnProgress = lambda _doing, _bytes, _rows: None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Import a file, or what an earlier attempt left of it.

    Args:
        path: of the file.
        database: with its schema.
        reader: another connection to it.
        state: folder for the intent file.
        options: see there.
        on_progress: told what is being done, bytes of the file done, rows inserted.
        stop: set from elsewhere to give up waiting for a database that fails.

    Raises:
        ArchiveError: the file is damaged, unknown, changed meanwhile, or contradicts the options.
        DatabaseError: the database gave up. What was committed stays: do it again.
        OSError: the file cannot be read.
    """
    sha256 = hash_of(path, lambda done: on_progress("hashing", done, 0))
    before = noted(reader, recorder_of(sha256), FINISHED)
    if before is not None:
        return _known(path, recorder_of(sha256), before)
    archive = examine(
        path, sha256, options.category, options.symbol, lambda done: on_progress("checking", done, 0)
    )
    if not archive.lines:
        return Outcome(path, notes=["it is empty: nothing to import"], size_bytes=archive.size_bytes)
    recorded = Recorded(reader, archive.category, archive.recorder)
    by_id = archive.format().has_trade_ids

    def known(trades: Sequence[Trade]) -> Collection[Trade]:
        return recorded.trades(trades, by_id=by_id)

    outcome = Import(
        archive,
        database,
        known if options.skip_recorded else None,
        state,
        on_progress=lambda done, rows: on_progress("importing", done, rows),
        stop=stop,
        batch_lines=options.batch_lines,
    ).run()
    outcome.recorded = recorded.book_messages() if archive.is_of_books else recorded.left_out(outcome.trades)
    return outcome


def _known(path: Path, recorder: str, before: dict[str, Any]) -> Outcome:
    return Outcome(
        path,
        recorder=recorder,
        category=before["category"],
        symbol=before["symbol"],
        known=True,
        lines=before["lines"],
        size_bytes=before["size_bytes"],
        notes=[f"imported before, as {before['name']}: nothing to do"],
    )


def noted(database: Database, recorder: str, kind: str) -> dict[str, Any] | None:
    """Return what was noted of a file when its import began or finished; None where it did not.

    Raises:
        DatabaseError: the database does not answer.
    """
    found = database.query(
        "SELECT detail FROM events WHERE recorder = {recorder:String} AND kind = {kind:String} LIMIT 1",
        {"recorder": recorder, "kind": kind},
    )
    return dict(orjson.loads(found[0][0])) if found else None


class Import:
    """Imports one file.

    Args:
        archive: the file, examined; not empty.
        database: with its schema; for the thread that inserts.
        known: says which trades are to be left out; None for none.
        state: folder for the intent file.
        on_progress: told the bytes of the file that were read, and the rows inserted, after each block.
        clock, stop: see `Inserter`.
        batch_lines: how many lines become one batch at most.
    """

    def __init__(
        self,
        archive: Archive,
        database: Database,
        known: KnownTrades | None,
        state: Path,
        *,
        on_progress: Callable[[int, int], None] = lambda _bytes, _rows: None,
        clock: Clock | None = None,
        stop: threading.Event | None = None,
        batch_lines: int = BATCH_LINES,
    ) -> None:
        self._archive = archive
        self._database = database
        self._known = known
        self._on_progress = on_progress
        self._batch_lines = batch_lines
        self._stop = stop or threading.Event()
        self._intent_path = state / f"{archive.recorder}.intent"
        self._columns = Columns(archive.recorder, schema(), source="import")
        self._playback = ArchivePlayback(archive, self._columns)
        self._inserter = Inserter(
            database,
            archive.recorder,
            self._intent_path,
            clock or SystemClock(),
            self._stop,
        )
        # Where the batch that is being gathered begins.
        self._last = 0
        self._frames = 0
        self._bytes = 0
        self._first_recv_ns = 0

    def run(self) -> Outcome:
        """Import what is not there yet, and wait until it is committed.

        Raises:
            ArchiveError: the file changed meanwhile, or was begun with other options.
            DatabaseError: the database gave up. What was committed stays: run it again.
        """
        try:
            mark = self._recover()
            while self._playback.position < self._archive.lines:
                self._read(self._last + self._batch_lines, self._known)
                if self._is_due():
                    self._inserter.begin(self._make_batch())
            self._inserter.wait()
            self._intent_path.unlink(missing_ok=True)
        except BaseException:
            self._stop.set()  # so that nobody waits for a database that does not answer
            raise
        finally:
            self._inserter.close()
            self._playback.close()
        return self._outcome(mark)

    def _recover(self) -> int:
        """Run up to the commit mark without inserting, finish a batch that was begun; returns the mark."""
        intent = self._inserter.recover()
        mark = self._inserter.cursor
        if mark:
            self._check_options()
        while self._playback.position < mark:
            self._read(mark, None)
            self._columns.clear()
        self._begin_batch()
        if intent is not None:
            while self._playback.position < intent.last:
                self._read(intent.last, self._known)
            self._inserter.repeat(self._make_batch(), intent)
        return mark

    def _check_options(self) -> None:
        begun = noted(self._database, self._archive.recorder, BEGUN) or {}
        for name, value in (("category", self._archive.category), ("symbol", self._archive.symbol)):
            if begun.get(name, value) != value:
                problem = f"{name} was {value!r}, but its import was begun with {begun[name]!r}"
                raise ArchiveError(self._archive.path, problem, f"give --{name} {begun[name]}")

    def _read(self, until: int, known: KnownTrades | None) -> None:
        if not self._playback.run(min(until, self._archive.lines), known):
            problem = "it changed while it was imported"
            raise ArchiveError(self._archive.path, problem, "run the same command again")
        self._on_progress(self._playback.read_bytes, sum(self._inserter.rows.values()))

    def _is_due(self) -> bool:
        playback = self._playback
        return (
            playback.position >= min(self._last + self._batch_lines, self._archive.lines)
            or playback.unpacked_bytes - self._bytes >= BATCH_BYTES
            or abs(playback.recv_ns - self._first_recv_ns) >= BATCH_SPAN_NS
        )

    def _begin_batch(self) -> None:
        self._last = self._playback.position
        self._frames = self._playback.frames
        self._bytes = self._playback.unpacked_bytes
        self._first_recv_ns = self._playback.recv_ns

    def _make_batch(self) -> Batch:
        playback = self._playback
        batch = Batch(
            recorder=self._archive.recorder,
            first=self._last + 1,
            last=playback.position,
            records=playback.position - self._last,
            frames=playback.frames - self._frames,
            first_recv_ns=self._first_recv_ns,
            last_recv_ns=playback.recv_ns,
            blocks=self._columns.take(),
        )
        self._begin_batch()
        return batch

    def _outcome(self, mark: int) -> Outcome:
        archive, playback = self._archive, self._playback
        return Outcome(
            path=archive.path,
            recorder=archive.recorder,
            category=archive.category,
            symbol=archive.symbol,
            resumed_at=mark,
            lines=playback.position,
            size_bytes=archive.size_bytes,
            bad=playback.bad_lines,
            trades=playback.trades,
            rows=dict(self._inserter.rows),
            notes=playback.notes() + self._set_aside(),
        )

    def _set_aside(self) -> list[str]:
        count = self._inserter.counters["set_aside_batches"]
        where = self._intent_path.parent / POISON_FOLDER
        return (
            [f"{count} batches were refused by the database for what is in them: see {where}"]
            if count
            else []
        )
