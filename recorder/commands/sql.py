"""``tapehead sql``."""

import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import ConfigError, UsageError
from recorder.commands.options import AsJson
from recorder.folder import DataFolder
from recorder.output import Output

__all__ = ["sql"]


def sql(
    statement: Annotated[str, typer.Argument(metavar="SQL", help="One statement of ClickHouse's SQL.")],
    data: Annotated[Path, typer.Option(help="The folder of the recording.")] = Path("data"),
    output_format: Annotated[
        str,
        typer.Option(
            "--format", help="An output format of ClickHouse: CSVWithNames, JSONEachRow, Vertical, ..."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Ask a recording in SQL, also while it is being recorded.

    In JSON, exact decimals are strings.
    """
    from recorder.database.clickhouse import DatabaseError
    from recorder.queries import asking  # the database engine takes a second to load

    output = Output(as_json=as_json)
    if output_format and as_json:
        raise ConfigError("--format", output_format, "--json has a form of its own", "leave one of them out")
    if not output_format.isalnum() and output_format:
        raise ConfigError("--format", output_format, "a format is one word", "use CSVWithNames, for example")
    try:
        if output_format:
            sys.stdout.buffer.write(asking.ask_raw(DataFolder(data), statement, output_format))
            sys.stdout.buffer.flush()
            return
        answer = asking.ask(DataFolder(data), statement)
    except DatabaseError as error:
        if error.code == 0:
            raise
        raise UsageError(error.problem) from None  # it was understood, and refused
    if not as_json:
        numeric = [
            column
            for index, column in enumerate(answer.columns)
            if all(isinstance(row[index], int | float | Decimal) for row in answer.rows)
        ]
        output.table(answer.columns, answer.rows, right=numeric)
    output.result({"columns": answer.columns, "rows": answer.rows})
