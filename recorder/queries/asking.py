"""SQL to a recording: through its recorder while one runs, else to the embedded database of its folder.

What is admitted is the same in both cases.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.errors import UsageError
from recorder.database.clickhouse import Database
from recorder.folder import DataFolder
from recorder.queries.admission import admit
from recorder.queries.server import open_for_reading, outward_functions

__all__ = ["Answer", "ask", "ask_raw"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows and the names of their columns; what is a Decimal there is one here."""

    columns: tuple[str, ...]
    rows: list[list[Any]]


def ask(folder: DataFolder, sql: str) -> Answer:
    """Return the rows of one statement that names no format. Raises DatabaseError, UsageError."""
    with _reader(folder) as reader:
        admission = admit(sql, outward_functions(reader))
        if admission.format:
            raise UsageError(f"the statement named FORMAT {admission.format}", "give it as --format")
        text = reader.raw_query(admission.sql, fmt="JSONCompact")
    meta = json.loads(text)["meta"]
    exact = [index for index, column in enumerate(meta) if "Decimal" in column["type"]]
    rows: list[list[Any]] = json.loads(text)["data"]
    if exact:
        exactly = json.loads(text, parse_float=Decimal, parse_int=Decimal)["data"]
        for row, precise in zip(rows, exactly, strict=True):
            for index in exact:
                row[index] = precise[index]
    return Answer(tuple(column["name"] for column in meta), rows)


def ask_raw(folder: DataFolder, sql: str, output_format: str) -> bytes:
    """Return the answer in an output format of ClickHouse; one that the statement names comes first.

    Raises DatabaseError, UsageError.
    """
    with _reader(folder) as reader:
        admission = admit(sql, outward_functions(reader))
        return reader.raw_query(admission.sql, fmt=admission.format or output_format)


@contextmanager
def _reader(folder: DataFolder) -> Iterator[Database]:
    with open_for_reading(folder.path) as database:
        if not database.is_embedded:
            yield database
            return
        with database.reader() as reader:
            yield reader
