"""How many instructions does a message take? Counted by valgrind: a noisy machine gives the same numbers.

Each kernel runs twice in a process of its own, over fewer and over more messages of the same file; the
difference of the two counts leaves out the start of Python, the snapshot and all else that happens once.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks import native, peers, stream
from benchmarks.harness import BenchmarkError, Facts, Options, machine, spawn, versions
from benchmarks.report import Table

MESSAGES: Final = 3_000
MESSAGES_FEW: Final = 500
DEPTHS: Final = (50, 200, 1000)
KERNELS: Final = ("orjson_loads", "tapehead_cython", "tapehead", "bisect_lists")
TOTALS: Final = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def run(options: Options) -> Facts:
    """Count every kernel at every depth, once: counts vary by a few per mille only."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise BenchmarkError("valgrind was not found; install it (Debian: apt-get install valgrind)")
    more = options.messages or (MESSAGES_FEW * 2 if options.quick else MESSAGES)
    if more <= MESSAGES_FEW:
        raise BenchmarkError(f"messages was {more}; the difference needs more than {MESSAGES_FEW}")
    conditions = machine()
    native.build()
    depths = (options.depth,) if options.depth else DEPTHS[:1] if options.quick else DEPTHS
    rows = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for depth in depths:
            path = Path(folder, str(depth))
            stream.save(stream.generate(depth, more), path)
            for name in KERNELS:
                few, many = (
                    count(
                        valgrind,
                        Path(folder),
                        {"peer": name, "depth": depth, "stream": str(path), "messages": n},
                    )
                    for n in (MESSAGES_FEW, more)
                )
                row: Facts = {"depth": depth, "name": name, "title": peers.find(name).title}
                rows.append(row | {"instructions_a_message": (many - few) / (more - MESSAGES_FEW)})
    return {
        "benchmark": "kernels",
        "machine": conditions,
        "versions": versions([library for name in KERNELS for library in peers.find(name).libraries]),
        "rounds": 1,
        "messages": more - MESSAGES_FEW,
        "depths": depths,
        "kernels": rows,
        "goals": [],
    }


def count(valgrind: str, folder: Path, spec: Facts) -> int:
    output = folder / "callgrind.out"
    spawn("kernels", spec, prefix=(valgrind, "--quiet", "--tool=callgrind", f"--callgrind-out-file={output}"))
    found = TOTALS.search(output.read_text())
    if found is None:
        raise BenchmarkError(f"{output} has no line of totals; use a newer valgrind (3.13 writes it)")
    return int(found[1])


def work(spec: dict[str, Any]) -> Facts:
    frames = stream.load_frames(Path(spec["stream"]))[: spec["messages"]]
    peers.find(spec["peer"])(spec["depth"]).run(frames)
    return {"messages": len(frames)}


def tables(facts: Facts) -> list[Table]:
    columns = ("decode + apply + best bid/ask", *(f"orderbook.{depth}" for depth in facts["depths"]))
    counts = {(row["name"], row["depth"]): row["instructions_a_message"] for row in facts["kernels"]}
    rows = [
        (peers.find(name).title, *(f"{counts[name, depth]:,.0f}" for depth in facts["depths"]))
        for name in KERNELS
    ]
    return [Table(f"instructions a message, mean of {facts['messages']:,}", columns, rows)]
