"""CSV in gzip with the columns of Tardis: one file a kind, day and symbol, named as its client names them.

Times are microseconds, ``timestamp`` the venue's and ``local_timestamp`` ours. A book begins with rows of
``is_snapshot`` true, and begins anew with such rows after each gap, which is how these files say that one was
there: readers drop what they had.
"""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

from recorder.export.books import Market, Start, Stream, markets
from recorder.export.folder import ExportFolder, Written
from recorder.export.request import day_text
from recorder.export.source import Part, Source, quoted

__all__ = ["EXCHANGES", "export"]

GZIP_LEVEL: Final = 6

EXCHANGES: Final = {
    "linear": "bybit",
    "inverse": "bybit",
    "spot": "bybit-spot",
    "option": "bybit-options",
    "spread": "bybit-spread",
}
_HEAD: Final = "exchange,symbol,timestamp,local_timestamp"
_LOCAL: Final = "intDiv(toUnixTimestamp64Nano(recv), 1000)"
_VENUE: Final = "toUnixTimestamp64Milli({}) * 1000"


@dataclass(frozen=True, slots=True)
class _Rows:
    """A kind of file whose rows are those of a view: its columns, and their SQL after the first four."""

    table: str
    view: str
    columns: str
    select: str
    time: str
    order: str


_KINDS: Final = {
    "trades": _Rows(
        "trade",
        "trades",
        "id,side,price,amount",
        "trade_id, lower(toString(side)), price, size",
        "time",
        "position, item",
    ),
    "derivative_ticker": _Rows(
        "ticker",
        "tickers",
        "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price",
        f"if(isNull(next_funding_time), '', toString({_VENUE.format('assumeNotNull(next_funding_time)')})), "
        + ", ".join(
            f"ifNull(toString({name}), '')"
            for name in ("funding_rate", "NULL", "open_interest", "last_price", "index_price", "mark_price")
        ),
        "ts",
        "position",
    ),
    "liquidations": _Rows(
        "liquidation",
        "liquidations",
        "id,side,price,amount",
        # The venue names the position's side, these files the order's that closed it.
        "'', if(side = 'Buy', 'sell', 'buy'), ifNull(toString(price), ''), ifNull(toString(size), '')",
        "time",
        "position, item",
    ),
}
_QUOTES: Final = _Rows(
    "bbo",
    "quotes",
    "ask_amount,ask_price,bid_price,bid_amount",
    ", ".join(f"ifNull(toString({name}), '')" for name in ("ask_amount", "ask", "bid", "bid_amount")),
    "ts",
    "position, update_id",
)
_BOOK_HEADER: Final = f"{_HEAD},is_snapshot,side,price,amount"


def export(source: Source, folder: ExportFolder) -> None:
    """Write one file a kind, day and symbol: ``EXCHANGE_KIND_YYYY-MM-DD_SYMBOL.csv.gz``."""
    for day in source.days():
        chosen = {(market.category, market.symbol): market for market in markets(source, day)}
        for market in chosen.values():
            if market.depth > 1:
                name = _name("incremental_book_L2", market)
                texts = partial(_book_texts, source, market)
                state = [source.decoder_versions, *market.state()]
                folder.put(name, state, partial(_write, name, _BOOK_HEADER, texts, market.sources()))
        for kind, rows in (("quotes", _QUOTES), *_KINDS.items()):
            for part in source.parts(rows.table, day):
                of = chosen.get((part.category, part.symbol))
                if _is_of(part, of) and _has(kind, part.category, of):
                    _put(source, folder, kind, rows, part, of.depth if of else 0)


def _is_of(part: Part, market: Market | None) -> bool:
    if market is None:
        return True
    return part.recorder == (market.traded if part.table == "trade" else market).recorder


def _has(kind: str, category: str, market: Market | None) -> bool:
    if kind == "quotes":
        return market is not None and market.depth > 0
    return kind != "derivative_ticker" or category in ("linear", "inverse")


