"""``tapehead record``: options into a configuration, the supervisor, and a line that says how it goes."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.live import Live
from rich.text import Text

from engine.errors import ConfigError
from recorder.commands.options import (
    Adl,
    AsJson,
    AutoListings,
    Base,
    Book,
    Category,
    Companion,
    Exclude,
    Hot,
    Insurance,
    Kline,
    Legs,
    Liquidations,
    PriceLimits,
    Quote,
    Settle,
    Tickers,
    Top,
    Trades,
    given,
)
from recorder.config import RecordConfig, checked
from recorder.config_file import load
from recorder.errors import MachineError
from recorder.folder import DataFolder
from recorder.output import Output
from recorder.recording.control import NotRecordingError, ask
from recorder.recording.supervisor import Status, Supervisor

__all__ = ["StatusLine", "record"]

PLAIN_INTERVAL_S: Final = 10.0


def record(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(help="Symbols as the venue names them, and patterns: BTCUSDT 'ETH*'."),
    ] = None,
    category: Category = None,
    base: Base = None,
    quote: Quote = None,
    settle: Settle = None,
    top: Top = None,
    exclude: Exclude = None,
    auto_listings: AutoListings = None,
    book: Book = None,
    companion: Companion = None,
    trades: Trades = None,
    tickers: Tickers = None,
    kline: Kline = None,
    liquidations: Liquidations = None,
    price_limits: PriceLimits = None,
    insurance: Insurance = None,
    adl: Adl = None,
    legs: Legs = None,
    hot: Hot = None,
    data: Annotated[Path | None, typer.Option(help="The folder of the recording. [default: data]")] = None,
    recorder: Annotated[
        str | None,
        typer.Option(help="Its name in every row, one of its own in a database. [default: tapehead]"),
    ] = None,
    environment: Annotated[
        str | None, typer.Option(help="mainnet, testnet or demo. [default: mainnet]")
    ] = None,
    region: Annotated[str | None, typer.Option(help="A region's own hosts: eu, tr, kz, ...")] = None,
    url: Annotated[
        str | None, typer.Option(help="Base of the websocket, in place of the environment's.")
    ] = None,
    second_url: Annotated[
        str | None, typer.Option(help="Base of the websocket of second legs; needs --legs 2.")
    ] = None,
    rest_url: Annotated[
        str | None, typer.Option(help="Base of the REST interface, in place of the environment's.")
    ] = None,
    system_status: Annotated[
        bool | None,
        typer.Option("--system-status/--no-system-status", help="The venue's maintenance notices."),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An http(s) ClickHouse server. [default: one in the folder]"),
    ] = None,
    shards: Annotated[
        int | None, typer.Option(help="Capture processes that share the symbols. [default: 1]")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file in place of the options above.")] = None,
    takeover: Annotated[
        bool,
        typer.Option(
            "--takeover", help="Replace the recording that runs in DIR, without a gap; by default as it is."
        ),
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop by itself so long after the venue was reached.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record symbols into DIR until Ctrl-C: raw frames to its spool, tables to a ClickHouse."""
    market = given(
        symbols=symbols,
        category=category,
        base=base,
        quote=quote,
        settle=settle,
        top=top,
        exclude=exclude,
        auto_listings=auto_listings,
        book=book,
        companion=companion,
        trades=trades,
        tickers=tickers,
        kline=kline,
        liquidations=liquidations,
        price_limits=price_limits,
        insurance=insurance,
        adl=adl,
        legs=legs,
        hot=hot,
    )
    general = given(
        data=data,
        recorder=recorder,
        environment=environment,
        region=region,
        url=url,
        second_url=second_url,
        rest_url=rest_url,
        system_status=system_status,
        shards=shards,
        database={"url": database} if database is not None else None,
    )
    if config is not None and market:
        name, value = next(iter(market.items()))
        raise ConfigError(name, value, "with --config the file says what to record", "put it into the file")
    settings = load(config, **general) if config is not None else None
    running = _running(settings.data if settings else data) if takeover else None
    if settings is None and running is not None and not market:
        settings = checked(**running["config"] | {"data": Path("data")} | general)
    if settings is None:
        if not (symbols or base or quote or settle or top):
            remedy = "add one, such as BTCUSDT, or give --top N, --quote COIN or --config FILE"
            raise ConfigError("SYMBOLS", [], "nothing is selected", remedy)
        settings = checked(market=[market], **general)
    output = Output(as_json=as_json)
    output.result(asyncio.run(_record(settings, seconds, output, takes_over=running is not None)))


