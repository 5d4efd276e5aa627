"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Data", "Folder"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, last.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a recording.")]
Data = Annotated[Path, typer.Option(help="The folder of the recording.")]
