"""A range of a database: its rows in the order of positions, as messages through the same dispatchers."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from engine.errors import ConfigError, UsageError
from recorder.archives.archive import is_import
from recorder.database.clickhouse import Database, open_server
from recorder.history.moments import iso
from recorder.queries.server import open_for_reading
from recorder.tape.bases import lay_bases, open_gaps
from recorder.tape.listeners import Gate
from recorder.tape.rows import COLUMNS, Row, select, topic_of
from recorder.tape.run import Message, TableRun

__all__ = ["TableRange"]

NAMES_TOLD_MAX: Final = 10
WINDOW_POSITIONS: Final = 10_000
WITHIN: Final = "position BETWEEN {low:UInt64} AND {high:UInt64}"
# Our own snapshots say what the deltas lead to; level 1 is nowhere else, the best of deeper books follows.
CHOSEN: Final = {"book_snapshot": " AND origin = 'venue'", "bbo": " AND depth = 1"}
BATCH: Final = (
    *("first_position", "last_position", "toUnixTimestamp64Nano(first_recv) AS first_ns"),
    "toUnixTimestamp64Nano(last_recv) AS last_ns",
)
KEYS: Final = {
    **dict.fromkeys(("book_snapshot", "book_delta", "bbo"), ("category", "symbol", "kind", "depth")),
    **dict.fromkeys(("trade", "ticker", "liquidation"), ("category", "symbol")),
    **dict.fromkeys(("notice", "gap"), ("category", "topic")),
    "kline": ("category", "symbol", "interval"),
}
TIMED: Final = tuple(table for table in COLUMNS if table != "gap")


class TableRange:
    """The rows of one recorder received in ``[start_ns, end_ns)``; None is their beginning, and their end.

    Raises UsageError where there are none, naming the range or the recorders that there are; DatabaseError.
    """

    def __init__(self, place: str | Path, recorder: str, start_ns: int | None, end_ns: int | None) -> None:
        self._place = str(place)
        self.counters: dict[str, int] = {}
        with self._open() as database:
            self._recorder = _one_recorder(database, recorder)
            parameters = {"recorder": self._recorder}
            self._batches = select(
                database, "load_batch", "1", parameters, columns=BATCH, order="first_position"
            )
            self._last = int(self._batches[-1]["last_position"])
            first = self._first_since(database, start_ns or 0)
            if first is not None and end_ns is not None:
                after = self._first_since(database, end_ns, first)
                self._last = self._last if after is None else after - 1
        if first is None or self._last < first:
            there = f"{iso(self._batches[0]['first_ns'])} to {iso(self._batches[-1]['last_ns'])}"
            raise UsageError("nothing was loaded in that range", f"give a time within {there}")
        self._first = first

    def topics(self) -> dict[str, set[str]]:
        """Return the topics, by category, of which something was loaded, at any time."""
        found: dict[str, set[str]] = {}
        with self._open() as database:
            for table, keys in KEYS.items():
                columns = ", ".join(keys)
                sql = f"SELECT DISTINCT {columns} FROM {table} WHERE recorder = {{recorder:String}}"  # noqa: S608 (our own names)
                for values in database.query(sql, {"recorder": self._recorder}):
                    row = dict(zip(keys, values, strict=True))
                    found.setdefault(row["category"], set()).add(topic_of(table, row))
        return found

    def play(self, gate: Gate, *, each: bool) -> Iterator[int]:
        """Open the gate and run the range; yields the wall clock (ns) of each record before it happens."""
        with self._open() as database:
            run = TableRun(gate)
            open_before = open_gaps(database, self._recorder, self._first)
            stale = {row["topic"] for row in open_before}
            lay_bases(database, self._recorder, self._first, run, stale)
            run.counters = dict.fromkeys(run.counters, 0)
            gate.is_open = True
            for row in open_before:
                run.open_gap(row, row["start_ns"])
            recv_ns = 0
            for _, group in groupby(self._messages(database), lambda message: message.order[0]):
                record = list(group)
                recv_ns = next(
                    (row["recv_ns"] for one in record for row in one.rows if "recv_ns" in row), recv_ns
                )
                yield recv_ns
                run.obey(record, recv_ns)
                self.counters = run.counters

    def _messages(self, database: Database) -> Iterator[Message]:
        for batch in self._batches:
            low, high = max(batch["first_position"], self._first), min(batch["last_position"], self._last)
            # A batch has records of one segment, though it begins right after the one before.
            low = max(low, high >> 32 << 32)
            for start in range(low, high + 1, WINDOW_POSITIONS):
                yield from self._window(database, start, min(start + WINDOW_POSITIONS - 1, high))

    def _window(self, database: Database, low: int, high: int) -> list[Message]:
        parameters = {"recorder": self._recorder, "low": low, "high": high}
        found: list[Message] = []
        for table in COLUMNS:
            rows = select(database, table, WITHIN + CHOSEN.get(table, ""), parameters)
            for (_, topic, *_), some in groupby(rows, lambda row: _message_of(table, row)):  # noqa: B023 (used at once)
                found.append(Message(table, topic, list(some)))
        return sorted(found, key=lambda message: message.order)

    def _first_since(self, database: Database, time_ns: int, position: int = 0) -> int | None:
        """Return the first position, from another one on, of what was received at or after a time."""
        for batch in self._batches:
            low, high = max(batch["first_position"], position), batch["last_position"]
            if batch["last_ns"] < time_ns or high < low:
                continue
            if batch["first_ns"] >= time_ns:
                return int(low)
            least = [
                database.query(
                    f"SELECT min(position) FROM {table} WHERE recorder = {{recorder:String}} AND {WITHIN}"  # noqa: S608 (our own names)
                    " AND toUnixTimestamp64Nano(recv) >= {time_ns:Int64}",
                    {"recorder": self._recorder, "low": low, "high": high, "time_ns": time_ns},
                )[0][0]
                for table in TIMED
            ]
            if any(least):
                return int(min(one for one in least if one))
        return None

    def _open(self) -> Database:
        if self._place.startswith(("http://", "https://")):
            return open_server(self._place, create=False)
        return open_for_reading(Path(self._place).parent)


def _message_of(table: str, row: Row) -> tuple[int, str, int, str]:
    return row["position"], topic_of(table, row), row.get("update_id", 0), row.get("source", "")


def _one_recorder(database: Database, recorder: str) -> str:
    known = [
        str(row[0]) for row in database.query("SELECT DISTINCT recorder FROM load_batch ORDER BY recorder")
    ]
    if not known:
        raise UsageError(f"{database.place} holds no recording", "load one first, or play the spool")
    if recorder in known:
        return recorder
    recordings = [name for name in known if not is_import(name)] or known
    if recorder or len(recordings) > 1:
        others = f" and {len(known) - NAMES_TOLD_MAX} more" if len(known) > NAMES_TOLD_MAX else ""
        there = f"the database has {', '.join(known[:NAMES_TOLD_MAX])}{others}"
        raise ConfigError("recorder", recorder, there, f"use {recordings[0]}")
    return recordings[0]
