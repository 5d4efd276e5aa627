"""How long do decoding a frame, applying it to the book and reading the best bid and ask take?"""

import gc
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import native, peers, stream
from benchmarks.harness import Facts, Options, Spread, cores, goal, machine, pin, ratio, spawn, versions
from benchmarks.report import Table, number, spread_text

ROUNDS: Final = 5
MESSAGES: Final = 40_000
MESSAGES_MIN: Final = 100
# Deeper topics have longer messages: the number of them is divided by this.
SHORTEN: Final = {1: 1, 50: 1, 200: 2, 1000: 4}
# A process repeats the stream until it has used this much CPU time and gives the median.
TIMED_S: Final = 0.3
PASSES_MIN: Final = 3
LEVELS_CHECKED: Final = 25
REFERENCE: Final = "orjson_loads"
GOAL_DEPTH: Final = 50
# What is divided by what, the limit, and whether it is an upper one.
GOALS: Final = (
    ("tapehead_cython", "orjson_loads", 0.35, True),
    ("tapehead", "orjson_loads", 0.35, True),
    ("bisect_lists", "tapehead_cython", 8.0, False),
    ("bisect_lists", "tapehead", 8.0, False),
    ("pybit_book", "tapehead_cython", 100.0, False),
    ("pybit_book", "tapehead", 100.0, False),
)


def run(options: Options) -> Facts:
    """Check every peer at every depth, then time them in turns."""
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    messages = options.messages or (1_000 if options.quick else MESSAGES)
    conditions = machine()
    native.build()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        depths = [
            measure(depth, messages, rounds, options.quick, Path(folder))
            for depth in ((options.depth,) if options.depth else stream.DEPTHS)
        ]
    libraries = [library for name in peers.NAMES for library in peers.find(name).libraries]
    return {
        "benchmark": "book",
        "machine": conditions,
        "versions": versions(libraries),
        "rounds": rounds,
        "depths": depths,
        "goals": [found for depth in depths if depth["depth"] == GOAL_DEPTH for found in goals(depth)],
    }


def measure(depth: int, messages: int, rounds: int, quick: bool, folder: Path) -> Facts:
    specs = {}
    for name in peers.NAMES:
        count = max(MESSAGES_MIN, messages // SHORTEN[depth] // peers.find(name).shorten)
        path = folder / f"{depth}-{count}"
        if not path.exists():
            stream.save(stream.generate(depth, count), path)
        specs[name] = {
            "peer": name,
            "depth": depth,
            "stream": str(path),
            "timed_s": 0.0 if quick else TIMED_S,
        }
    checks = {name: spawn("book", {**spec, "mode": "check"}) for name, spec in specs.items()}
    times: dict[str, list[float]] = {name: [] for name in specs}
    for _ in range(rounds):
        for name, spec in specs.items():
            times[name].append(spawn("book", {**spec, "mode": "time"})["us"])
    return {
        "depth": depth,
        "frame_bytes_mean": checks[REFERENCE]["frame_bytes_mean"],
        "changes_mean": checks[REFERENCE]["changes_mean"],
        "peers": [
            {
                "name": name,
                "title": peers.find(name).title,
                "check": checks[name],
                "us_a_message": Spread.of(times[name]).facts(),
                "times_orjson_loads": ratio(times[name], times[REFERENCE]).facts(),
                "times_tapehead": ratio(times[name], times["tapehead"]).facts(),
                "rounds_us": times[name],
            }
            for name in specs
        ],
    }


def goals(facts: Facts) -> list[Facts]:
    times = {row["name"]: row["rounds_us"] for row in facts["peers"]}
    titles = {row["name"]: row["title"] for row in facts["peers"]}
    return [
        goal(
            f"{titles[upper]} / {titles[lower]}",
            ratio(times[upper], times[lower]).median,
            limit,
            at_most=at_most,
        )
        for upper, lower, limit, at_most in GOALS
    ]


def work_check(peer_class: type[peers.Peer], given: stream.Stream) -> Facts:
    """Compare the best prices after each message and the last top levels with the generator's book."""
    facts: Facts = {
        "messages": len(given.frames),
        "frame_bytes_mean": given.frame_bytes_mean,
        "changes_mean": given.changes_mean,
    }
    peer = peer_class(given.depth)
    if not peer.keeps_book:
        peer.run(given.frames)
        return {**facts, "right": True}
    best_wrong = 0
    for frame, expected in zip(given.frames, given.best, strict=True):
        peer.run([frame])
        best_wrong += peer.best() != expected
    bids, asks = peer.levels(LEVELS_CHECKED)
    levels_right = (bids, asks) == (given.levels[0][:LEVELS_CHECKED], given.levels[1][:LEVELS_CHECKED])
    return {
        **facts,
        "best_wrong": best_wrong,
        "levels_right": levels_right,
        "right": levels_right and not best_wrong,
    }


def work_time(peer_class: type[peers.Peer], frames: list[bytes], depth: int, timed_s: float) -> Facts:
    """Return the median CPU time of a pass over the frames, each pass with a new book."""
    passes: list[float] = []
    while len(passes) < PASSES_MIN or sum(passes) < timed_s:
        peer = peer_class(depth)
        gc.collect()
        start_ns = time.process_time_ns()
        peer.run(frames)
        passes.append((time.process_time_ns() - start_ns) / 1e9)
    return {"us": statistics.median(passes) / len(frames) * 1e6, "passes": len(passes)}


def work(spec: dict[str, Any]) -> Facts:
    pin(cores()[1])
    peer_class = peers.find(spec["peer"])
    folder = Path(spec["stream"])
    if spec["mode"] == "check":
        return work_check(peer_class, stream.load(folder))
    return work_time(peer_class, stream.load_frames(folder), spec["depth"], spec["timed_s"])


def tables(facts: Facts) -> list[Table]:
    return [depth_table(depth) for depth in facts["depths"]]


def depth_table(facts: Facts) -> Table:
    title = (
        f"orderbook.{facts['depth']}: {facts['changes_mean']:.1f} level changes and "
        f"{facts['frame_bytes_mean']:.0f} bytes a message"
    )
    columns = (
        "decode + apply + best bid/ask",
        "µs a message",
        "x orjson.loads",
        "x tapehead, Python",
        "messages",
        "book",
    )
    rows = [
        (
            row["title"],
            spread_text(row["us_a_message"]),
            number(row["times_orjson_loads"]["median"]),
            number(row["times_tapehead"]["median"]),
            f"{row['check']['messages']:,}",
            verdict(row["check"]),
        )
        for row in facts["peers"]
    ]
    return Table(title, columns, rows)


def verdict(check: Facts) -> str:
    if "best_wrong" not in check:
        return "none"
    if check["right"]:
        return "right"
    return f"WRONG {check['best_wrong'] / check['messages']:.1%}"
