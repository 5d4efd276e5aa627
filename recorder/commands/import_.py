"""``tapehead import``."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from engine.clock import mono_ns
from engine.errors import UsageError
from recorder.archives.names import is_archive_name
from recorder.commands.options import AsJson, Data
from recorder.errors import ExitCode, MachineError
from recorder.folder import DataFolder
from recorder.output import Output
from recorder.spool.lock import FolderInUseError

if TYPE_CHECKING:
    from recorder.archives.importer import Outcome
    from recorder.database.clickhouse import Database

__all__ = ["import_"]

PLAIN_INTERVAL_NS: Final = 10_000_000_000


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Archives, and folders of them.")
    ],
    data: Data = Path("data"),
    database: Annotated[
        str, typer.Option(help="http(s) URL of a ClickHouse server. [default: embedded, in DIR]")
    ] = "",
    category: Annotated[
        str, typer.Option(help="spot, linear or inverse. [default: what the files and their folders say]")
    ] = "",
    symbol: Annotated[
        str, typer.Option(help="Import under this symbol, in place of that of the files.")
    ] = "",
    skip_recorded: Annotated[
        bool,
        typer.Option("--skip-recorded/--keep-recorded", help="Leave out trades that are there already."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Import the venue's public archives (books: .data.zip, trades: .csv.gz), each message once.

    Interrupted in any way, the same command goes on where it ended. docs/import.md says where archives come
    from.
    """
    from recorder.archives.importer import (  # the database engine takes a second to load
        ImportOptions,
        import_file,
    )

    output = Output(as_json=as_json)
    paths = list(_files(files))
    options = ImportOptions(category, symbol, skip_recorded)
    outcomes: list[Outcome] = []
    problems: list[str] = []
    if not database and not DataFolder(data).database.is_dir():
        _check(paths, category, symbol)
    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        own, reader = _open(DataFolder(data), database, stack)
        show = stack.enter_context(_Show(output, len(paths)))
        for number, path in enumerate(paths, 1):
            show.begin(number, path)
            try:
                outcome = import_file(
                    path, own, reader, data, options, on_progress=show.update, stop=threading.Event()
                )
            except UsageError as error:  # of this file: the others may be well
                if len(paths) == 1:
                    raise
                problems.append(str(error))
                output.say(str(error))
                continue
            outcomes.append(outcome)
            _say(output, outcome)
    rows = sum(sum(outcome.rows.values()) for outcome in outcomes)
    bad = sum(outcome.bad for outcome in outcomes)
    output.say(
        f"{len(outcomes)} of {len(paths)} files, {rows:,} rows inserted"
        + (f", {bad} bad lines" if bad else "")
    )
    output.result(
        {"files": [outcome.to_dict() for outcome in outcomes], "rows": rows, "bad": bad, "problems": problems}
    )
    if problems:
        raise typer.Exit(ExitCode.USAGE)


def _files(given: Sequence[Path]) -> Iterator[Path]:
    """The files to import: those given, and of folders those that are named like archives, in order."""
    for path in given:
        if path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.is_file() and is_archive_name(one.name))
            if not found:
                raise UsageError(
                    f"{path} holds no archive", "give a folder with .zip, .csv.gz, .csv or .data files"
                )
            yield from found
        elif path.exists():
            yield path
        else:
            raise UsageError(f"{path} is not there", "give an archive file, or a folder of them")


def _check(paths: Sequence[Path], category: str, symbol: str) -> None:
    """Raise UsageError where no file can be imported, before a database is made for nothing."""
    from recorder.archives.archive import examine  # as above

    problems: list[UsageError] = []
    for path in paths:
        try:
            examine(path, "", category, symbol, lambda _done: None)
        except UsageError as error:
            problems.append(error)
        else:
            return
    if len(problems) == 1:
        raise problems[0]
    raise UsageError(f"none of {len(paths)} files can be imported: {problems[0]}", "give others")


def _open(folder: DataFolder, url: str, stack: ExitStack) -> "tuple[Database, Database]":
    """The database, with its schema, and a second connection to ask what is there."""
    from recorder.database.clickhouse import open_database, open_server

    url = url or folder.server
    try:
        own = stack.enter_context(open_database(url or folder.database))
    except FolderInUseError as error:
        problem = f"the database {error.folder} is in use by {error.owner}"
        remedy = "stop the recording while you import, or record and import into a server with --database"
        raise MachineError(problem, remedy) from None
    own.create_schema()
    reader = own.reader() if own.is_embedded else open_server(url, create=False)
    return own, stack.enter_context(reader)


def _say(output: Output, outcome: "Outcome") -> None:
    """One line a file, and what there is to know of it."""
    if outcome.lines and not outcome.known:
        rows = ", ".join(f"{count:,} {table}" for table, count in sorted(outcome.rows.items()))
        resumed = f", from line {outcome.resumed_at + 1:,} on" if outcome.resumed_at else ""
        what = f"{outcome.path.name}: {outcome.category} {outcome.symbol}"
        output.say(f"{what}, {outcome.lines:,} lines{resumed}: {rows}")
    else:
        output.say(f"{outcome.path.name}: {outcome.notes[0]}")
    if outcome.recorded:
        output.say(f"  {outcome.recorded:,} messages were recorded already")
    if outcome.bad:
        output.say(f"  {outcome.bad:,} lines are no frame or row: see events of kind 'malformed'")
    for note in outcome.notes if not outcome.known and outcome.lines else ():
        output.say(f"  {note}")


class _Show:
    """How far the present file is: a bar on a terminal, else a line now and then."""

    def __init__(self, output: Output, files: int) -> None:
        self._output = output
        self._files = files
        self._what = ""
        self._doing = ""
        self._size = 0
        self._told_ns = mono_ns()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=output.console,
            transient=True,
            disable=not output.console.is_terminal,
        )
        self._task = self._progress.add_task("")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, number: int, path: Path) -> None:
        """Go on to a file."""
        self._what = f"{number}/{self._files} {path.name}"
        self._doing = ""
        self._size = path.stat().st_size

    def update(self, doing: str, done: int, rows: int) -> None:
        """Tell how far it is: bytes of the file, rows inserted."""
        text = f"{self._what}: {doing}" + (f", {rows:,} rows" if rows else "")
        if doing != self._doing:
            self._doing = doing
            self._progress.reset(self._task, total=self._size)
        self._progress.update(self._task, description=text, completed=done)
        if not self._output.console.is_terminal and mono_ns() - self._told_ns >= PLAIN_INTERVAL_NS:
            self._told_ns = mono_ns()
            self._output.say(f"{text}, {100 * done // max(1, self._size)} % of {self._size:,} bytes")
