"""A catalog of NautilusTrader: order book deltas, trades, instruments, as ``ParquetDataCatalog`` reads them.

Written without NautilusTrader, in the layout of its builds with 128-bit values: prices and sizes are integers
of 10^-16, little-endian. The precision of an instrument is that of its tick and lot size, or finer where
finer digits were sent.
"""

from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.errors import UsageError
from recorder.export.books import Market, Stream, markets
from recorder.export.folder import ExportFolder, Written
from recorder.export.levels import Levels
from recorder.export.nautilus_instruments import instrument
from recorder.export.request import day_text
from recorder.export.source import Source, quoted
from recorder.history.moments import iso

__all__ = ["DELTA", "TRADE", "export", "instrument_id"]

FIXED_PRECISION: Final = 16
ROW_GROUP_ROWS: Final = 1 << 16

ADD: Final = 1
UPDATE: Final = 2
DELETE: Final = 3
CLEAR: Final = 4
LAST: Final = 1 << 7
SNAPSHOT: Final = 1 << 5

_VALUE: Final = pa.binary(16)
DELTA: Final = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (
            ("action", pa.uint8()),
            ("side", pa.uint8()),
            ("price", _VALUE),
            ("size", _VALUE),
            ("order_id", pa.uint64()),
            ("flags", pa.uint8()),
            ("sequence", pa.uint64()),
            ("ts_event", pa.uint64()),
            ("ts_init", pa.uint64()),
        )
    ]
)
TRADE: Final = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (
            ("price", _VALUE),
            ("size", _VALUE),
            ("aggressor_side", pa.uint8()),
            ("trade_id", pa.string()),
            ("ts_event", pa.uint64()),
            ("ts_init", pa.uint64()),
        )
    ]
)
Precision = tuple[int, int]


def export(source: Source, folder: ExportFolder) -> None:
    """Write the catalog: ``data/KIND/INSTRUMENT/BEGIN_END.parquet``, one file a day."""
    precisions: dict[tuple[str, str], Precision] = {}
    for day in source.days():
        for market in markets(source, day):
            key = (market.category, market.symbol)
            if key not in precisions:
                precisions[key] = _precision(source, *key)
                _put_instrument(source, folder, market, precisions[key])
            _put_day(source, folder, market, precisions[key])


def instrument_id(category: str, symbol: str) -> str:
    """Return what NautilusTrader calls an instrument of this venue."""
    return f"{symbol}-{category.upper()}.BYBIT"


def _put_instrument(source: Source, folder: ExportFolder, market: Market, precision: Precision) -> None:
    sql = (
        "SELECT * REPLACE (toString(source) AS source), toUnixTimestamp64Nano(valid_from) AS valid_ns"  # noqa: S608
        f" FROM instruments WHERE category = {quoted(market.category)} AND symbol = {quoted(market.symbol)}"
        f" AND toUnixTimestamp64Nano(valid_from) < {source.end_ns} AND {source.committed('position')}"
        " ORDER BY valid_from DESC, position DESC LIMIT 1"
    )
    name = instrument_id(market.category, market.symbol)
    for row in source.rows(sql):
        table = instrument(row, name, *precision)
        if table is not None:
            kind, rows = table
            valid_ns = row["valid_ns"]
            path = _path(kind, name, valid_ns, valid_ns)
            state = [source.decoder_versions, row["recorder"], row["position"], *precision]

            def write(draft: Path, rows: pa.Table = rows, path: str = path) -> Written:
                pq.write_table(rows, draft)
                return Written(path, 1)

            folder.put(f"instrument/{name}", state, write)


def _put_day(source: Source, folder: ExportFolder, market: Market, precision: Precision) -> None:
    name = instrument_id(market.category, market.symbol)
    state = [source.decoder_versions, *market.state(), *precision]
    for kind, of, is_there, write in (
        ("order_book_delta", market, bool(market.book), _write_deltas),
        ("trade_tick", market.traded, market.traded.trades is not None, _write_trades),
    ):
        if is_there:
            key = f"{kind}/{day_text(market.day)}/{name}"
            folder.put(key, state, partial(write, source, of, name, precision))


def _path(kind: str, name: str, first_ns: int, last_ns: int) -> str:
    return f"data/{kind}/{name.replace('/', '')}/{_file_time(first_ns)}_{_file_time(last_ns)}.parquet"


def _file_time(time_ns: int) -> str:
    return f"{iso(time_ns)[:19].replace(':', '-')}-{time_ns % 1_000_000_000:09}Z"


