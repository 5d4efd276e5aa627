"""How long does a book at a time take, on a day of one symbol?

A day of depth 50 at 10 messages a second is in the tables; two hours of it are drawn and written by the code
that loads a spool, and the others are copies of these with later times, positions and update ids.
"""

import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import stream
from benchmarks.harness import BenchmarkError, Facts, Options, Spread, goal, machine, spawn, versions
from benchmarks.report import Table, spread_text
from ext.columns import Columns
from ext.dispatch import Dispatcher
from recorder.database.clickhouse import Database, open_embedded
from recorder.history.books import book_at
from recorder.history.moments import Moment
from recorder.sql import columns, schema
from recorder.verify import book_at as by_view

ROUNDS: Final = 15
MESSAGES: Final = 864_000
COPIES: Final = 12
DEPTH: Final = 50
RECORDER: Final = "benchmark"
STEP_MS: Final = 100
LATENCY_MS: Final = 7
NS_PER_MS: Final = 1_000_000
INSERT_MESSAGES: Final = 10_000
BATCH_MESSAGES: Final = 100
FIRST_POSITION: Final = (1 << 32) + 1
BOOK_TABLES: Final = ("book_delta", "book_snapshot", "bbo")
GOAL_MS: Final = 50
WAYS: Final = {
    "recv": "book_at, at a time of ours",
    "cts": "book_at, at a time of the matching engine",
    "position": "book_at, after a record",
    "view": "the view book_at, after a record",
}


def run(options: Options) -> Facts:
    """Build the day, hold books at random times against the generator's, then take times in turns."""
    messages = options.messages or (24_000 if options.quick else MESSAGES)
    rounds = options.rounds or (2 if options.quick else ROUNDS)
    conditions = machine()
    facts = spawn("book_at", {"messages": messages, "rounds": rounds})
    if not facts["right"]:
        raise BenchmarkError("a book was not the generator's: its time would mean nothing")
    return {
        "benchmark": "book_at",
        "machine": conditions,
        "versions": {**versions(["chdb", "clickhouse-connect"]), "ClickHouse": facts["clickhouse"]},
        "rounds": rounds,
        **{name: facts[name] for name in ("messages", "snapshots", "checked", "build_s")},
        "ways": [
            {"name": name, "title": title, "ms": Spread.of(facts["ms"][name]).facts()}
            for name, title in WAYS.items()
        ],
        "goals": [
            goal(f"ms for a book, {name}", Spread.of(facts["ms"][name]).median, GOAL_MS, at_most=True)
            for name in ("recv", "cts", "position")
        ],
    }


