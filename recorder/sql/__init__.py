"""The schema: one .sql file per table and view, executed in the order of TABLES, then VIEWS."""

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
)

_COLUMN = re.compile(r"^ {4}(`[^`]+`|\w+) ([A-Z].*?),?$", re.MULTILINE)
_AFTER_TYPE = re.compile(r" (?:CODEC\(|COMMENT |DEFAULT |ALIAS )")


def statement(name: str) -> str:
    """The CREATE statement of a table or view."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


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
