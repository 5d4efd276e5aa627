"""``tapehead add``: more symbols for a recording that runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from recorder import control
from recorder.commands.options import AsJson, Data
from recorder.folder import DataFolder
from recorder.output import Output

__all__ = ["add", "say_changed"]


def add(
    symbols: Annotated[list[str], typer.Argument(help="Symbols as the venue names them: BTCUSDT.")],
    data: Data = Path("data"),
    category: Annotated[
        str | None, typer.Option(help="spot, linear, inverse, option or spread. [default: linear]")
    ] = None,
    book: Annotated[
        list[int] | None, typer.Option(help="A depth of order book; may be repeated. [default: 50]")
    ] = None,
    trades: Annotated[
        bool | None, typer.Option("--trades/--no-trades", help="Public trades. [default: trades]")
    ] = None,
    tickers: Annotated[
        bool | None, typer.Option("--tickers/--no-tickers", help="Tickers. [default: no-tickers]")
    ] = None,
    kline: Annotated[list[str] | None, typer.Option(help="An interval of candles; may be repeated.")] = None,
    liquidations: Annotated[
        bool | None, typer.Option("--liquidations/--no-liquidations", help="All liquidations.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add symbols to the recording that runs in DIR, until it ends; nothing else of it is touched.

    What is to be recorded after its next start too belongs into its options or its configuration file.
    """
    market = {
        "symbols": symbols,
        "category": category,
        "book": book,
        "trades": trades,
        "tickers": tickers,
        "kline": kline,
        "liquidations": liquidations,
    }
    given = {name: value for name, value in market.items() if value is not None and value != []}
    answer = control.ask(DataFolder(data).existing(), {"do": "add", "market": given})
    say_changed(Output(as_json=as_json), "added", answer)


def say_changed(output: Output, what: str, answer: dict[str, Any]) -> None:
    """Say which topics were added or removed, and which process learns it when it starts."""
    output.say(f"{len(answer['topics'])} topics {what}" + "".join(f"\n  {one}" for one in answer["topics"]))
    for name, problem in answer["late"].items():
        output.say(f"{name} learns it when it starts: {problem}")
    output.result({what: answer["topics"], "late": answer["late"]})
