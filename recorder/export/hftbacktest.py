"""The event arrays of hftbacktest 2: one ``.npz`` a symbol and day, ``data`` in it as its ``event_dtype``.

Prices and sizes are floats because the format has floats: each is the nearest to its decimal, up to 2^53
units. Events are in order of both clocks, as the format wants: one that the venue had before, and that came
after another, is there twice, once for each clock.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recorder.export.books import Market, Stream, markets
from recorder.export.folder import ExportFolder, Written
from recorder.export.levels import Levels
from recorder.export.request import day_text
from recorder.export.source import Source

__all__ = ["EVENT", "export"]

EVENT: Final = np.dtype(
    [
        ("ev", "<u8"),
        ("exch_ts", "<i8"),
        ("local_ts", "<i8"),
        ("px", "<f8"),
        ("qty", "<f8"),
        ("order_id", "<u8"),
        ("ival", "<i8"),
        ("fval", "<f8"),
    ]
)
DEPTH: Final = 1
TRADE: Final = 2
DEPTH_CLEAR: Final = 3
DEPTH_SNAPSHOT: Final = 4
EXCH: Final = 1 << 31
LOCAL: Final = 1 << 30
BUY: Final = 1 << 29
SELL: Final = 1 << 28
BOTH: Final = EXCH | LOCAL

POWERS: Final = np.array([float(f"1e{scale}") for scale in range(32)])

COPY_BYTES: Final = 1 << 20
DEFLATE_LEVEL: Final = 1  # two thirds of the time of 6, and a quarter larger

END_NS: Final = 1 << 62

Events = NDArray[np.void]
Chunk = tuple[Events, int]  # and the least exchange time of what follows


def export(source: Source, folder: ExportFolder) -> None:
    """Write one file a symbol and day: ``CATEGORY/SYMBOL/YYYYMMDD.npz``."""
    for day in source.days():
        for market in markets(source, day):
            name = f"{market.category}/{quote(market.symbol, safe='')}/{day_text(day).replace('-', '')}.npz"

            def write(draft: Path, market: Market = market, name: str = name) -> Written:
                return _write(source, market, draft, name)

            folder.put(name, [source.decoder_versions, *market.state()], write)


def _write(source: Source, market: Market, path: Path, name: str) -> Written:
    """Write the events raw, and then, as their number is known, the archive."""
    stream = Stream(source, market)
    beside = Stream(source, market.beside) if market.beside else None
    raw = path.with_name("events")
    counts = {"trades": 0, "early": 0}
    with raw.open("wb") as file:
        for events in _ordered(_merged([_pages(one, counts) for one in (beside, stream) if one])):
            events.tofile(file)
        rows = file.tell() // EVENT.itemsize
    with (
        raw.open("rb") as file,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=DEFLATE_LEVEL) as archive,
        archive.open("data.npy", "w", force_zip64=True) as member,
    ):
        _copy(file, member, rows)
    raw.unlink()
    details: dict[str, Any] = {
        "symbol": market.symbol,
        "recorder": market.recorder,
        "depth": market.depth,
        "sources": market.sources(),
        "trades": counts["trades"],
        "trades_recorder": market.traded.recorder,
        "gaps": len(stream.gaps),
        "doubtful": {"events_before_their_exchange_time": counts["early"]} if counts["early"] else {},
    }
    return Written(name, rows, details)


def _copy(raw: BinaryIO, member: Any, rows: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(EVENT), "fortran_order": False, "shape": (rows,)}
    np.lib.format.write_array_header_1_0(member, header)
    while chunk := raw.read(COPY_BYTES):
        member.write(chunk)


def _pages(stream: Stream, counts: dict[str, int]) -> Iterator[Chunk]:
    """Yield the events of a stream a page, and the least exchange time of the pages that follow."""
    pages = stream.pages
    later_ns = np.minimum.accumulate([END_NS, *(page.exch_ns for page in reversed(pages))])[::-1].tolist()
    local_ns = 0
    for page, next_ns in zip(pages, later_ns[1:], strict=True):
        levels = stream.levels(page) if stream.market.book else None
        fresh = _events(levels, stream.trades(page))
        counts["trades"] += int((fresh["ev"] & 0xFF == TRADE).sum())
        counts["early"] += int((fresh["local_ts"] < fresh["exch_ts"]).sum())
        # The wall clock may have been set back; the order of what was received stands.
        fresh["local_ts"] = np.maximum.accumulate(np.append(local_ns, fresh["local_ts"]))[1:]
        local_ns = int(fresh["local_ts"][-1]) if len(fresh) else local_ns
        yield fresh, next_ns


def _merged(streams: list[Iterator[Chunk]]) -> Iterator[Chunk]:
    """Yield several streams as one in the order of the local clock; at one time the first of them first."""
    waiting = [_next(stream) for stream in streams]
    while any(len(events) for events, _ in waiting):
        # Up to where each that has not ended is there.
        until_ns = min(int(events["local_ts"][-1]) for events, _ in waiting if len(events))
        heads = []
        for number, (events, next_ns) in enumerate(waiting):
            cut = int(np.searchsorted(events["local_ts"], until_ns, "right"))
            heads.append(events[:cut])
            waiting[number] = (events[cut:], next_ns) if cut < len(events) else _next(streams[number])
        joined = np.concatenate(heads)
        rest_ns = min(int(events["exch_ts"].min(initial=next_ns)) for events, next_ns in waiting)
        yield joined[np.argsort(joined["local_ts"], kind="stable")], rest_ns


def _next(stream: Iterator[Chunk]) -> Chunk:
    """Return what comes next; no events where the stream has ended."""
    return next((chunk for chunk in stream if len(chunk[0])), (np.empty(0, EVENT), END_NS))


def _ordered(chunks: Iterator[Chunk]) -> Iterator[Events]:
    """Yield the events in order of both clocks.

    What may have to wait for an earlier exchange time of a later chunk is held back until that one is there.
    """
    held = np.empty(0, EVENT)
    for fresh, next_ns in chunks:
        events = np.concatenate((held, fresh))
        cut = _closed(events["exch_ts"], next_ns)
        yield in_order(events[:cut])
        held = events[cut:]


def _closed(exch_ns: NDArray[np.int64], next_ns: int) -> int:
    """Return how many events come before all that follow by the exchange's clock too."""
    before = np.maximum.accumulate(exch_ns)
    after = np.minimum.accumulate(np.append(exch_ns[1:], next_ns)[::-1])[::-1]
    closed = np.flatnonzero(before <= np.minimum(after, next_ns))
    return int(closed[-1]) + 1 if len(closed) else 0


