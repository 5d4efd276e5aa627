"""How much longer does an insert take beside heavy queries, as many as are admitted at once?

Blocks of book deltas are inserted, in turns with nothing beside them and with queries that take all they
can get: a sort, a join that fills its memory, a scan of what is recorded.
"""

import itertools
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from benchmarks import stream
from benchmarks.harness import Facts, Options, Spread, goal, machine, ratio, spawn, versions
from benchmarks.report import Table, number, spread_text
from ext.columns import Columns
from ext.dispatch import Dispatcher
from recorder.database.clickhouse import Database, open_embedded
from recorder.queries.server import CONCURRENT_MAX, QueryServer
from recorder.sql import schema

ROUNDS: Final = 5
MESSAGES: Final = 10_000
INSERTS: Final = 8
DEPTH: Final = 50
FIRST_POSITION: Final = (1 << 32) + 1
NS_PER_MS: Final = 1_000_000
# Two queries and the insert on two cores, and merges beside: what an equal share leaves.
GOAL: Final = 4.0
HEAVY: Final = (
    "SELECT sipHash64(number) AS x FROM numbers(200000000) ORDER BY x LIMIT 1 OFFSET 100000000",
    "SELECT count() FROM numbers(200000) AS a, numbers(200000) AS b WHERE sipHash64(a.number, b.number) = 1",
    "SELECT uniqExact(bid_prices, ask_prices, number) FROM book_delta, numbers(1000)",
)
WAYS: Final = {"idle": "nothing beside", "beside": f"{CONCURRENT_MAX} heavy queries beside"}


def run(options: Options) -> Facts:
    """Insert in turns, in a process of its own."""
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    messages = options.messages or (1_000 if options.quick else MESSAGES)
    conditions = machine()
    facts = spawn("sql_beside", {"rounds": rounds, "messages": messages})
    ratios = ratio(facts["ms"]["beside"], facts["ms"]["idle"])
    return {
        "benchmark": "sql_beside",
        "machine": conditions,
        "versions": {**versions(["chdb", "clickhouse-connect"]), "ClickHouse": facts["clickhouse"]},
        "rounds": rounds,
        "messages": messages,
        "queries": facts["queries"],
        "ways": [
            {
                "name": name,
                "title": title,
                "ms": Spread.of(facts["ms"][name]).facts(),
                "worst_ms": max(facts["worst_ms"][name]),
            }
            for name, title in WAYS.items()
        ],
        "ratio": ratios.facts(),
        "goals": [goal("insert beside heavy queries / alone", ratios.median, GOAL, at_most=True)],
    }


class Queries:
    """An endpoint, and clients that ask it heavy questions one after another while it is entered."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.asked = 0
        self._server = QueryServer(database, folder)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(first,), daemon=True) for first in range(CONCURRENT_MAX)
        ]

    def __enter__(self) -> "Queries":
        self._server.start()
        for thread in self._threads:
            thread.start()
        while self._server.counters["queries"] < CONCURRENT_MAX:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.close()
        for thread in self._threads:
            thread.join()
        self.asked = self._server.counters["queries"]

    def _ask(self, first: int) -> None:
        for turn in itertools.count(first):
            if self._over.is_set():
                return
            try:
                with urlopen(self._server.address, HEAVY[turn % len(HEAVY)].encode(), timeout=90) as answer:
                    answer.read()
            except (HTTPError, URLError, ConnectionError) as error:
                # It came to its limits, or the endpoint is closing.
                if isinstance(error, HTTPError):
                    error.read()


def blocks(messages: int, count: int) -> list[dict[str, bytes]]:
    """Draw blocks as a loader makes them, by table."""
    rows = Columns("benchmark", schema())
    dispatcher = Dispatcher(stream.CATEGORY, rows)
    source = stream.Market(DEPTH, 1).frames()
    made = []
    for index in range(messages * count):
        recv_ns = (stream.START_TS_MS + index * stream.INTERVAL_MS[DEPTH]) * NS_PER_MS
        dispatcher.feed(next(source)[0], recv_ns, 0, FIRST_POSITION + index)
        if index % messages == messages - 1:
            made.append({table: bytes(block) for table, (_, block) in rows.take().items()})
    return made


def work(given: dict[str, Any]) -> Facts:
    made = blocks(given["messages"], INSERTS)
    ms: dict[str, list[float]] = {name: [] for name in WAYS}
    worst: dict[str, list[float]] = {name: [] for name in WAYS}
    with (
        tempfile.TemporaryDirectory(prefix="sql-") as folder,
        open_embedded(Path(folder, "data")) as database,
    ):
        database.create_schema()
        insert(database, made)  # the first one finds nothing prepared
        asked = 0
        for _ in range(given["rounds"]):
            for name in WAYS:
                if name == "beside":
                    with Queries(database, Path(folder)) as queries:
                        taken = insert(database, made)
                    asked += queries.asked
                else:
                    taken = insert(database, made)
                ms[name].append(sum(taken) / len(taken))
                worst[name].append(max(taken))
        return {"clickhouse": database.version, "ms": ms, "worst_ms": worst, "queries": asked}


def insert(database: Database, made: list[dict[str, bytes]]) -> list[float]:
    """Insert all blocks; returns the ms that each took, with its tables."""
    taken = []
    for by_table in made:
        begin_ns = time.perf_counter_ns()
        for table, block in by_table.items():
            database.insert(table, block, "")
        taken.append((time.perf_counter_ns() - begin_ns) / 1e6)
    return taken


def tables(facts: Facts) -> list[Table]:
    return [
        Table(
            f"inserts of {facts['messages']:,} messages of orderbook.{DEPTH}; {facts['queries']} queries",
            ("", "ms an insert", "the longest"),
            [(way["title"], spread_text(way["ms"]), number(way["worst_ms"])) for way in facts["ways"]],
        )
    ]
