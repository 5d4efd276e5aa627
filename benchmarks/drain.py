"""The database was away: how fast is what piled up loaded, and what does capture notice of that?

Capture records a live stream in one process, alone, and then while a loader in another one drains a spool
that piled up. The loader's rate is compared with the live rate, and the latency of capture, from a frame's
receive stamp to the callback (writing it to the spool lies in between), with that of capture alone. Nothing
but the sender is bound to a core.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import tape, venue
from benchmarks.harness import ROOT, Facts, Options, Spread, cores, goal, machine, ratio, spawn, versions
from benchmarks.report import Table, spread_text
from engine import Listener
from engine.clock import wall_ns
from ext.book import OrderBook
from recorder.config import checked
from recorder.database.clickhouse import open_embedded
from recorder.loading.loader import Loader
from recorder.loading.process import give_way
from recorder.recording.capture import Capture

ROUNDS: Final = 3
SYMBOLS: Final = 100
RATE: Final = 10_000  # messages a second, live
SECONDS: Final = 8
BACKLOG: Final = 600_000  # messages
BATCH_MS: Final = 600_000
TIMES_LIVE_MIN: Final = 5.0
LATENCY_MAX: Final = 2.0
MODES: Final = ("alone", "beside")


def run(options: Options) -> Facts:
    """Draw a stream and a backlog, then record the one with and without draining the other."""
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    rate = 500 if options.quick else RATE
    messages = 1_000 if options.quick else RATE * SECONDS
    each = max(2, (options.messages or (4_000 if options.quick else BACKLOG)) // tape.SYMBOLS)
    conditions = machine()
    taken: dict[str, list[Facts]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        venue.draw(Path(folder), SYMBOLS, messages)
        tape.write(Path(folder), each)
        for _ in range(rounds):
            for mode, facts in taken.items():
                facts.append(spawn("drain", {"mode": mode, "folder": folder, "rate": rate}))
    loaded = Spread.of([facts["loaded_per_s"] for facts in taken["beside"]])
    times_live = Spread.of([facts["loaded_per_s"] / facts["messages_per_s"] for facts in taken["beside"]])
    latency = {
        name: ratio([facts[name] for facts in taken["beside"]], [facts[name] for facts in taken["alone"]])
        for name in ("p50_us", "p99_us")
    }
    return {
        "benchmark": "drain",
        "machine": conditions,
        "versions": versions((*venue.LIBRARIES, "chdb")),
        "rounds": rounds,
        "backlog": each * tape.SYMBOLS,
        "live_per_s": rate,
        "loaded_per_s": loaded.facts(),
        "rows": [
            {
                "name": mode,
                "right": all(facts["right"] for facts in facts_),
                **{
                    name: Spread.of([facts[name] for facts in facts_]).facts()
                    for name in ("messages_per_s", "p50_us", "p99_us")
                },
            }
            for mode, facts_ in taken.items()
        ],
        "goals": [
            goal("drained / live messages", times_live.median, TIMES_LIVE_MIN, at_most=False),
            goal(
                "latency of capture beside / alone, p50", latency["p50_us"].median, LATENCY_MAX, at_most=True
            ),
            goal(
                "latency of capture beside / alone, p99", latency["p99_us"].median, LATENCY_MAX, at_most=True
            ),
        ],
    }


class Latencies(Listener):
    """When each book message was told, and how long after it was received."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.gaps = 0

    def on_book(self, book: OrderBook) -> None:
        """Keep one."""
        now_ns = wall_ns()
        self.seen.append((now_ns, now_ns - book.recv_ns))

    def on_gap(self, gap: object) -> None:
        """Nothing may be missing on loopback."""
        self.gaps += 1

    def between(self, first_ns: int, last_ns: int) -> list[int]:
        """The latencies of that time, ns."""
        return [took_ns for at_ns, took_ns in self.seen if first_ns <= at_ns <= last_ns]


