"""``tapehead load``: the spools of a recording that has ended, or segments anew, into the database."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.live import Live
from rich.text import Text

from engine.clock import NS_PER_S, mono_ns
from engine.errors import ConfigError, UsageError
from recorder import shards
from recorder.backup import database as backup_database
from recorder.commands.options import AsJson
from recorder.errors import ExitCode
from recorder.folder import DataFolder
from recorder.history.moments import iso
from recorder.output import Output
from recorder.spool.lock import FolderLock
from recorder.spool.seals import beyond, read_gone
from recorder.spool.segments import segments

if TYPE_CHECKING:
    from recorder.database.clickhouse import Database
    from recorder.loading.loader import Loader

__all__ = ["Place", "Yes", "load"]

TELL_S: Final = 0.5
TELL_PLAIN_S: Final = 10.0
_RANGE: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")

Again = Annotated[
    str,
    typer.Option(
        "--again", metavar="SEGMENT[-SEGMENT]", help="Delete the rows of these segments and load them anew."
    ),
]
Shard = Annotated[int, typer.Option("--shard", min=0, help="Whose segments, with --again.")]
Yes = Annotated[
    bool, typer.Option("--yes", help="Also where rows are lost that the spool has not got any more.")
]
Place = Annotated[
    str,
    typer.Option("--database", metavar="URL", help="An http(s) server. [default: what was recorded into]"),
]


def load(
    data: Annotated[Path, typer.Option(help="The folder of the recording.")] = Path("data"),
    again: Again = "",
    shard: Shard = 0,
    database: Place = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Load what a recording that has ended left in its spool; or load segments anew.

    Into a database that is new, all that the spool has. May be interrupted at any moment: the next start goes
    on. While segments are loaded anew, views show what is there of them, batch by batch; where nothing was
    loaded after them, views end before what is not there.
    """
    chosen = _segments(again)
    place = DataFolder(data).existing()
    output = Output(as_json=as_json)
    with FolderLock(place.path):
        if not (yes or database or place.server or backup_database.exists(place.database)):
            _refuse_loss(place, None)
        told = _load(place, chosen, shard, database, output, accepts_loss=yes)
    output.result({"recorders": told})
    aside = sum(one["set_aside_batches"] for one in told)
    if aside:
        output.say(f"{aside} batches were refused and set aside, see {place.path / 'poison'}")
    return ExitCode.CHECK_FAILED if aside else ExitCode.OK


def _segments(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = _RANGE.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last:
        rule = "is no range of segments"
        raise ConfigError("again", text, rule, "use the number of a segment, as in 7, or two, as in 7-9")
    return first, last


def _load(
    place: DataFolder,
    chosen: tuple[int, int] | None,
    shard: int,
    url: str,
    output: Output,
    *,
    accepts_loss: bool,
) -> list[dict[str, Any]]:
    from recorder.database.clickhouse import open_database
    from recorder.loading import again  # the database engine takes a second to load
    from recorder.loading.loader import Loader, intent_file
    from recorder.loading.process import use_scratch

    # Before a database is made for a spool that this version does not read.
    recorders = {one: place.recorder(one) for one in shards.existing(place)} if chosen is None else {}
    url = url or place.server
    if not url:
        use_scratch(place.path)
    with _stoppable() as stop, open_database(url or place.database) as database:
        database.create_schema()
        if not accepts_loss:
            _refuse_loss(place, database)
        done = []
        with _Progress(output, place, stop) as progress:
            finished = again.finish(place, database, stop, progress.tell)  # what was interrupted
            if chosen is not None:
                again.ask(place, database, shard, *chosen)
                finished = again.finish(place, database, stop, progress.tell)
            if finished is not None:
                done.append(finished)
            for one, recorder in recorders.items():
                loader = Loader(
                    place.spool_of(one),
                    database,
                    recorder,
                    place.path,
                    stop=stop,
                    intent=intent_file(one),
                )
                try:
                    loader.recover()
                    loader.drain(progress.tell)
                finally:
                    loader.close()
                done.append(loader)
        for loader in done:
            output.say(_sentence(loader))
        return [_facts(loader) for loader in done]


def _refuse_loss(place: DataFolder, database: "Database | None") -> None:
    """Raise UsageError where segments have expired whose rows are not in the database (None: it is new)."""
    for shard in shards.existing(place):
        spool = place.spool_of(shard)
        gone = read_gone(spool)
        mark = _mark(database, place.recorder(shard)) if database is not None and gone else 0
        for lacking in beyond(gone, mark):
            since, until = iso(lacking.first_recv_ns), iso(lacking.last_recv_ns)
            raise UsageError(
                f"segments {lacking.first_segment} to {lacking.last_segment} of {spool} ({since} to {until})"
                " have expired, and are not in this database: their rows cannot be made again",
                "put the database back, or a copy of it (docs/operations.md), or load the rest with --yes",
            )


def _mark(database: "Database", recorder: str) -> int:
    found = database.query(
        "SELECT max(last_position) FROM load_batch WHERE recorder = {recorder:String}", {"recorder": recorder}
    )
    return int(found[0][0])


class _Progress:
    """How far a load is: a line that changes on a terminal, else a line now and then."""

    def __init__(self, output: Output, place: DataFolder, stop: threading.Event) -> None:
        self._output = output
        self._place = place
        self._stop = stop
        self._last = max((one.number for one in segments(place.spool)), default=0)
        self._live = Live(console=output.console, auto_refresh=False, transient=True)
        self._is_plain = not output.console.is_terminal
        self._told_ns = self._begun_ns = mono_ns()

    def __enter__(self) -> "_Progress":
        if not self._is_plain:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tell(self, loader: "Loader") -> None:
        """Say it, if it is time; KeyboardInterrupt where it was interrupted."""
        if self._stop.is_set():
            raise KeyboardInterrupt
        now_ns = mono_ns()
        if now_ns - self._told_ns < (TELL_PLAIN_S if self._is_plain else TELL_S) * NS_PER_S:
            return
        self._told_ns = now_ns
        rows = sum(loader.inserter.rows.values())
        rate = rows * NS_PER_S // max(1, now_ns - self._begun_ns)
        line = (
            f"{loader.recorder}: segment {loader.playback.position >> 32} of {self._last}, "
            f"{rows:,} rows, {rate:,} rows/s {loader.inserter.failing}"
        )
        if self._is_plain:
            self._output.say(line)
        else:
            self._live.update(Text(line), refresh=True)


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Ctrl-C lets the batch under way end, and gives up waiting for a database that fails."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sentence(loader: "Loader") -> str:
    rows, counters = sum(loader.inserter.rows.values()), loader.inserter.counters
    return (
        f"{loader.recorder}: {rows:,} rows in {counters['batches']} batches, up to {loader.inserter.cursor}"
    )


def _facts(loader: "Loader") -> dict[str, Any]:
    inserter = loader.inserter
    return {
        "recorder": loader.recorder,
        "position": inserter.cursor,
        "rows": dict(inserter.rows),
        "batches": inserter.counters["batches"],
        "set_aside_batches": inserter.counters["set_aside_batches"],
    }
