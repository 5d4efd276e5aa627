"""Bytes per level change: our tables against compressed JSON and against Parquet of the same rows.

Two streams: the generated one of depth 50, and the real capture (TAPEHEAD_CAPTURES, or ../shared/data beside
the checkout) of depth 200, played over and over. A loop is moved by a number of ticks of its own and its
sizes are exchanged for others of about the same length, the same for equal ones: no compressor gains by
having seen the loop before.
"""

import io
import json
import os
import random
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow
from pyarrow import parquet

from benchmarks import stream, tape
from benchmarks.harness import ROOT, Facts, Options, goal, machine, spawn, versions
from benchmarks.report import Table, number
from recorder.database.clickhouse import Database, open_embedded
from recorder.loading.loader import Loader
from recorder.spool.writer import Spool
from recorder.sql import TABLES

MESSAGES: Final = 300_000
QUICK_MESSAGES: Final = 2_000
CAPTURE: Final = "bybit_linear_sol_doge.recv_ns.log"
CAPTURE_DEPTH: Final = 200
CAPTURE_SYMBOLS: Final = ("DOGEUSDT", "SOLUSDT")
LOOP_PAUSE_NS: Final = 100_000_000
TICKS_MAX: Final = 500
JSON_SHARE: Final = 0.5
BATCH_MS: Final = 600_000
BOOK_TABLES: Final = ("book_delta", "book_snapshot", "bbo")

# The same rows of book_delta, all columns, three ways: as stored, with plain prices, one row a level.
HEAD: Final = "recorder, category, symbol, kind, depth, position, source, leg, recv, ts, cts, update_id, seq"
PARQUET: Final = {
    "as stored": "SELECT * FROM book_delta ORDER BY symbol, position",
    "arrays of prices and sizes": (
        f"SELECT {HEAD}, price_scale, size_scale, bid_prices, bid_sizes, ask_prices, ask_sizes"
        " FROM book_delta ORDER BY symbol, position"
    ),
    "one row a level": (
        f"SELECT {HEAD}, price_scale, size_scale, level.1 AS is_ask, level.2 AS price, level.3 AS size"
        " FROM book_delta ARRAY JOIN arrayConcat("
        "arrayZip(arrayWithConstant(length(bid_prices), 0), bid_prices, bid_sizes),"
        "arrayZip(arrayWithConstant(length(ask_prices), 1), ask_prices, ask_sizes)) AS level"
        " ORDER BY symbol, position"
    ),
}
ZSTD_LEVEL: Final = 3


def capture_path() -> Path:
    folder = os.environ.get("TAPEHEAD_CAPTURES", ROOT.parent / "shared" / "data")
    return Path(folder) / CAPTURE


def run(options: Options) -> Facts:
    """Record each stream into a spool, load it, and weigh what there is on disk."""
    messages = options.messages or (QUICK_MESSAGES if options.quick else MESSAGES)
    conditions = machine()
    sources = ["generated"] + (["capture"] if capture_path().exists() else [])
    found = {source: spawn("space", {"source": source, "messages": messages}) for source in sources}
    goals = []
    for source, facts in found.items():
        delta = facts["bytes"]["book_delta"]
        best = min(facts["parquet"].values())
        goals += [
            goal(f"{source}: book_delta / zstd-3 JSON", delta / facts["zstd"], JSON_SHARE, at_most=True),
            goal(f"{source}: book_delta / best Parquet", delta / best, 1.0, at_most=True),
        ]
    return {
        "benchmark": "space",
        "machine": conditions,
        "versions": versions(["chdb", "pyarrow", "zstandard"]),
        "rounds": 1,
        "sources": found,
        "goals": goals,
    }


def frames(source: str, messages: int) -> tuple[int, list[str], Iterator[tuple[int, bytes, int]]]:
    """Return depth, symbols and (recv_ns, frame, level changes) of a stream."""
    if source == "generated":
        return tape.DEPTH, [tape.symbol(index) for index in range(tape.SYMBOLS)], generated(messages)
    return CAPTURE_DEPTH, list(CAPTURE_SYMBOLS), looped(messages)


def generated(messages: int) -> Iterator[tuple[int, bytes, int]]:
    markets = [stream.Market(tape.DEPTH, index + 1, tape.symbol(index)) for index in range(tape.SYMBOLS)]
    streams = [market.frames() for market in markets]
    rng = random.Random(1)
    step_ns = stream.INTERVAL_MS[tape.DEPTH] * tape.NS_PER_MS // tape.SYMBOLS
    for index in range(messages):
        frame, changes = next(streams[index % tape.SYMBOLS])
        yield tape.START_NS + index * step_ns + rng.randint(0, step_ns), frame, changes


