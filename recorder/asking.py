"""SQL to a recording: through its recorder while one runs, else to the embedded database of its folder."""

import json
from dataclasses import dataclass
from typing import Any

from recorder.folder import DataFolder
from recorder.query import open_for_reading

__all__ = ["Answer", "ask", "ask_raw"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows and the names of their columns."""

    columns: tuple[str, ...]
    rows: list[list[Any]]


def ask(folder: DataFolder, sql: str) -> Answer:
    """Return the rows of one statement. Raises DatabaseError, UsageError."""
    answer = json.loads(ask_raw(folder, sql, "JSONCompact"))
    return Answer(tuple(column["name"] for column in answer["meta"]), answer["data"])


def ask_raw(folder: DataFolder, sql: str, output_format: str) -> bytes:
    """Return the answer in an output format of ClickHouse. Raises DatabaseError, UsageError."""
    with open_for_reading(folder.existing().path) as database:
        if not database.is_embedded:
            return database.raw_query(sql, fmt=output_format)
        with database.reader() as reader:
            return reader.raw_query(sql, fmt=output_format)
