"""``tapehead remove``: fewer symbols for a recording that runs."""

from pathlib import Path
from typing import Annotated

import typer

from recorder.commands.add import say_changed
from recorder.commands.options import AsJson, Data
from recorder.folder import DataFolder
from recorder.output import Output
from recorder.recording import control

__all__ = ["remove"]


def remove(
    symbols: Annotated[list[str], typer.Argument(help="Symbols as the venue names them: BTCUSDT.")],
    data: Data = Path("data"),
    category: Annotated[str, typer.Option(help="spot, linear, inverse, option or spread.")] = "linear",
    as_json: AsJson = False,
) -> None:
    """Record no more of these symbols in the recording that runs in DIR, until it ends."""
    asked = {"do": "remove", "category": category, "symbols": symbols}
    say_changed(Output(as_json=as_json), "removed", control.ask(DataFolder(data).existing(), asked))
