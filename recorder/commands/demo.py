"""``tapehead demo``."""

import asyncio
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from engine.errors import UsageError
from recorder.commands.options import AsJson
from recorder.errors import ExitCode
from recorder.output import Output
from recorder.spool.lock import FolderLock

if TYPE_CHECKING:
    from recorder.demo.report import Report

__all__ = ["demo"]

MARK: Final = "demonstration"
NEXT: Final = (
    'tapehead sql --data {data} "SELECT category, symbol, count(), sum(size) FROM trades GROUP BY ALL"',
    "tapehead verify {data}",
    "tapehead record BTCUSDT --data data",
)


def demo(
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long the market runs.")] = 10.0,
    rate: Annotated[int, typer.Option(min=1, max=1_000_000, help="Messages a second.")] = 5_000,
    data: Annotated[
        Path, typer.Option(help="The folder to record into; that of an earlier demo is replaced.")
    ] = Path("tapehead-demo"),
    as_json: AsJson = False,
) -> None:
    """Record a simulated market and check every frame and book of it. Needs no network, key or database."""
    from recorder.demo import demo as demonstration  # the database engine takes a second to load

    output = Output(as_json=as_json)
    _make_way(data)
    data.mkdir(parents=True, exist_ok=True)
    (data / MARK).touch()
    output.say(
        f"A market of 4 symbols for {seconds:g} s: simulator -> capture -> spool -> embedded ClickHouse"
    )
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.console, transient=True) as progress:
        task = progress.add_task("starting", total=1.0)
        report = asyncio.run(
            demonstration.run(
                data,
                seconds,
                rate,
                lambda doing, share: progress.update(task, description=doing, completed=share),
            )
        )
    _print(report, data, output)
    output.result({"data": str(data), **report.as_dict()})
    if not report.is_good:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _make_way(data: Path) -> None:
    """Remove an earlier demonstration; refuse to touch any other folder."""
    if not data.exists() or (data.is_dir() and not any(data.iterdir())):
        return
    if not (data / MARK).is_file():
        raise UsageError(
            f"{data} is there, and is no earlier demonstration", "choose another folder with --data"
        )
    lock = FolderLock(data)  # a recording that still runs there is not pulled from under its feet
    shutil.rmtree(data)
    lock.release()


def _print(report: "Report", data: Path, output: Output) -> None:
    output.say(
        f"frames    {report.frames_sent:,} sent, {report.frames_captured:,} captured,"
        f" {report.frames_loaded:,} loaded"
    )
    output.say(f"rate      {report.messages_per_s:,.0f} messages a second over {report.seconds:.1f} s")
    output.say(f"gaps      {report.gaps}")
    equal = report.books - len(report.different_books)
    output.say(
        f"books     {equal} of {report.books}, rebuilt from the tables by SQL, are equal to the simulator's"
    )
    for name in report.different_books:
        output.say(f"          different: {name}")
    output.say(
        f"size      {report.bytes_per_level_change} bytes a level change,"
        f" of {report.level_changes:,} in book_delta"
    )
    output.table(
        ("table", "rows"), [(table, f"{rows:,}") for table, rows in report.rows.items()], right=("rows",)
    )
    output.say()
    output.say(
        "All is there." if report.is_good else "SOMETHING IS MISSING OR DIFFERENT: please report this."
    )
    output.say("Next:")
    for command in NEXT:
        output.say("  " + command.format(data=shlex.quote(str(data))))
