"""The tables as they are: Parquet, and CSV in gzip. One file a table, day, category and symbol.

Books have their integers: value = mantissa / 10^scale, lists of levels in the order sent. All else has exact
decimals.
"""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from recorder.export.folder import ExportFolder, Written
from recorder.export.request import day_text
from recorder.export.source import ROW_TABLES, Part, Source

__all__ = ["EVENTS", "INSTRUMENTS", "export_csv", "export_parquet", "partition", "write_csv", "write_parquet"]

ZSTD_LEVEL: Final = 3
GZIP_LEVEL: Final = 6

_KEYS: Final = "category, symbol"
_HEAD: Final = "recorder, toString(kind) AS kind, depth, position, "
_BOOK: Final = (
    "toString(source) AS source, leg, recv, ts, cts, update_id, seq, {extra}price_scale, size_scale,"
    " bid_prices, bid_sizes, ask_prices, ask_sizes"
)
_ITEM: Final = "REPLACE (toString(source) AS source{more})"


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is selected of a table, from which view, in which order."""

    select: str
    view: str
    order: str


_ROWS: Final = {
    "book_delta": _Rows(_HEAD + _BOOK.format(extra=""), "book_delta", "position, update_id"),
    "book_snapshot": _Rows(
        _HEAD + "toString(origin) AS origin, " + _BOOK.format(extra="checksum, "),
        "book_snapshot",
        "position, update_id",
    ),
    "bbo": _Rows(
        f"* EXCEPT ({_KEYS}, bid_float, bid_amount_float, ask_float, ask_amount_float) "
        + _ITEM.format(more=", toString(kind) AS kind"),
        "quotes",
        "position, update_id",
    ),
    "trade": _Rows(
        f"* EXCEPT ({_KEYS}, price_float, size_float) "
        + _ITEM.format(more=", toString(side) AS side, toString(tick_direction) AS tick_direction"),
        "trades",
        "position, item",
    ),
    "ticker": _Rows(f"* EXCEPT ({_KEYS}, ts_lag_ms) " + _ITEM.format(more=""), "tickers", "position"),
    "kline": _Rows(
        f"* EXCEPT ({_KEYS}, ts_lag_ms, time_lag_ms) " + _ITEM.format(more=""), "klines", "position, item"
    ),
    "liquidation": _Rows(
        f"* EXCEPT ({_KEYS}, ts_lag_ms, time_lag_ms) " + _ITEM.format(more=", toString(side) AS side"),
        "liquidations",
        "position, item",
    ),
    "notice": _Rows(f"* EXCEPT ({_KEYS}, ts_lag_ms) " + _ITEM.format(more=""), "notices", "position, item"),
}
EVENTS: Final = "SELECT * FROM events WHERE {where} ORDER BY recorder, position"
INSTRUMENTS: Final = (
    "SELECT * REPLACE (toString(source) AS source) FROM instruments WHERE {where}"
    " ORDER BY category, symbol, recorder, valid_from, position"
)


def export_parquet(source: Source, folder: ExportFolder) -> None:
    """Write every table as Parquet."""
    _export(source, folder, "part.parquet", _write_parquet)


def export_csv(source: Source, folder: ExportFolder) -> None:
    """Write every table as CSV in gzip."""
    _export(source, folder, "part.csv.gz", _write_csv)


def partition(table: str, part: Part) -> str:
    """Return the folder of a part. Any symbol may be in it: what a path cannot have is percent-encoded."""
    date, category, symbol = day_text(part.day), quote(part.category, safe=""), quote(part.symbol, safe="")
    return f"{table}/date={date}/category={category}/symbol={symbol}"


def write_parquet(source: Source, sql: str, name: str, path: Path) -> Written:
    """Write the answer to a query that has few rows."""
    found = source.table(sql)
    pq.write_table(found, path, compression="zstd", compression_level=ZSTD_LEVEL)
    return Written(name, found.num_rows)


def write_csv(source: Source, sql: str, name: str, path: Path) -> Written:
    """Write the answer to a query that has few rows."""
    path.write_bytes(source.text(sql, "CSVWithNames"))
    (count,) = source.rows(f"SELECT count() AS rows FROM ({sql})")  # noqa: S608  # a query of ours
    return Written(name, count["rows"])


_Write = Callable[[Source, list[Part], Path], int]


def _export(source: Source, folder: ExportFolder, name: str, write: _Write) -> None:
    for day in source.days():
        for table in ROW_TABLES:
            for parts in _by_symbol(source.parts(table, day)):
                path = f"{partition(table, parts[0])}/{name}"
                state = [[part.recorder, part.rows, part.last_position] for part in parts]

                def written(draft: Path, parts: list[Part] = parts, path: str = path) -> Written:
                    return Written(path, write(source, parts, draft), {"sources": _sources(parts)})

                folder.put(path, [source.decoder_versions, *state], written)


def _by_symbol(parts: list[Part]) -> Iterator[list[Part]]:
    """Yield the parts of each symbol: one of each recorder."""
    group: list[Part] = []
    for part in parts:
        if group and (part.category, part.symbol) != (group[0].category, group[0].symbol):
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _sources(parts: list[Part]) -> list[str]:
    return sorted({source for part in parts for source in part.sources})


def _queries(source: Source, parts: list[Part], *, keys: bool = False) -> Iterator[str]:
    """Yield the queries whose answers, one after the other, are the rows of some parts."""
    rows = _ROWS[parts[0].table]
    chosen = source.chosen(parts[0].table)
    select = f"{_KEYS}, {rows.select}" if keys else rows.select
    for part in parts:
        for page in source.pages([(part, chosen, "0")]):
            where = f"{source.of(part)} AND {chosen} AND position BETWEEN {page.first} AND {page.last}"
            yield f"SELECT {select} FROM {rows.view} WHERE {where} ORDER BY {rows.order}"  # noqa: S608  # quoted


def _write_parquet(source: Source, parts: list[Part], path: Path) -> int:
    count = 0
    writer: Any = None
    try:
        for sql in _queries(source, parts):
            found = source.table(sql)
            if writer is None:
                names = {"category": parts[0].category, "symbol": parts[0].symbol, "table": parts[0].table}
                schema: pa.Schema = found.schema.with_metadata(names)
                writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=ZSTD_LEVEL)
            writer.write_table(found.cast(schema))
            count += found.num_rows
    finally:
        if writer is not None:
            writer.close()
    return count


def _write_csv(source: Source, parts: list[Part], path: Path) -> int:
    with path.open("wb") as raw, gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as file:
        header = b""
        for sql in _queries(source, parts, keys=True):
            text = source.text(sql, "CSVWithNames")
            if header:
                text = text.removeprefix(header)
            else:
                header = text[: text.index(b"\n") + 1]
            file.write(text)
    return sum(part.rows for part in parts)
