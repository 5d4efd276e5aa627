"""What a command says: tables and sentences for people, or one JSON object for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recorder.errors import ExitCode

__all__ = ["Output"]

PIPE_WIDTH: Final = 10_000  # what is no terminal gets each row of a table in one line


class Output:
    """With ``as_json`` everything for people goes to stderr, and stdout carries one JSON object, last."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(stderr=as_json, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = PIPE_WIDTH

    def say(self, text: str = "") -> None:
        """Print one line. Nothing in it is taken for markup."""
        self.console.print(Text(text))

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
    ) -> None:
        """Print rows under their column names; those named in ``right`` are set flush right."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(Text(column), justify="right" if column in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
        self.console.print(table)

    def result(self, values: dict[str, Any]) -> None:
        """Print the JSON object, if it was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(values, default=str) + "\n")
            sys.stdout.flush()

    def error(self, message: str, code: ExitCode, remedy: str = "") -> None:
        """Print one error: a line on stderr, and the JSON object if it was asked for."""
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"tapehead: {message}"))
        self.result({"error": {"message": message, "remedy": remedy}, "exit_code": int(code)})