def looped(messages: int) -> Iterator[tuple[int, bytes, int]]:
    """Play the captured book frames over and over, each loop with prices, sizes, ids and times of its own."""
    captured = []
    for line in capture_path().read_bytes().splitlines():
        recv, _, text = line.partition(b" ")
        if text.startswith(b'{"topic":"orderbook.'):
            captured.append((int(recv), json.loads(text)))
    span_ns = captured[-1][0] - captured[0][0] + LOOP_PAUSE_NS
    loop = taken = 0
    while taken < messages:
        rng = random.Random(loop)
        sizes: dict[str, str] = {}
        ticks = rng.randint(0, TICKS_MAX)
        moved_ns = loop * span_ns
        for recv_ns, frame in captured[: messages - taken]:
            yield recv_ns + moved_ns, *moved(frame, loop, ticks, moved_ns // tape.NS_PER_MS, sizes, rng)
            taken += 1
        loop += 1


def moved(
    frame: dict[str, Any], loop: int, ticks: int, moved_ms: int, sizes: dict[str, str], rng: random.Random
) -> tuple[bytes, int]:
    data = frame["data"]
    sides = {
        side: [[up(price, ticks), other(size, sizes, rng)] for price, size in data[side]] for side in "ba"
    }
    ids = {"u": data["u"] + loop * 100_000, "seq": data["seq"] + loop * 100_000_000}
    times = {"ts": frame["ts"] + moved_ms, "data": data | sides | ids, "cts": frame["cts"] + moved_ms}
    changes = len(data["b"]) + len(data["a"]) if frame["type"] == "delta" else 0
    return json.dumps(frame | times, separators=(",", ":")).encode(), changes


def up(price: str, ticks: int) -> str:
    """The price so many steps of its last digit higher."""
    number = Decimal(price)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return str(number + Decimal(ticks).scaleb(exponent))


def other(size: str, sizes: dict[str, str], rng: random.Random) -> str:
    """Another size with as many digits and decimals, the same one for the same size; 0 stays 0."""
    if size not in sizes:
        digits = "".join(rng.choice("123456789") if digit in "123456789" else digit for digit in size)
        sizes[size] = size if size == "0" else digits
    return sizes[size]


def work(given: dict[str, Any]) -> Facts:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        facts = record(folder, given["source"], given["messages"])
        with open_embedded(folder / "clickhouse") as database:
            database.create_schema()
            loader = Loader(folder / "spool", database, tape.RECORDER, folder, batch_ms=BATCH_MS)
            loader.recover()
            loader.drain()
            loader.close()
            return facts | weigh(database, facts["changes"])


def record(folder: Path, source: str, messages: int) -> Facts:
    depth, symbols, arriving = frames(source, messages)
    sizes, changes = tape.Sizes(), 0
    with Spool(folder / "spool", tape.RECORDER, now=lambda: (tape.START_NS, tape.START_NS)) as spool:
        writer = tape.Tape(spool, [f"orderbook.{depth}.{symbol}" for symbol in symbols])
        for recv_ns, frame, count in arriving:
            writer.append(frame, recv_ns)
            if count:
                sizes.add(frame)
            changes += count
        writer.commit()
    return {
        "messages": messages,
        "depth": depth,
        "changes": changes,
        "json": sizes.plain / changes,
        "zstd": sizes.compressed() / changes,
    }


def weigh(database: Database, changes: int) -> Facts:
    for table in TABLES:
        database.command(f"OPTIMIZE TABLE {table} FINAL")
    rows = database.query(
        "SELECT table, sum(bytes_on_disk), sum(rows) FROM system.parts"
        " WHERE active AND database = currentDatabase() GROUP BY table"
    )
    counted = database.query("SELECT sum(length(bids.size) + length(asks.size)) FROM book_delta")[0][0]
    return {
        "right": counted == changes,
        "bytes": {name: size / changes for name, size, _ in rows if name in BOOK_TABLES},
        "rows": {name: count for name, _, count in rows if name in BOOK_TABLES},
        "parquet": {name: parquet_bytes(database, sql) / changes for name, sql in PARQUET.items()},
    }


def parquet_bytes(database: Database, sql: str) -> int:
    """The smallest file of these rows: dictionaries everywhere, or integers as packed differences."""
    rows = pyarrow.ipc.open_stream(database.raw_query(sql, None, "ArrowStream")).read_all()
    texts = [field.name for field in rows.schema if not is_number(field.type)]
    packed = {path: "DELTA_BINARY_PACKED" for path in leaves(rows.schema) if path.split(".")[0] not in texts}
    return min(
        written_bytes(rows, use_dictionary=True),
        written_bytes(rows, use_dictionary=texts, column_encoding=packed),
    )


def is_number(kind: Any) -> bool:
    inner = kind.value_type if pyarrow.types.is_list(kind) else kind
    return bool(pyarrow.types.is_integer(inner) or pyarrow.types.is_timestamp(inner))


def leaves(schema: Any) -> list[str]:
    return [
        f"{field.name}.list.element" if pyarrow.types.is_list(field.type) else field.name for field in schema
    ]


def written_bytes(rows: Any, **options: Any) -> int:
    out = io.BytesIO()
    parquet.write_table(rows, out, compression="zstd", compression_level=ZSTD_LEVEL, **options)
    return out.tell()


def tables(facts: Facts) -> list[Table]:
    return [
        Table(
            f"{source}: {one['messages']:,} messages of depth {one['depth']}, "
            f"{one['changes']:,} level changes, "
            f"{'every change counted in the table' if one['right'] else 'CHANGES MISSING'}",
            ("kept as", "bytes a level change", "rows"),
            [
                row_of(one, "book_delta", "all columns"),
                ("zstd-3 of the JSON, blocks of 1 MiB", number(one["zstd"]), ""),
                ("JSON", number(one["json"]), ""),
                *((f"Parquet (zstd), {name}", number(size), "") for name, size in one["parquet"].items()),
                row_of(one, "bbo", "apart"),
                row_of(one, "book_snapshot", "apart"),
            ],
        )
        for source, one in facts["sources"].items()
    ]


def row_of(one: Facts, table: str, remark: str) -> tuple[str, str, str]:
    return f"{table}, {remark}", number(one["bytes"].get(table, 0)), f"{one['rows'].get(table, 0):,}"