def _precision(source: Source, category: str, symbol: str) -> Precision:
    """Return the most digits that prices and sizes have in the range, and in the instrument's steps."""
    name = f"category = {quoted(category)} AND symbol = {quoted(symbol)} AND {source.committed('position')}"
    recv_ns = "toUnixTimestamp64Nano(recv)"
    rows = " UNION ALL ".join(
        f"SELECT price_scale, size_scale FROM {table} WHERE {name}"  # noqa: S608  # every value in it is quoted
        f" AND {recv_ns} >= {source.start_ns} AND {recv_ns} < {source.end_ns}"
        for table in ("book_delta", "book_snapshot", "bbo", "trade")
    )
    (most,) = source.rows(f"SELECT max(price_scale) AS price, max(size_scale) AS size FROM ({rows})")  # noqa: S608
    steps = source.rows(f"SELECT tick_size, lot_size FROM instruments WHERE {name}")  # noqa: S608  # quoted
    price = max([most["price"], *(_digits(step["tick_size"]) for step in steps)])
    size = max([most["size"], *(_digits(step["lot_size"]) for step in steps)])
    if max(price, size) > FIXED_PRECISION:
        problem = f"{symbol} has values of {max(price, size)} decimals; nautilus has {FIXED_PRECISION}"
        raise UsageError(problem, "leave it out with --symbols, or export another format")
    return price, size


def _digits(step: Decimal | None) -> int:
    return 0 if step is None else max(0, -int(step.normalize().as_tuple().exponent))


def _write_deltas(source: Source, market: Market, name: str, precision: Precision, path: Path) -> Written:
    stream = Stream(source, market)
    pages = (_deltas(stream.levels(page)) for page in stream.pages)
    written = _write("order_book_delta", DELTA, pages, name, precision, path)
    written.details |= {"recorder": market.recorder, "depth": market.depth, "gaps": len(stream.gaps)}
    written.details["sources"] = market.sources()
    return written


def _write_trades(source: Source, market: Market, name: str, precision: Precision, path: Path) -> Written:
    stream = Stream(source, market)
    pages = (_trades(stream.trades(page)) for page in stream.pages)
    written = _write("trade_tick", TRADE, pages, name, precision, path)
    written.details |= {"recorder": market.recorder, "sources": market.sources()}
    return written


def _write(kind: str, schema: pa.Schema, pages: Any, name: str, precision: Precision, path: Path) -> Written:
    names = {
        "instrument_id": name,
        "price_precision": str(precision[0]),
        "size_precision": str(precision[1]),
    }
    count = 0
    first_ns = last_ns = 0
    with pq.ParquetWriter(path, schema.with_metadata(names), compression="zstd") as writer:
        for columns in pages:
            times = columns["ts_init"]
            if not len(times):
                continue
            # The wall clock may have been set back; the order of what was received stands.
            times = columns["ts_init"] = np.maximum.accumulate(np.append(last_ns, times))[1:]
            first_ns, last_ns = first_ns or int(times[0]), int(times[-1])
            table = pa.table([pa.array(columns[field.name], field.type) for field in schema], writer.schema)
            writer.write_table(table, ROW_GROUP_ROWS)
            count += len(times)
    return Written(_path(kind, name, first_ns, last_ns), count)


def _deltas(levels: Levels) -> dict[str, Any]:
    is_clear = levels.side == 0
    changed = np.where(levels.is_snapshot, ADD, np.where(levels.size == 0, DELETE, UPDATE))
    flags = np.where(levels.is_last, LAST, 0) | np.where(levels.is_snapshot, SNAPSHOT, 0)
    return {
        "action": np.where(is_clear, CLEAR, changed),
        "side": np.where(is_clear, 0, np.where(levels.side == 1, 1, 2)),
        "price": fixed(levels.price, levels.price_scale),
        "size": fixed(levels.size, levels.size_scale),
        "order_id": np.zeros(len(levels), np.uint64),
        "flags": flags,
        "sequence": levels.update_id,
        "ts_event": levels.exch_ns,
        "ts_init": levels.local_ns,
    }


def _trades(rows: pa.Table) -> dict[str, Any]:
    columns = {name: rows[name].to_numpy() for name in rows.column_names}
    return {
        "price": fixed(columns["price"], columns["price_scale"]),
        "size": fixed(columns["size"], columns["size_scale"]),
        "aggressor_side": np.where(columns["is_buy"], 1, 2),
        "trade_id": columns["trade_id"],
        "ts_event": columns["exch_ns"],
        "ts_init": columns["local_ns"],
    }


def fixed(mantissa: NDArray[np.int64], scale: NDArray[np.uint8]) -> pa.Array:
    """Return values as 128-bit integers of 10^-16, little-endian, in 16 bytes each."""
    factors = np.array([10 ** (FIXED_PRECISION - digits) for digits in range(FIXED_PRECISION + 1)], np.uint64)
    factor = factors[scale]
    magnitude = np.abs(mantissa).astype(np.uint64)
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    low_low = (magnitude & mask) * (factor & mask)
    low_high = (magnitude & mask) * (factor >> half)
    high_low = (magnitude >> half) * (factor & mask)
    middle = (low_low >> half) + (low_high & mask) + (high_low & mask)
    low = (low_low & mask) | (middle << half)
    high = (magnitude >> half) * (factor >> half) + (low_high >> half) + (high_low >> half) + (middle >> half)
    is_negative = mantissa < 0
    low = np.where(is_negative, ~low + np.uint64(1), low)
    high = np.where(is_negative, ~high + (low == 0).astype(np.uint64), high)
    words = np.stack((low, high), axis=1).astype("<u8")
    return pa.FixedSizeBinaryArray.from_buffers(_VALUE, len(mantissa), [None, pa.py_buffer(words.tobytes())])