def _running(data: Path | None) -> dict[str, Any] | None:
    """Return what the recording that runs in a folder says of itself; None where none does."""
    try:
        return ask(DataFolder(data or Path("data")), {"do": "status"})
    except NotRecordingError:
        return None


async def _record(
    settings: RecordConfig, seconds: float | None, output: Output, *, takes_over: bool
) -> dict[str, Any]:
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: hurry.set() if stop.is_set() else stop.set())
    with StatusLine(output) as line:
        supervisor = Supervisor(settings, line.show, takes_over=takes_over)
        limiting = asyncio.create_task(_stop_after(seconds, supervisor, stop))
        is_loaded = await supervisor.run(stop, hurry)
        limiting.cancel()
    status = supervisor.status()
    output.say(summary(status) + (", taken over by another recording" if supervisor.is_taken_over else ""))
    if not is_loaded:
        problem = "the loader did not come to the end of the spool"
        raise MachineError(
            problem, "nothing is lost: the rest is loaded when you record into this folder again"
        )
    return {
        "data": str(settings.data),
        "seconds": round(status.elapsed_s, 3),
        "frames": status.capture.get("frames", 0),
        "bytes": status.capture.get("bytes", 0),
        "position": status.capture.get("position", 0),
        "loaded_position": status.loader.get("position", 0),
        "not_recorded": status.capture.get("not_recorded", 0),
        "restarts": status.restarts,
        "taken_over": supervisor.is_taken_over,
    }


async def _stop_after(seconds: float | None, supervisor: Supervisor, stop: asyncio.Event) -> None:
    if seconds is not None:
        await supervisor.capture.ready.wait()
        await asyncio.sleep(seconds)
        stop.set()


class StatusLine:
    """How the recording goes: one line kept up to date on a terminal, a line now and then elsewhere."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._live = Live(console=output.console, auto_refresh=False, transient=True)
        self._said_s = -PLAIN_INTERVAL_S
        self._last = (0.0, 0)

    def __enter__(self) -> "StatusLine":
        if self._output.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, status: Status) -> None:
        """Show the present state."""
        elapsed_s, frames = self._last
        self._last = (status.elapsed_s, status.capture.get("frames", 0))
        new_frames = max(0, self._last[1] - frames)  # a capture that was started again counts anew
        rate = new_frames / max(status.elapsed_s - elapsed_s, 0.001)
        text = f"{summary(status)}, {rate:,.0f} frames/s"
        if self._output.console.is_terminal:
            self._live.update(Text(text), refresh=True)
        elif status.elapsed_s - self._said_s >= PLAIN_INTERVAL_S:
            self._said_s = status.elapsed_s
            self._output.say(text)


def summary(status: Status) -> str:
    """Return one line on a recording."""
    capture, loader = status.capture, status.loader
    if not capture:
        return f"{status.elapsed_s:,.0f} s, starting"
    topics = [topic for topics in capture.get("topics", {}).values() for topic in topics.values()]
    with_data = sum(topic["last_recv_ns"] > 0 for topic in topics)
    parts = [
        f"{status.elapsed_s:,.0f} s",
        f"{capture.get('frames', 0):,} frames captured",
        f"loaded up to {loader.get('lag_ms', 0) / 1000:,.1f} s ago",
        f"{with_data} of {len(topics)} topics have data",
        f"{capture.get('gaps_open', 0)} gaps open",
    ]
    parts += [f"{name} restarted {count} times" for name, count in status.restarts.items() if count]
    if loader.get("database_error"):
        parts.append(f"THE DATABASE FAILS ({loader['database_error']})")
    if capture.get("not_recorded"):
        parts.append(f"{capture['not_recorded']:,} NOT RECORDED ({capture.get('failure')})")
    return ", ".join(parts)
