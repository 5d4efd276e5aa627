"""Imports into an embedded database, and what they left there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from recorder.archives.importer import ImportOptions, Outcome, import_file
from recorder.database.clickhouse import Database
from recorder.sql import TABLES
from tests.support.databases import FragileDatabase, embedded


@dataclass
class Place:
    """A data folder with its database open."""

    folder: Path
    database: Database
    reader: Database

    def load(self, path: Path, fragile: FragileDatabase | None = None, **options: Any) -> Outcome:
        """Import a file."""
        database = self.database if fragile is None else cast("Database", fragile)
        return import_file(path, database, self.reader, self.folder, ImportOptions(**options))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        return self.reader.query(sql)

    def one(self, sql: str) -> Any:
        """The one value of a query."""
        return self.ask(sql)[0][0]

    def events(self, kind: str) -> list[str]:
        """The details of the events of a kind, in order."""
        return [
            row[0] for row in self.ask(f"SELECT detail FROM events WHERE kind = '{kind}' ORDER BY position")
        ]

    def gaps(self) -> list[tuple[Any, ...]]:
        """Topic, cause, whether it is over, and missing messages of each gap."""
        return self.ask("SELECT topic, cause, end IS NOT NULL, missing FROM gaps ORDER BY start, topic")

    def once(self, table: str, category: str, symbol: str) -> dict[str, int]:
        """How many rows of each source a view of `once_*` chooses."""
        found = self.ask(
            f"SELECT source, count() FROM once_{table}(category = '{category}', symbol = '{symbol}',"
            " start = '2024-11-30', end = '2024-12-05') GROUP BY source"
        )
        return dict(found)

    def contents(self) -> dict[str, tuple[Any, ...]]:
        """Rows and a sum over all of them of each table but the commit mark."""
        return {
            table: self.ask(f"SELECT count(), sum(cityHash64(*)) FROM {table}")[0]
            for table in TABLES
            if table != "load_batch"
        }


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """A data folder with its database."""
    with embedded(folder / "clickhouse") as database, database.reader() as reader:
        yield Place(folder, database, reader)
