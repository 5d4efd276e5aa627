"""How much room and how much of a core a recording takes: bytes and CPU time a message, by where they go.

The stream is that of `venue`: books of depth 50, level 1 beside them and trades, a few symbols much busier
than the rest. It is recorded, its segments are compressed as the keeper does, and loaded; tables are merged
before they are weighed. What capture takes is measured by `venue`.
"""

import random
import re
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import tape, venue, venue_server
from benchmarks.harness import Facts, Options, machine, spawn, versions
from benchmarks.report import Table, number
from recorder.config import SpoolOptions
from recorder.database.clickhouse import Database, open_embedded
from recorder.loading.loader import Loader
from recorder.spool.keeper import Keeper
from recorder.spool.seals import read_seal
from recorder.spool.segments import segments
from recorder.spool.writer import Spool
from recorder.sql import TABLES

MESSAGES: Final = 400_000
QUICK_MESSAGES: Final = 4_000
SYMBOLS: Final = 100
RATE: Final = venue.RATE * SYMBOLS // venue.SYMBOLS  # messages a second of so many symbols
SEGMENT_BYTES: Final = 16 << 20
QUICK_SEGMENT_BYTES: Final = 256 << 10
BATCH_MS: Final = 600_000
LATENCY_MS: Final = (2, 40)  # of a frame, from its `ts` until it is received
DAY_S: Final = 86_400
GB: Final = 10**9
# Messages a second, of so many symbols, that the second table is of.
CASES: Final = (
    ("one busy symbol", 200),
    ("100 symbols as above", RATE),
    ("600 symbols, as `venue` records", venue.RATE),
)
_TIMES: Final = re.compile(rb'"(ts|cts|T)":\d+')


def run(options: Options) -> Facts:
    """Record, compress, load and weigh."""
    messages = options.messages or (QUICK_MESSAGES if options.quick else MESSAGES)
    conditions = machine()
    segment_bytes = QUICK_SEGMENT_BYTES if options.quick else SEGMENT_BYTES
    facts = spawn("sizing", {"messages": messages, "segment_bytes": segment_bytes})
    return {
        "benchmark": "sizing",
        "machine": conditions,
        "versions": versions(["chdb", "zstandard"]),
        "rounds": 1,
        "messages": messages,
        "goals": [],
        **facts,
    }


def work(given: dict[str, Any]) -> Facts:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        json_bytes, frames = record(folder, given["messages"], given["segment_bytes"])
        spool = folder / "spool"
        raw = sum(segment.bytes for segment in segments(spool) if segment.is_started)
        begun = time.process_time()
        keeper = Keeper(spool, SpoolOptions())
        while keeper.step():
            continue
        keeping_s = time.process_time() - begun
        with open_embedded(folder / "clickhouse") as database:
            database.create_schema()
            begun = time.process_time()
            loader = Loader(spool, database, tape.RECORDER, folder, batch_ms=BATCH_MS)
            loader.recover()
            loader.drain()
            loader.close()
            rows, sizes = weigh(database)
            loading_s = time.process_time() - begun
        return {
            "frames": frames,
            "json": json_bytes / frames,
            "spool": raw / frames,
            "compressed": raw * compressed_share(spool) / frames,
            "tables": {table: size / frames for table, size in sizes.items()},
            "rows": rows,
            "keeper_us": keeping_s / frames * 1e6,
            "loader_us": loading_s / frames * 1e6,
        }


def record(folder: Path, messages: int, segment_bytes: int) -> tuple[int, int]:
    """Write what `venue` would send into a spool, with times that fit its rate; return bytes and frames."""
    venue.draw(folder, SYMBOLS, messages)
    arriving = [
        *venue_server.load(folder / venue_server.FIRST_FILE),
        *venue_server.load(folder / venue_server.FRAMES_FILE),
    ]
    step_ns = 10**9 // RATE
    rng = random.Random(venue.SEED)
    total = 0
    clock = (tape.START_NS, tape.START_NS)
    with Spool(folder / "spool", tape.RECORDER, now=lambda: clock, segment_bytes=segment_bytes) as spool:
        writer = tape.Tape(
            spool, [f"{kind}.{name}" for name in venue.symbol_names(SYMBOLS) for kind in venue.SHARES]
        )
        for index, (_, frame) in enumerate(arriving):
            recv_ns = tape.START_NS + index * step_ns + rng.randint(0, step_ns)
            timed = at(frame, recv_ns // tape.NS_PER_MS - rng.randint(*LATENCY_MS))
            writer.append(timed, recv_ns)
            total += len(timed)
        writer.commit()
    return total, len(arriving)


def at(frame: bytes, ts_ms: int) -> bytes:
    """The frame as sent at that time; what it tells of happened 1 ms before."""
    return _TIMES.sub(lambda match: b'"%b":%d' % (match[1], ts_ms - (match[1] != b"ts")), frame)


def compressed_share(spool: Path) -> float:
    """What is left of a segment, by those that are compressed."""
    seals = [read_seal(spool, segment.number) for segment in segments(spool)]
    done = [seal for seal in seals if seal is not None and seal.compressed_bytes]
    return sum(seal.compressed_bytes for seal in done) / max(1, sum(seal.bytes for seal in done))


def weigh(database: Database) -> tuple[dict[str, int], dict[str, int]]:
    """Rows and bytes on disk by table, all merged."""
    for table in TABLES:
        database.command(f"OPTIMIZE TABLE {table} FINAL")
    found = database.query(
        "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts"
        " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY 3 DESC"
    )
    return {table: rows for table, rows, _ in found}, {table: size for table, _, size in found}


def tables(facts: Facts) -> list[Table]:
    frames = facts["frames"]
    database = sum(facts["tables"].values())
    kinds = ", ".join(f"{share}% {kind}" for kind, share in venue.SHARES.items())
    weighed = [
        ("JSON as received", number(facts["json"]), ""),
        ("spool", number(facts["spool"]), ""),
        ("spool, compressed", number(facts["compressed"]), ""),
        ("database", number(database), ""),
        *(
            (f"- {table}", number(size), f"{facts['rows'][table] / frames:.2f}")
            for table, size in facts["tables"].items()
            if size >= 0.01
        ),
    ]
    cases = []
    for name, rate in CASES:
        sizes = (facts["spool"], facts["compressed"], database)
        gigabytes = [number(size * rate * DAY_S / GB) for size in sizes]
        cores = [f"{facts[key] * rate / 1e6:.3f}" for key in ("keeper_us", "loader_us")]
        cases.append((name, f"{rate:,}", *gigabytes, *cores))
    return [
        Table(f"{frames:,} messages: {kinds}", ("kept as", "bytes a message", "rows a message"), weighed),
        Table(
            "GB a day, and shares of a core",
            (
                "recorded",
                "messages/s",
                "spool",
                "spool, compressed",
                "database",
                "keeper",
                "loader and ClickHouse",
            ),
            cases,
        ),
    ]
