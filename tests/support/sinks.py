"""Spools loaded into a test server, and what is there then."""

from pathlib import Path
from typing import Any

from recorder.database.clickhouse import Database, open_server
from recorder.loading.loader import Loader
from recorder.sql import TABLES
from tests.support.market import SpoolMaker, make_market
from tests.support.servers import ClickHouse, Pauses

Contents = dict[str, list[tuple[object, ...]]]

BATCH_RECORDS = 40


def open_fresh(server: ClickHouse, name: str) -> Database:
    """A database of its own, with its schema."""
    database = open_server(server.url, name)
    database.create_schema()
    return database


def make_spool(folder: Path, messages: int = 24, recorder: str = "r1") -> Path:
    maker = SpoolMaker(folder / "spool", recorder)
    make_market(maker, messages)
    maker.disconnect("eof")
    maker.close()
    return folder / "spool"


def load(folder: Path, database: Any, stop: Pauses | None = None, **how: Any) -> Loader:
    """Load FOLDER/spool to its end."""
    how = {"batch_records": BATCH_RECORDS, "recorder": "r1", **how}
    loader = Loader(folder / "spool", database, state=folder, stop=stop, **how)
    try:
        loader.recover()
        loader.drain()
    finally:
        loader.close()
    return loader


def contents(database: Database) -> Contents:
    """Every row of every table but the commit marks."""
    return {
        table: database.query(f"SELECT * FROM {table} ORDER BY ALL")
        for table in TABLES
        if table != "load_batch"
    }