def in_order(events: Events) -> Events:
    """Return events of the local order with flags; those out of the exchange's order are there twice."""
    exch_ns = events["exch_ts"]
    rank = np.argsort(exch_ns, kind="stable")
    if np.array_equal(rank, np.arange(len(rank))):
        events["ev"] |= np.uint64(BOTH)
        return events
    index, flags = _interleaved(rank)
    ordered = events[index]
    ordered["ev"] |= flags
    return ordered


def _interleaved(rank: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the events to write and for which clock, given the order of the exchange's."""
    index: list[int] = []
    flags: list[int] = []
    told = np.zeros(len(rank), bool)  # to the exchange's side
    first = 0
    for local in range(len(rank)):
        while not told[local] and rank[first] != local:
            index.append(int(rank[first]))
            flags.append(EXCH)
            told[rank[first]] = True
            first += 1
        index.append(local)
        if told[local]:
            flags.append(LOCAL)
        else:
            flags.append(BOTH)
            told[local] = True
            first += 1
    return np.array(index, np.int64), np.array(flags, np.uint64)


def _events(levels: Levels | None, trades: pa.Table) -> Events:
    """Return book and trades as events without clocks, in the order received."""
    count = 0 if levels is None else len(levels)
    events = np.zeros(count + len(trades), EVENT)
    position = np.empty(len(events), np.uint64)
    if levels is not None:
        book = events[:count]
        kind = np.where(levels.is_snapshot, DEPTH_SNAPSHOT, DEPTH)
        book["ev"] = np.where(levels.side == 0, DEPTH_CLEAR, kind)
        book["ev"] |= np.where(levels.side == 1, BUY, np.where(levels.side == -1, SELL, 0)).astype(np.uint64)
        book["exch_ts"], book["local_ts"] = levels.exch_ns, levels.local_ns
        book["px"] = _floats(levels.price, levels.price_scale)
        book["qty"] = _floats(levels.size, levels.size_scale)
        position[:count] = levels.position
    columns = {name: trades[name].to_numpy() for name in trades.column_names if name != "trade_id"}
    traded = events[count:]
    traded["ev"] = np.where(columns["is_buy"], TRADE | BUY, TRADE | SELL)
    traded["exch_ts"], traded["local_ts"] = columns["exch_ns"], columns["local_ns"]
    traded["px"] = _floats(columns["price"], columns["price_scale"])
    traded["qty"] = _floats(columns["size"], columns["size_scale"])
    position[count:] = columns["position"]
    return events[np.argsort(position, kind="stable")]


def _floats(mantissa: NDArray[np.int64], scale: NDArray[np.uint8]) -> NDArray[np.float64]:
    # One division of two exact numbers: the nearest float, as of the decimal's text.
    values: NDArray[np.float64] = mantissa / POWERS[scale]
    return values
