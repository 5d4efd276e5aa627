"""``tapehead add``: more symbols for a recording that runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.commands.options import (
    Adl,
    AsJson,
    AutoListings,
    Base,
    Book,
    Category,
    Companion,
    Data,
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
from recorder.folder import DataFolder
from recorder.output import Output
from recorder.recording import control

__all__ = ["add", "say_changed"]


def add(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(help="Symbols as the venue names them, and patterns: BTCUSDT 'ETH*'."),
    ] = None,
    data: Data = Path("data"),
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
    as_json: AsJson = False,
) -> None:
    """Add symbols to the recording that runs in DIR, until it ends; nothing else of it is touched.

    What is to be recorded after its next start too belongs into its options or its configuration file.
    """
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
    answer = control.ask(DataFolder(data).existing(), {"do": "add", "market": market})
    say_changed(Output(as_json=as_json), "added", answer)


def say_changed(output: Output, what: str, answer: dict[str, Any]) -> None:
    """Say which topics were added or removed, and which process learns it when it starts."""
    output.say(f"{len(answer['topics'])} topics {what}" + "".join(f"\n  {one}" for one in answer["topics"]))
    for name, problem in answer["late"].items():
        output.say(f"{name} learns it when it starts: {problem}")
    output.result({what: answer["topics"], "late": answer["late"]})
