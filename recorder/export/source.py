"""The rows of an export: which there are, and pages of them, up to one commit mark.

The mark is read once, so that an export is of one moment however long it takes. Rows are told apart by
recorder, category and symbol; within a recorder ``position`` is their order, and pages are ranges of
positions, none larger than memory allows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from engine.errors import UsageError, nearest
from recorder.database.clickhouse import Database
from recorder.export.request import DAY_NS, Request
from recorder.history.moments import iso

__all__ = ["PAGE_ROWS_MAX", "Page", "Part", "Source", "quoted"]

PAGE_ROWS_MAX: Final = 1 << 18  # rows, or level changes, unless one bucket has more
BUCKET_RECORDS: Final = 1 << 14  # positions that are counted together
ROW_TABLES: Final = (
    "book_delta",
    "book_snapshot",
    "bbo",
    "trade",
    "ticker",
    "kline",
    "liquidation",
    "notice",
)
BOOK_TABLES: Final = ("book_delta", "book_snapshot", "bbo")


def quoted(value: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one recorder, category and symbol in a table on a day, as far as it was asked for."""

    table: str
    recorder: str
    category: str
    symbol: str
    day: int
    rows: int
    last_position: int
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A range of positions, both ends included, and the least exchange time in it."""

    first: int
    last: int
    exch_ns: int = 0


class Source:
    """Reads one database for one request. Raises UsageError for what the request names and is not there."""

    def __init__(self, database: Database, request: Request) -> None:
        self._database = database
        self.request = request
        self.marks = {str(name): int(last) for name, last in self._pairs("SELECT * FROM committed")}
        if request.recorder:
            if request.recorder not in self.marks:
                raise _unknown("recorder", request.recorder, sorted(self.marks))
            self.marks = {request.recorder: self.marks[request.recorder]}
        if not self.marks:
            raise UsageError(
                "nothing is loaded yet", "record first, or let the loader come to its first batch"
            )
        self.first_ns, self.last_ns, self.decoder_versions = self._extent()
        self._check_range()
        self._check_names()

    def table(self, sql: str) -> pa.Table:
        """Return the answer to a query."""
        return pa.ipc.open_stream(self._database.raw_query(sql, fmt="ArrowStream")).read_all()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the answer to a query that has few rows."""
        found: list[dict[str, Any]] = self.table(sql).to_pylist()
        return found

    def text(self, sql: str, output_format: str) -> bytes:
        """Return the answer to a query in an output format of ClickHouse."""
        return self._database.raw_query(sql, fmt=output_format)

    @property
    def start_ns(self) -> int:
        """Where the range begins: as asked for, not before the first row."""
        return max(self.request.start_ns or self.first_ns, self.first_ns)

    @property
    def end_ns(self) -> int:
        """Where the range ends, not included."""
        asked = self.request.end_ns
        return self.last_ns + 1 if asked is None else min(asked, self.last_ns + 1)

    def days(self) -> range:
        """Return the days, counted since 1970, that the range touches."""
        return range(self.start_ns // DAY_NS, (self.end_ns - 1) // DAY_NS + 1)

    def parts(self, table: str, day: int) -> list[Part]:
        """Return what a table has of a day, by recorder, category and symbol."""
        sql = f"""
            SELECT toString(recorder) AS recorder, toString(category) AS category, toString(symbol) AS symbol,
                count() AS rows, max(position) AS last_position, groupUniqArray(toString(source)) AS sources
            FROM {table}
            WHERE {self.within(day)} AND {self.chosen(table)}
            GROUP BY recorder, category, symbol
            ORDER BY category, symbol, recorder"""  # noqa: S608  # every value in it is quoted
        return [
            Part(
                table,
                row["recorder"],
                row["category"],
                row["symbol"],
                day,
                row["rows"],
                row["last_position"],
                tuple(sorted(row["sources"])),
            )
            for row in self.rows(sql)
        ]

    def within(self, day: int, column: str = "recv") -> str:
        """Return the condition that a row is of the range and of a day, and committed."""
        start_ns, end_ns = self.bounds(day)
        return (
            f"{column} >= {_time(start_ns)} AND {column} < {_time(end_ns)} AND {self.committed('position')}"
        )

    def bounds(self, day: int) -> tuple[int, int]:
        """Return where the part of a day that is in the range begins and ends."""
        return max(self.start_ns, day * DAY_NS), min(self.end_ns, (day + 1) * DAY_NS)

    def committed(self, column: str) -> str:
        """Return the condition that a position is not beyond its recorder's mark."""
        return f"{column} <= {self._mark('recorder')}"

    def chosen(self, table: str) -> str:
        """Return the condition that a row is of what the request names."""
        request = self.request
        conditions = [
            _one_of("symbol", request.symbols),
            _one_of("category", request.categories),
            f"depth = {request.depth}" if table in BOOK_TABLES and request.depth is not None else "",
        ]
        return " AND ".join(condition for condition in conditions if condition) or "1"

    def of(self, part: Part) -> str:
        """Return the condition that a row is of a part."""
        start_ns, end_ns = self.bounds(part.day)
        return " AND ".join(
            (
                *(f"{name} = {quoted(getattr(part, name))}" for name in ("recorder", "category", "symbol")),
                f"recv >= {_time(start_ns)} AND recv < {_time(end_ns)}",
                f"position <= {self.marks[part.recorder]}",
            )
        )

    def pages(self, parts: Sequence[tuple[Part, str, str]]) -> Iterator[Page]:
        """Yield the positions of some parts of one recorder in pages.

        Args:
            parts: with each one a further condition, and the SQL of its exchange time in ns.
        """
        counts = " UNION ALL ".join(
            f"SELECT intDiv(position, {BUCKET_RECORDS}) AS bucket, {_weight(part.table)} AS weight,"  # noqa: S608
            f" toInt64(min({exchange})) AS exch_ns"  # every value in it is quoted
            f" FROM {part.table} WHERE {self.of(part)} AND {condition} GROUP BY bucket"
            for part, condition, exchange in parts
        )
        sql = f"SELECT bucket, sum(weight) AS weight, min(exch_ns) AS exch_ns FROM ({counts})"  # noqa: S608
        found = self.table(f"{sql} GROUP BY bucket ORDER BY bucket")
        first: int | None = None
        weight = 0
        exch_ns = 0
        last = 0
        for row in found.to_pylist():
            if first is not None and weight + row["weight"] > PAGE_ROWS_MAX:
                yield Page(first, last, exch_ns)
                first = None
            if first is None:
                first, weight, exch_ns = row["bucket"] * BUCKET_RECORDS, 0, row["exch_ns"]
            weight += row["weight"]
            exch_ns = min(exch_ns, row["exch_ns"])
            last = (row["bucket"] + 1) * BUCKET_RECORDS - 1
        if first is not None:
            yield Page(first, last, exch_ns)

    def gaps(self) -> str:
        """Return a query of the gaps that touch the range, of the symbols that are exported."""
        key = "arrayElement(splitByChar('.', topic), -1)"
        conditions = [
            f"start < {_time(self.end_ns)} AND (end IS NULL OR end >= {_time(self.start_ns)})",
            self.committed("opened_position"),
            _one_of("category", (*self.request.categories, "") if self.request.categories else ()),
            _one_of(key, (*self.request.symbols, "") if self.request.symbols else ()),
        ]
        where = " AND ".join(condition for condition in conditions if condition)
        return f"SELECT *, {key} AS symbol FROM gaps WHERE {where} ORDER BY recorder, opened_position, topic"  # noqa: S608

    def _mark(self, column: str) -> str:
        names = ", ".join(quoted(name) for name in self.marks)
        values = ", ".join(f"toUInt64({mark})" for mark in self.marks.values())
        return f"transform({column}, [{names}], [{values}], toUInt64(0))"

    def _pairs(self, sql: str) -> list[tuple[Any, Any]]:
        return [(row[0], row[1]) for row in self._database.query(sql)]

    def _extent(self) -> tuple[int, int, list[str]]:
        """Return first and last time, and the decoder versions. Times of rows too: clocks are set back."""
        rows = " UNION ALL ".join(
            f"SELECT min(recv) AS first, max(recv) AS last FROM {table} HAVING count() > 0"  # noqa: S608
            for table in ROW_TABLES
        )
        loaded = f"FROM load_batch WHERE {_one_of('recorder', tuple(self.marks))}"
        batches = f"SELECT min(first_recv), max(last_recv) {loaded} AND first_recv > {_time(1)}"
        (row,) = self.rows(
            "SELECT toUnixTimestamp64Nano(min(first)) AS first, toUnixTimestamp64Nano(max(last)) AS last,"  # noqa: S608
            f" (SELECT arraySort(groupUniqArray(toString(decoder_version))) {loaded}) AS versions"
            f" FROM ({rows} UNION ALL {batches})"  # every value in it is quoted
        )
        return row["first"], row["last"], row["versions"]

    def _check_range(self) -> None:
        request = self.request
        if request.start_ns is not None and request.end_ns is not None and request.start_ns >= request.end_ns:
            problem = f"--from {iso(request.start_ns)} is not before --to {iso(request.end_ns)}"
            raise UsageError(problem, "exchange them, or leave one out")
        there = f"what is loaded is from {iso(self.first_ns)} to {iso(self.last_ns)}"
        for option, value, outside in (
            ("--from", request.start_ns, self.last_ns < (request.start_ns or 0)),
            ("--to", request.end_ns, self.first_ns >= (request.end_ns or self.first_ns + 1)),
        ):
            if value is not None and outside:
                raise UsageError(f"{option} was {iso(value)}; {there}", "give a time within it")

    def _check_names(self) -> None:
        """Refuse a symbol or category that no table has at all."""
        tables = " UNION DISTINCT ".join(
            f"SELECT DISTINCT toString(category) AS category, toString(symbol) AS symbol FROM {table}"  # noqa: S608
            for table in ROW_TABLES
        )
        there = self.rows(tables) if self.request.symbols or self.request.categories else []
        for category in self.request.categories:
            if category not in (known := sorted({row["category"] for row in there})):
                raise _unknown("category", category, known)
        symbols = {
            row["symbol"]
            for row in there
            if not self.request.categories or row["category"] in self.request.categories
        }
        for symbol in self.request.symbols:
            if symbol not in symbols:
                raise _unknown("symbol", symbol, sorted(symbols))


def _unknown(what: str, value: str, known: Sequence[str]) -> UsageError:
    close = nearest(value, known)
    remedy = f"use {' or '.join(close or known[:5])}" if known else "record it first"
    return UsageError(f"{what} was {value!r}, which is not among the {len(known)} that are loaded", remedy)


def _time(time_ns: int) -> str:
    return f"fromUnixTimestamp64Nano(toInt64({time_ns}), 'UTC')"


def _one_of(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(quoted(value) for value in values)})" if values else ""


def _weight(table: str) -> str:
    if table in ("book_delta", "book_snapshot"):
        return "sum(1 + length(`bids.size`) + length(`asks.size`))"
    return "count()"
