"""``tapehead replay``: a recorded range as a summary, as lines, or as an exchange."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.live import Live
from rich.text import Text

from engine.errors import ConfigError, UsageError
from recorder import shards
from recorder.commands.options import AsJson
from recorder.folder import DataFolder
from recorder.history.moments import iso
from recorder.output import Output
from recorder.replay.report import Printer, Summary
from recorder.tape.of_spool import SpoolRange
from recorder.tape.tape import SPEED_MAX, Tape, range_ns, spool_range

__all__ = ["replay"]

PORT_MAX: Final = 65_535


def replay(
    data: Annotated[
        str,
        typer.Option(help="The folder of a recording; without --serve a database's folder or URL, too."),
    ] = "data",
    start: Annotated[str, typer.Option("--from", help="Where to begin: ISO 8601 with its zone, or ns.")] = "",
    end: Annotated[str, typer.Option("--to", help="Where to end.")] = "",
    speed: Annotated[
        str, typer.Option(help="1 is that of the recording, 10 ten times as fast, max at once.")
    ] = "",
    category: Annotated[str, typer.Option(help="Only this category.")] = "",
    symbols: Annotated[list[str] | None, typer.Option(help="Only this symbol; may be repeated.")] = None,
    topics: Annotated[
        list[str] | None, typer.Option(help="Only topics like this (* for any text); may be repeated.")
    ] = None,
    shard: Annotated[int, typer.Option(min=0, help="Which shard's spool; --serve plays all of them.")] = 0,
    recorder: Annotated[str, typer.Option(help="Whose rows, where a database has several recorders.")] = "",
    printed: Annotated[bool, typer.Option("--print", help="Print each call as a JSON line.")] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Play it as the venue would, to any client on this machine.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=PORT_MAX, help="Of --serve; 0 is any free one.")] = 0,
    wait: Annotated[bool, typer.Option(help="Begin with the first subscription, or at once.")] = True,
    loop: Annotated[bool, typer.Option("--loop", help="Begin anew at the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Play a range of a recording again: as a summary with a digest, as lines, or as an exchange.

    At full speed unless told; served, at the speed of the recording.
    """
    output = Output(as_json=as_json)
    pace = _speed(speed or ("1" if serve else "max"))
    if serve:
        given = {"--print": printed, "--category": category, "--symbols": symbols, "--topics": topics}
        for name, value in (given | {"--shard": shard, "--recorder": recorder}).items():
            if value:
                raise ConfigError(name, value, "--serve plays all that was recorded", "leave one of them out")
        ranges = _ranges(Path(data), start, end)
        asyncio.run(_serve(output, ranges, port, {"speed": pace, "wait": wait, "loop": loop}))
        return
    if port or loop or not wait:
        raise UsageError("--port, --loop and --no-wait are of --serve", "add --serve")
    options: dict[str, Any] = {"category": category, "shard": shard, "recorder": recorder}
    options |= {"symbols": symbols or (), "topics": topics or ()}
    tape = Tape(data, start=start or None, end=end or None, **options)
    if printed:
        _print(tape, pace)
        output.result(tape.counters)
        return
    summary = Summary()
    tape.run(summary, pace)
    _show(output, summary, tape.counters)


def _print(tape: Tape, pace: float | None) -> None:
    printer, to = Printer(), sys.stdout.buffer
    try:
        for _ in tape.steps(printer, pace):
            to.write(printer.take())
            to.flush()
        to.write(printer.take())
        to.flush()
    except BrokenPipeError:  # whoever read it has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(output: Output, summary: Summary, counters: dict[str, int]) -> None:
    rows = summary.rows()
    columns = ("category", "topic", "calls", "gaps", "update_id", "checksum")
    output.table(columns, [[row[column] for column in columns] for row in rows], right=columns[2:])
    gaps = sum(summary.gaps.values())
    output.say(f"{counters['frames']:,} frames in {counters['records']:,} records, {gaps} gaps")
    if counters.get("undelivered"):
        output.say(f"{counters['undelivered']} rows were not delivered (docs/replay.md)")
    output.say(f"digest {summary.digest}")
    said = {"topics": rows, "gaps": gaps, "events": dict(summary.events), "digest": summary.digest}
    output.result({**counters, **said})


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= SPEED_MAX:
        raise ConfigError(
            "--speed", text, f"it is a number up to {SPEED_MAX:,.0f}, or max", "use 1, 10 or max"
        )
    return speed


def _ranges(data: Path, start: str, end: str) -> list[SpoolRange]:
    """Return the range of each shard that has something in it; where none has, raise what the first says."""
    times = range_ns(start or None, end or None)
    found, problems = [], []
    for shard in shards.existing(DataFolder(data).existing()):
        try:
            found.append(spool_range(data, shard, *times))
        except UsageError as error:
            problems.append(error)
    if not found:
        raise problems[0]
    return found


async def _serve(output: Output, ranges: list[SpoolRange], port: int, options: dict[str, Any]) -> None:
    from recorder.replay.server import ReplayServer, serve  # the web server takes a while to load

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with Live(console=output.console, transient=True, auto_refresh=False) as live:

        def show(recv_ns: int, sent: int, clients: int) -> None:
            if output.console.is_terminal:
                text = f"{iso(recv_ns) if recv_ns else 'waiting'}  {sent:,} frames sent, {clients} clients"
                live.update(Text(text), refresh=True)

        server = ReplayServer(ranges, on_progress=show, **options)
        async with serve(server, port) as bound:
            address = f"127.0.0.1:{bound}"
            output.say(
                f"ws://{address}/v5/public/linear (and the other categories), REST at http://{address}"
            )
            output.result({"ready": True, "ws": f"ws://{address}", "rest": f"http://{address}"})
            tasks = [asyncio.create_task(one) for one in (server.play(), stop.wait(), server.tell())]
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks[1:]:
                task.cancel()
            if stop.is_set():
                tasks[0].cancel()
            await asyncio.wait(tasks)
            if not tasks[0].cancelled():
                tasks[0].result()
    output.say(f"{server.counters['sent']:,} frames sent to {server.counters['clients']} clients")
    output.result(server.counters)
