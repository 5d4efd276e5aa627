"""The schema: one .sql file per table and view, executed in the order of TABLES, then VIEWS.

`recorder.database` makes of them what a place needs, and brings older databases up to them.
"""

import re
from functools import cache
from importlib import resources

TABLES = (
    "book_delta",
    "book_snapshot",
    "bbo",
    "trade",
    "ticker",
    "kline",
    "liquidation",
    "notice",
    "gap",
    "event",
    "instrument",
    "load_batch",
)
VERSION_TABLE = "schema_version"  # of the schema; no rows of a recording
VIEWS = (
    "committed",
    "book_levels",
    "snapshot_levels",
    "quotes",
    "trades",
    "tickers",
    "klines",
    "liquidations",
    "notices",
    "gaps",
    "gap_days",
    "events",
    "instruments",
    "ohlcv",
    "book_at",
    "recorder_days",
    "once_book_delta",
    "once_bbo",
    "once_trades",
    "once_tickers",
    "once_klines",
    "once_liquidations",
)

_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_COLUMN = re.compile(r"^ {4}(`[^`]+`|\w+) ([A-Z].*?),?$", re.MULTILINE)
_AFTER_TYPE = re.compile(r" (?:CODEC\(|COMMENT |DEFAULT |ALIAS )")


def statement(name: str) -> str:
    """The CREATE statement of a table or view."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


@cache
def migrations() -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """The (number, name, statements) of each migration, in order, numbered from 1 without a hole."""
    folder = resources.files(__name__).joinpath("migrations")
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    found = []
    for file in files:
        number, _, name = file.name.removesuffix(".sql").partition("_")
        text = _COMMENT.sub("", file.read_text(encoding="utf-8"))
        statements = tuple(part.strip() for part in text.split(";\n") if part.strip())
        found.append((int(number), name, statements))
    return tuple(found)


@cache
def columns(table: str) -> tuple[tuple[str, str], ...]:
    """The (name, type) of each column that an insert into the table carries, in order."""
    found = []
    for name, rest in _COLUMN.findall(statement(table)):
        if " ALIAS " not in rest and " DEFAULT " not in rest:
            found.append((name.strip("`"), _AFTER_TYPE.split(rest)[0]))
    return tuple(found)


def schema() -> dict[str, tuple[tuple[str, str], ...]]:
    """`columns` of every table."""
    return {table: columns(table) for table in TABLES}