async def record(spec: dict[str, Any], server: "subprocess.Popen[str]", folder: Path) -> Facts:
    """Record what the server sends; drain the backlog meanwhile, if so."""
    assert server.stdin is not None
    assert server.stdout is not None
    listener = Latencies()
    names = venue.symbol_names(SYMBOLS)
    config = checked(
        data=folder,
        url=f"ws://127.0.0.1:{server.stdout.readline().strip()}",
        rest_url=venue.NO_REST,
        market=[{"category": "linear", "symbols": names, "book": [50], "companion": True}],
    )
    capture = Capture(config, listener)
    stop = asyncio.Event()
    recording = asyncio.create_task(capture.run(stop, lambda: None, needs_network=False))
    await venue.until(lambda: capture.feed is not None and venue.live(capture.feed, names))
    loader = await begin_loader(spec) if spec["mode"] == "beside" else None
    listener.seen.clear()
    server.stdin.write("go\n")
    server.stdin.flush()
    first_ns = wall_ns()
    drained: Facts = {"begun_ns": first_ns, "ended_ns": sys.maxsize, "per_s": 0.0, "right": True}
    if loader is not None:
        drained = await drain_beside(loader)
    sent = json.loads(await asyncio.to_thread(server.stdout.readline))
    took = listener.between(drained["begun_ns"], drained["ended_ns"])
    cuts = statistics.quantiles(took, n=100)
    stop.set()
    await recording
    return {
        "right": not listener.gaps and drained["right"],
        "messages_per_s": sent["sent"] / sent["seconds"],
        "loaded_per_s": drained["per_s"],
        "p50_us": cuts[49] / 1e3,
        "p99_us": cuts[98] / 1e3,
    }


async def begin_loader(spec: dict[str, Any]) -> asyncio.subprocess.Process:
    """Start the draining process; it has opened its database when this returns."""
    loader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.worker", "drain"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert loader.stdin is not None
    assert loader.stdout is not None
    loader.stdin.write(json.dumps({**spec, "mode": "drain"}).encode())
    loader.stdin.write_eof()
    await loader.stdout.readline()
    return loader


async def drain_beside(loader: asyncio.subprocess.Process) -> Facts:
    """Wait until it has drained the backlog; return what it says."""
    assert loader.stdout is not None
    told: Facts = json.loads(await loader.stdout.readline())
    await loader.wait()
    return told


def drain(folder: Path) -> Facts:
    """Load the backlog as a loader does that comes back to its database."""
    give_way()
    expected = json.loads((folder / "expected.json").read_text())
    with tempfile.TemporaryDirectory(prefix="database-", dir=folder) as place_name:
        place = Path(place_name)
        with open_embedded(place / "clickhouse") as database:
            database.create_schema()
            loader = Loader(folder / "spool", database, tape.RECORDER, place, batch_ms=BATCH_MS)
            loader.recover()
            sys.stdout.write('{"begun": true}\n')
            sys.stdout.flush()
            begun_ns, start = wall_ns(), time.perf_counter_ns()
            loader.drain()
            took_s = (time.perf_counter_ns() - start) / 1e9
            loader.close()
            return {
                "begun_ns": begun_ns,
                "ended_ns": wall_ns(),
                "per_s": loader.playback.frames / took_s,
                "right": loader.playback.frames == expected["frames"],
            }


def work(spec: dict[str, Any]) -> Facts:
    """Be the recording process, or the draining one."""
    folder = Path(spec["folder"])
    if spec["mode"] == "drain":
        return drain(folder)
    sending_core, _ = cores()
    where = (spec["folder"], str(sending_core), str(spec["rate"]))
    command = [sys.executable, "-m", "benchmarks.venue_server", *where]
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-drain-") as data,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as server,
    ):
        try:
            return uvloop.run(record(spec, server, Path(data)))
        finally:
            server.terminate()


def tables(facts: Facts) -> list[Table]:
    """What is shown."""
    title = (
        f"capture at {facts['live_per_s']:,} messages/s, alone and beside a loader that drains "
        f"{facts['backlog']:,} messages at {facts['loaded_per_s']['median']:,.0f}/s"
    )
    columns = ("capture", "messages/s", "p50 us", "p99 us", "checked")
    rows = [
        (
            row["name"],
            f"{row['messages_per_s']['median']:,.0f}",
            spread_text(row["p50_us"]),
            spread_text(row["p99_us"]),
            "no gap, all loaded" if row["right"] else "WRONG",
        )
        for row in facts["rows"]
    ]
    return [Table(title, columns, rows)]
