"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = [
    "Adl",
    "AsJson",
    "AutoListings",
    "Base",
    "Book",
    "Category",
    "Companion",
    "Data",
    "Exclude",
    "Folder",
    "Hot",
    "Insurance",
    "Kline",
    "Legs",
    "Liquidations",
    "PriceLimits",
    "Quote",
    "Settle",
    "Tickers",
    "Top",
    "Trades",
    "given",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, last.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a recording.")]
Data = Annotated[Path, typer.Option(help="The folder of the recording.")]

# What to record: the keys of a market of the configuration.
Category = Annotated[
    str | None, typer.Option(help="spot, linear, inverse, option or spread. [default: linear]")
]
Base = Annotated[list[str] | None, typer.Option(help="All of a base coin; may be repeated.")]
Quote = Annotated[list[str] | None, typer.Option(help="All of a quote coin; may be repeated.")]
Settle = Annotated[list[str] | None, typer.Option(help="All of a settle coin; may be repeated.")]
Top = Annotated[int | None, typer.Option(help="Of what matches so many, by turnover; named symbols besides.")]
Exclude = Annotated[list[str] | None, typer.Option(help="A symbol or pattern to leave out; may be repeated.")]
AutoListings = Annotated[
    bool | None,
    typer.Option(
        "--auto-listings/--no-auto-listings",
        help="What is listed later and matches. [default: auto-listings]",
    ),
]
Book = Annotated[
    list[str] | None, typer.Option(help="1 to 1000, rpi or full; may be repeated. [default: 50]")
]
Companion = Annotated[
    bool | None,
    typer.Option(
        "--companion/--no-companion",
        help="Depth 1 beside deeper books: tells a dead book from a quiet one. [default: companion]",
    ),
]
Trades = Annotated[bool | None, typer.Option("--trades/--no-trades", help="Public trades. [default: trades]")]
Tickers = Annotated[
    bool | None, typer.Option("--tickers/--no-tickers", help="Tickers. [default: no-tickers]")
]
Kline = Annotated[list[str] | None, typer.Option(help="An interval of candles; may be repeated.")]
Liquidations = Annotated[
    bool | None, typer.Option("--liquidations/--no-liquidations", help="All liquidations.")
]
PriceLimits = Annotated[
    bool | None, typer.Option("--price-limits/--no-price-limits", help="Limits of order prices.")
]
Insurance = Annotated[
    bool | None, typer.Option("--insurance/--no-insurance", help="The insurance pools, by coin.")
]
Adl = Annotated[bool | None, typer.Option("--adl/--no-adl", help="Alerts of auto-deleveraging, by coin.")]
Legs = Annotated[int | None, typer.Option(help="Connections that carry each topic: 1 or 2. [default: 1]")]
Hot = Annotated[
    list[str] | None, typer.Option(help="A symbol with a connection of its own; may be repeated.")
]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None and value != []}
