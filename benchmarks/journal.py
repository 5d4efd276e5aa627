"""What it costs the loop thread to put a frame into the spool, while a background thread runs fdatasync.

Frames of the size of orderbook.50 go through the journal of a real spool in receive batches of several sizes:
append each, then one write. Calls come from Python, which is dearer than the compiled way of a live frame.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import Facts, Options, Spread, goal, machine, spawn, versions
from benchmarks.report import Table, number, spread_text
from ext.journal import RecordKind
from recorder.spool.reader import SpoolReader
from recorder.spool.writer import Spool

ROUNDS: Final = 5
MESSAGES: Final = 400_000
QUICK_MESSAGES: Final = 2_000
BATCHES: Final = (1, 2, 4, 8, 16)
# Frames that a read of a busy recording brings at once (the benchmark `venue` counts them).
LIVE_BATCH: Final = 2
TIMES: Final = ("frame_ns", "p50_ns", "p999_ns")
FRAME: Final = b"x" * 365
GOAL_NS: Final = 1_200.0


def run(options: Options) -> Facts:
    """Time each batch size in processes of its own, in turns."""
    messages = options.messages or (QUICK_MESSAGES if options.quick else MESSAGES)
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    conditions = machine()
    taken: dict[int, list[Facts]] = {batch: [] for batch in BATCHES}
    for _ in range(rounds):
        for batch, facts in taken.items():
            facts.append(spawn("journal", {"batch": batch, "messages": messages}))
    ways = [
        {
            "batch": batch,
            "right": all(one["right"] for one in facts),
            "syncs": sum(one["syncs"] for one in facts),
            **{name: Spread.of([one[name] for one in facts]).facts() for name in TIMES},
        }
        for batch, facts in taken.items()
    ]
    live = next(way for way in ways if way["batch"] == LIVE_BATCH)
    return {
        "benchmark": "journal",
        "machine": conditions,
        "versions": versions(["Cython"]),
        "rounds": rounds,
        "messages": messages,
        "ways": ways,
        "goals": [
            goal(f"ns a frame in batches of {LIVE_BATCH}", live["frame_ns"]["median"], GOAL_NS, at_most=True)
        ],
    }


def work(given: dict[str, Any]) -> Facts:
    batch, batches = given["batch"], given["messages"] // given["batch"]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name) / "spool"
        with Spool(folder, "benchmark", now=lambda: (time.time_ns(), time.monotonic_ns())) as spool:
            taken_ns = append(spool, batch, batches)
            syncs = spool.syncs
        right = sum(1 for record in records(folder) if record == RecordKind.FRAME) == batch * batches
    taken_ns.sort()
    return {
        "right": right,
        "syncs": syncs,
        "frame_ns": sum(taken_ns) / batches / batch,
        "p50_ns": taken_ns[batches // 2],
        "p999_ns": taken_ns[batches * 999 // 1000],
    }


def append(spool: Spool, batch: int, batches: int) -> list[int]:
    """Return what each receive batch took, ns."""
    journal, clock, kind = spool.journal, time.perf_counter_ns, int(RecordKind.FRAME)
    taken_ns = []
    for _ in range(batches):
        start_ns = clock()
        for _ in range(batch):
            journal.append_record(kind, FRAME, 1, start_ns, start_ns)
        journal.commit()
        taken_ns.append(clock() - start_ns)
        while journal.next_pending() is not None:
            continue
    return taken_ns


def records(folder: Path) -> Sequence[int]:
    kinds = []
    with SpoolReader(folder) as reader:
        while (item := reader.poll()) is not None:
            kinds.append(getattr(item, "kind", 0))
    return kinds


def tables(facts: Facts) -> list[Table]:
    return [
        Table(
            f"{facts['messages']:,} frames of {len(FRAME)} bytes into a spool, fdatasync running beside",
            ("frames a batch", "ns a frame", "batch p50, ns", "batch p99.9, ns", "syncs", "checked"),
            [
                (
                    str(way["batch"]),
                    spread_text(way["frame_ns"]),
                    number(way["p50_ns"]["median"]),
                    spread_text(way["p999_ns"]),
                    str(way["syncs"]),
                    "frames" if way["right"] else "WRONG",
                )
                for way in facts["ways"]
            ],
        )
    ]