class Day:
    """Messages in the tables, and what the book must be after those that will be asked for."""

    def __init__(self, database: Database, messages: int, asked: int) -> None:
        self.database = database
        self.each = max(INSERT_MESSAGES // 10, messages // COPIES)
        self.market = stream.Market(DEPTH, 1)
        self.market.ts_ms = stream.START_TS_MS // 86_400_000 * 86_400_000
        self.start_ms = self.market.ts_ms
        rng = random.Random(2)
        self.asked = sorted(rng.sample(range(self.each), asked))
        self.expected: dict[int, stream.Levels] = {}

    def build(self) -> None:
        """Fill the tables."""
        self.database.create_schema()
        rows = Columns(RECORDER, schema())
        dispatcher = Dispatcher(stream.CATEGORY, rows)
        source = self.market.frames()
        asked = set(self.asked)
        for number in range(self.each):
            frame, _ = next(source)
            dispatcher.feed(frame, (self.market.ts_ms + LATENCY_MS) * NS_PER_MS, 0, FIRST_POSITION + number)
            if number in asked:
                self.expected[number] = self.market.levels()
            self.market.ts_ms += STEP_MS - stream.INTERVAL_MS[DEPTH]
            if number % INSERT_MESSAGES == INSERT_MESSAGES - 1 or number == self.each - 1:
                for table, (_, block) in rows.take().items():
                    self.database.insert(table, block, "")
        for copy in range(1, COPIES):
            for table in BOOK_TABLES:
                self._copy(table, copy)
        self._commit()

    def _copy(self, table: str, copy: int) -> None:
        later = {
            "recv": f"recv + toIntervalMillisecond({copy * self.each * STEP_MS})",
            "position": f"position + {copy * self.each}",
            "update_id": f"update_id + {copy * self.each}",
        }
        names = [name for name, _ in columns(table)]
        inserted = ", ".join(f"`{name}`" for name in names)
        chosen = ", ".join(later.get(name, f"`{name}`") for name in names)
        last = FIRST_POSITION + self.each
        self.database.command(
            f"INSERT INTO {table} ({inserted}) SELECT {chosen} FROM {table} WHERE position < {last}"
        )

    def _commit(self) -> None:
        batches = self.each * COPIES // BATCH_MESSAGES
        batch_ms = BATCH_MESSAGES * STEP_MS
        self.database.command(
            "INSERT INTO load_batch (recorder, segment, first_position, last_position, first_recv, last_recv)"
            f" SELECT '{RECORDER}', 1, {FIRST_POSITION} + number * {BATCH_MESSAGES},"
            f" {FIRST_POSITION} + (number + 1) * {BATCH_MESSAGES} - 1,"
            f" fromUnixTimestamp64Milli({self.start_ms + LATENCY_MS} + number * {batch_ms}),"
            f" fromUnixTimestamp64Milli({self.start_ms + LATENCY_MS} + (number + 1) * {batch_ms})"
            f" FROM numbers({batches})"
        )

    def moment(self, number: int, copy: int) -> tuple[int, int]:
        """Position and recv, in ns, of a message."""
        message = copy * self.each + number
        return FIRST_POSITION + message, (self.start_ms + message * STEP_MS + LATENCY_MS) * NS_PER_MS


def work(given: dict[str, Any]) -> Facts:
    rounds: int = given["rounds"]
    with tempfile.TemporaryDirectory(prefix="book-") as folder, open_embedded(Path(folder)) as database:
        started = time.perf_counter()
        day = Day(database, given["messages"], 2 * rounds)
        day.build()
        build_s = time.perf_counter() - started
        rng = random.Random(3)
        times: dict[str, list[float]] = {name: [] for name in WAYS}
        right = True
        for number in day.asked:
            position, recv_ns = day.moment(number, rng.randrange(COPIES))
            # Before the next message, by either clock: its cts is at least that much later.
            between_ns = recv_ns + (STEP_MS - LATENCY_MS - 5) * NS_PER_MS
            asks: dict[str, Callable[[], object]] = {
                "recv": partial(levels, database, Moment(ns=between_ns)),
                "cts": partial(levels, database, Moment(ns=between_ns - LATENCY_MS * NS_PER_MS), "cts"),
                "position": partial(levels, database, Moment(position=position)),
                "view": partial(by_view, database, RECORDER, stream.CATEGORY, stream.SYMBOL, DEPTH, position),
            }
            for name, ask in asks.items():
                begin_ns = time.perf_counter_ns()
                found = ask()
                times[name].append((time.perf_counter_ns() - begin_ns) / 1e6)
                right = right and found == day.expected[number]
        [(messages,)] = database.query("SELECT count() FROM book_delta")
        [(snapshots,)] = database.query("SELECT count() FROM book_snapshot")
        return {
            "clickhouse": database.version,
            "right": right,
            "checked": len(day.asked) * len(WAYS),
            "messages": messages,
            "snapshots": snapshots,
            "build_s": round(build_s, 1),
            # The first half found the caches cold.
            "ms": {name: values[rounds:] for name, values in times.items()},
        }


def levels(database: Database, at: Moment, clock: str = "recv") -> stream.Levels:
    found = book_at(database, stream.SYMBOL, at, clock=clock)
    return list(found.bids), list(found.asks)


def tables(facts: Facts) -> list[Table]:
    return [
        Table(
            f"{facts['messages']:,} messages of orderbook.{DEPTH} of one symbol, {facts['snapshots']:,} whole"
            f" books; {facts['checked']} books equal to the generator's",
            ("a book", "ms"),
            [(way["title"], spread_text(way["ms"])) for way in facts["ways"]],
        )
    ]
