"""`python -m benchmarks NAME`: run one benchmark, show its table, with --json one JSON object last."""

import argparse
import json
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import report, stream
from benchmarks.harness import BenchmarkError, Options

BENCHMARKS: Final = {
    "book": "decode + apply + best bid/ask of a book topic, against orjson, plain Python books and pybit",
    "wire": "loopback websocket to book: CPU of the receiving process",
    "load": "spool to ClickHouse, against inserting the same blocks ready-made",
    "space": "bytes per level change of our tables, of compressed JSON and of Parquet of the same rows",
    "sizing": "bytes and CPU time a message by spool, table and process: GB a day and cores of a recording",
    "journal": "what a frame costs on its way into the spool, with fdatasync running",
    "drain": "what piled up while the database was away: how fast it is loaded, what capture notices of it",
    "venue": "recording 600 symbols at 10,000 messages a second: share of a core, share of the companion",
    "sql_beside": "an insert beside heavy queries, against one alone",
    "book_at": "a book at a time, on a day of one symbol, against the view",
    "tick_to_order": "book frame to order frame over loopback sockets, beside a bare echo and pybit",
    "kernels": "instructions a message of the hot kernels, counted by valgrind: free of noise",
}


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"was {value}, must be at least 1")
    return value


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the core and the recorder. docs/benchmarks.md says what the numbers mean.",
        epilog="\n".join(f"{name:8} {text}" for name, text in BENCHMARKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=positive, help="interleaved rounds (processes per library)")
    parser.add_argument("--messages", type=positive, help="messages of the longest stream")
    parser.add_argument("--depth", type=int, choices=stream.DEPTHS, help="this depth alone (book, kernels)")
    parser.add_argument("--quick", action="store_true", help="tiny inputs: shows that it works, not how fast")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into a Markdown page")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    benchmark = import_module(f"benchmarks.{given.name}")
    try:
        facts = benchmark.run(Options(given.rounds, given.messages, given.depth, given.quick))
    except BenchmarkError as error:
        sys.exit(f"benchmark {given.name}: {error}")
    tables = benchmark.tables(facts)
    report.show(facts, tables, Console(width=None if Console().is_terminal else 140))
    if given.write:
        text = report.markdown(facts, tables, datetime.now(UTC).date().isoformat())
        report.write_between_marks(given.write, given.name, text)
    if given.json:
        print(json.dumps(facts))


if __name__ == "__main__":
    main()
