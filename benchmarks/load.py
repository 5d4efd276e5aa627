"""What does it cost to bring a spool into ClickHouse, beside what the engine takes?

The loader is compared with inserting the very blocks that it made, kept from a first run. What remains above
1x is reading the spool, decoding, keeping the books and building the blocks.
"""

import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import stream, tape
from benchmarks.harness import Facts, Options, Spread, goal, machine, ratio, spawn, versions
from benchmarks.report import Table, spread_text
from ext.block import Block
from recorder.database.clickhouse import Database, open_embedded
from recorder.loading.loader import Loader

ROUNDS: Final = 3
MESSAGES: Final = 5_000_000
WAYS: Final = {
    "load": "tapehead: spool to ClickHouse",
    "insert": "raw_insert of the same blocks, ready-made",
}
# A merge may begin a moment after the last one ended.
MERGE_PAUSE_S: Final = 0.2
MERGE_PAUSES: Final = 5
MERGE_S_MAX: Final = 120
BATCH_MS: Final = 600_000
CPU_GOAL: Final = 1.3
MESSAGES_PER_S_GOAL: Final = 300_000


def run(options: Options) -> Facts:
    """Write a spool, keep the blocks that the loader makes of it, then load and insert in turns."""
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    each = max(2, (options.messages or (4_000 if options.quick else MESSAGES)) // tape.SYMBOLS)
    conditions = machine()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder_name:
        folder = Path(folder_name)
        written = tape.write(folder, each)
        kept = spawn("load", {"mode": "keep", "folder": folder_name})
        taken: dict[str, list[Facts]] = {mode: [] for mode in WAYS}
        for _ in range(rounds):
            for mode, facts in taken.items():
                facts.append(spawn("load", {"mode": mode, "folder": folder_name}))
    messages, changes = each * tape.SYMBOLS, written["changes"]
    cpu = {mode: [facts["cpu_s"] for facts in rounds_] for mode, rounds_ in taken.items()}
    wall = {mode: [facts["wall_s"] for facts in rounds_] for mode, rounds_ in taken.items()}
    ratios = {"cpu": ratio(cpu["load"], cpu["insert"]), "wall": ratio(wall["load"], wall["insert"])}
    return {
        "benchmark": "load",
        "machine": conditions,
        "versions": {
            **versions(["chdb", "clickhouse-connect", "zstandard"]),
            "ClickHouse": kept["clickhouse"],
        },
        "rounds": rounds,
        "messages": messages,
        "level_changes": changes,
        "symbols": tape.SYMBOLS,
        "inserts": kept["inserts"],
        "right": kept["right"],
        "ways": [
            {
                "name": mode,
                "title": title,
                "cpu_s_per_million": Spread.of([value / messages * 1e6 for value in cpu[mode]]).facts(),
                "messages_per_wall_s": Spread.of([messages / value for value in wall[mode]]).facts(),
            }
            for mode, title in WAYS.items()
        ],
        "ratios": {name: spread.facts() for name, spread in ratios.items()},
        "goals": [
            goal(
                "spool to ClickHouse / ready-made blocks, CPU", ratios["cpu"].median, CPU_GOAL, at_most=True
            ),
            goal("messages/s", messages / median(wall["load"]), MESSAGES_PER_S_GOAL, at_most=False),
        ],
    }


class Keeper:
    """Stands between a loader and its database and keeps a copy of each insert."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.count = 0
        folder.mkdir()

    def insert(self, table: str, block: bytes | Block, token: str) -> None:
        self.database.insert(table, block, token)
        (self.folder / f"{self.count:06d}.{table}").write_bytes(block)
        self.count += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)


def load(database: Database | Keeper, folder: Path, state: Path) -> Loader:
    # By number of records alone: a slow machine makes the same batches, and so the blocks that were kept.
    inserted: Any = database
    loader = Loader(folder / "spool", inserted, tape.RECORDER, state, batch_ms=BATCH_MS)
    loader.recover()
    loader.drain()
    loader.close()
    return loader


def insert(database: Database, blocks: list[tuple[str, bytes]]) -> None:
    for count, (table, block) in enumerate(blocks):
        database.insert(table, block, f"benchmark:{count}")


def wait_for_merges(database: Database) -> None:
    deadline = time.monotonic() + MERGE_S_MAX
    quiet = 0
    while quiet < MERGE_PAUSES:
        if time.monotonic() > deadline:
            raise TimeoutError(f"merges went on for more than {MERGE_S_MAX} s")
        quiet = 0 if database.query("SELECT count() FROM system.merges")[0][0] else quiet + 1
        time.sleep(MERGE_PAUSE_S)


def books_are_right(database: Database, expected: dict[str, Any]) -> bool:
    """Compare the book of each symbol, rebuilt from the tables, with the generator's."""
    position = database.query("SELECT max(last_position) FROM load_batch")[0][0]
    return all(
        book_in_tables(database, name, position) == stream.levels_from_text(levels)
        for name, levels in expected.items()
    )


def book_in_tables(database: Database, name: str, position: int) -> stream.Levels:
    rows = database.query(
        "SELECT side, price, size FROM book_at(recorder = {recorder:String}, category = {category:String},"
        " symbol = {symbol:String}, kind = 'plain', depth = {depth:UInt16}, position = {position:UInt64})",
        {
            "recorder": tape.RECORDER,
            "category": stream.CATEGORY,
            "symbol": name,
            "depth": tape.DEPTH,
            "position": position,
        },
    )
    bids, asks = (
        [(price, size) for side, price, size in rows if side == wanted] for wanted in ("bid", "ask")
    )
    return bids, asks


def work(given_spec: dict[str, Any]) -> Facts:
    folder = Path(given_spec["folder"])
    with tempfile.TemporaryDirectory(prefix="database-", dir=folder) as place_name:
        place = Path(place_name)
        with open_embedded(place / "clickhouse") as database:
            database.create_schema()
            if given_spec["mode"] == "keep":
                return keep(database, folder, place)
            blocks = [(path.suffix[1:], path.read_bytes()) for path in sorted((folder / "blocks").iterdir())]
            wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
            if given_spec["mode"] == "load":
                load(database, folder, place)
            else:
                insert(database, blocks)
            done_ns = time.perf_counter_ns()
            wait_for_merges(database)
            return {"cpu_s": (time.process_time_ns() - cpu_ns) / 1e9, "wall_s": (done_ns - wall_ns) / 1e9}


def keep(database: Database, folder: Path, place: Path) -> Facts:
    keeper = Keeper(database, folder / "blocks")
    loader = load(keeper, folder, place)
    expected = json.loads((folder / "expected.json").read_text())
    return {
        "clickhouse": database.version,
        "inserts": keeper.count,
        "right": loader.playback.frames == expected["frames"]
        and books_are_right(database, expected["levels"]),
    }


def tables(facts: Facts) -> list[Table]:
    checked = {"load": "books" if facts["right"] else "WRONG", "insert": ""}
    cost = Table(
        f"{facts['messages']:,} messages of orderbook.{tape.DEPTH} of {facts['symbols']} symbols, "
        f"{facts['inserts']} inserts, CPU with merges",
        ("embedded ClickHouse", "CPU-s per million", "messages/s", "checked"),
        [
            (
                way["title"],
                spread_text(way["cpu_s_per_million"]),
                f"{way['messages_per_wall_s']['median']:,.0f}",
                checked[way["name"]],
            )
            for way in facts["ways"]
        ],
    )
    return [cost]