def _put(source: Source, folder: ExportFolder, kind: str, rows: _Rows, part: Part, depth: int) -> None:
    name = _name(kind, part)
    state = [source.decoder_versions, depth, part.recorder, part.rows, part.last_position]
    texts = partial(_texts, source, rows, part, depth)
    header = f"{_HEAD},{rows.columns}"
    folder.put(name, state, partial(_write, name, header, texts, list(part.sources)))


def _name(kind: str, of: Part | Market) -> str:
    return f"{_exchange(of)}_{kind}_{day_text(of.day)}_{quote(of.symbol, safe='')}.csv.gz"


def _exchange(of: Part | Market) -> str:
    return EXCHANGES.get(of.category, f"bybit-{of.category}")


def _write(
    name: str, header: str, texts: Callable[[], Iterator[bytes]], sources: list[str], path: Path
) -> Written:
    count = 0
    with path.open("wb") as raw, gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as file:
        file.write(header.encode() + b"\n")
        for text in texts():
            count += text.count(b"\n")
            file.write(_as_csv(text))
    return Written(name, count, {"sources": sources})


def _as_csv(text: bytes) -> bytes:
    """Return tab-separated lines with commas; a field that has one itself, as an id might, in quotes."""
    if b"," in text or b'"' in text:
        lines = [line.split(b"\t") for line in text.split(b"\n")]
        return b"\n".join(b",".join(_quoted_field(field) for field in line) for line in lines)
    return text.replace(b"\t", b",")


def _quoted_field(field: bytes) -> bytes:
    return b'"' + field.replace(b'"', b'""') + b'"' if b"," in field or b'"' in field else field


def _texts(source: Source, rows: _Rows, part: Part, depth: int) -> Iterator[bytes]:
    condition = f"kind = 'plain' AND depth = {depth}" if rows is _QUOTES else "1"
    head = f"{_literals(part)}, {_VENUE.format(rows.time)}, {_LOCAL}"
    for page in source.pages([(part, condition, "0")]):
        where = f"{source.of(part)} AND {condition} AND position BETWEEN {page.first} AND {page.last}"
        sql = f"SELECT {head}, {rows.select} FROM {rows.view} WHERE {where} ORDER BY {rows.order}"  # noqa: S608
        yield source.text(sql, "TabSeparated")


def _book_texts(source: Source, market: Market) -> Iterator[bytes]:
    stream = Stream(source, market)
    for page in stream.pages:
        first = page.first
        for start in stream.starts:
            if page.first <= start.position <= page.last:
                yield _changes(source, stream, first, start.position - 1)
                yield _whole(source, stream, start)
                first = start.position + 1
        yield _changes(source, stream, first, page.last)


def _changes(source: Source, stream: Stream, first: int, last: int) -> bytes:
    """Return the level changes and the venue's snapshots between two records, these included."""
    times = f"{_VENUE.format('ts')} AS venue_us, {_LOCAL} AS local_us"
    rows = " UNION ALL ".join(
        f"SELECT {times}, {part.table == 'book_snapshot'} AS is_snapshot, toString(side) AS side,"  # noqa: S608
        f" price, size, position, update_id, item FROM {_LEVELS[part.table]}"
        f" WHERE {source.of(part)} AND {stream.condition(part.table)} AND position BETWEEN {first} AND {last}"
        for part in stream.market.book
    )
    columns = f"{_literals(stream.market)}, venue_us, local_us, is_snapshot, side, price, size"
    sql = f"SELECT {columns} FROM ({rows}) ORDER BY position, update_id, side = 'ask', item"  # noqa: S608
    return source.text(sql, "TabSeparated")


_LEVELS: Final = {"book_delta": "book_levels", "book_snapshot": "snapshot_levels"}


def _whole(source: Source, stream: Stream, start: Start) -> bytes:
    times = f"{start.ts_ms * 1000}, {start.local_ns // 1000}"
    columns = f"{_literals(stream.market)}, {times}, true, toString(side), price, size"
    return source.text(stream.book_after(start.position, columns), "TabSeparated")


def _literals(of: Part | Market) -> str:
    return f"{quoted(_exchange(of))}, {quoted(of.symbol)}"
