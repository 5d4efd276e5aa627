"""An embedded database for tests, and one that fails on order."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ext.block import Block
from recorder.database.clickhouse import Database, open_embedded


@contextmanager
def embedded(folder: Path) -> Iterator[Database]:
    """An embedded database with its schema."""
    with open_embedded(folder) as database:
        database.create_schema()
        yield database


def use_another(database: Database, name: str) -> None:
    """Go on in a fresh database of the same engine."""
    database.command(f"CREATE DATABASE {name}")
    database.command(f"USE {name}")
    database.create_schema()


class Killed(BaseException):
    """Stands for the end of the process, where a test wants it."""


class FragileDatabase:
    """Passes everything on; the insert with the given number (from 0) is where the process dies.

    `committed` says whether the insert still happened: a lost reply. `tokens` False leaves the tokens out.
    """

    def __init__(
        self, database: Database, *, dies_at: int = -1, committed: bool = False, tokens: bool = True
    ):
        self._database = database
        self._dies_at = dies_at
        self._committed = committed
        self._tokens = tokens
        self.inserts = 0

    def insert(self, table: str, block: bytes | Block, token: str) -> None:
        if self.inserts == self._dies_at:
            if self._committed:
                self._database.insert(table, block, token if self._tokens else "")
            raise Killed
        self.inserts += 1
        self._database.insert(table, block, token if self._tokens else "")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
