"""What the tables say of how good a recording is: the SQL of each number that `quality` shows."""

import re
from collections import Counter, defaultdict
from typing import Final

from recorder.database.clickhouse import Database
from recorder.intervals import Interval
from recorder.tape.rows import topic_of
from recorder.verify.problems import Problem
from recorder.verify.quality import LEVELS, GapSpan, Latency, Topic
from recorder.verify.selection import DAY_NS, Selection, day_name
from recorder.verify.tables import CHECKED, Range, place
from recorder.verify.watch import LAG_MS_MAX

__all__ = [
    "GAPS",
    "batch_problems",
    "gap_spans",
    "histogram",
    "last_ns",
    "latencies",
    "loaded_segments",
    "mark_of",
    "positions",
    "rates",
    "recorders",
    "row_counts",
    "steps",
    "topic_spans",
]

DaySymbol = tuple[int, str, str]

_DAY: Final = f"intDiv(toUnixTimestamp64Nano(recv), {DAY_NS})"
_RANGE: Final = "recorder = {recorder:String} AND position BETWEEN {low:UInt64} AND {high:UInt64}"
_TTL: Final = re.compile(r"toIntervalDay\((\d+)\)(?! TO VOLUME)")

GAPS: Final = (
    "SELECT category, topic, cause, fault, toUnixTimestamp64Nano(start), toUnixTimestamp64Nano(end), missing,"
    " detail FROM gaps WHERE {where} ORDER BY start, topic"
)
# Messages as they came live: of books, and of trades, whose time is that of the matching engine.
_LAGS: Final = (
    "SELECT category, symbol, recv, least(greatest(ts_lag_ms, -{most}), {most}) AS of_ts,"
    " least(greatest(ts_lag_ms + {cts}, -{most}), {most}) AS of_cts FROM {table}"
    " WHERE recorder = {{recorder:String}} AND position <= {{mark:UInt64}} AND source = 'live'"
    " AND {only} AND {where}"
)
_SOURCES: Final = (
    ("book_delta", "cts_lag_ms", "kind IN ('plain', 'full')"),
    ("book_snapshot", "cts_lag_ms", "kind IN ('plain', 'full') AND origin = 'venue'"),
    ("bbo", "cts_lag_ms", "depth = 1"),
    ("trade", "time_lag_ms", "1"),
)


def mark_of(database: Database, recorder: str) -> int:
    """Return the position up to which a recorder is loaded."""
    rows = database.query(
        "SELECT max(last_position) FROM load_batch WHERE recorder = {recorder:String}", {"recorder": recorder}
    )
    return int(rows[0][0])


def last_ns(database: Database, recorder: str, mark: int) -> int:
    """Return the wall clock of the last record up to the commit mark."""
    rows = database.query(
        "SELECT toUnixTimestamp64Nano(max(last_recv)) FROM load_batch WHERE recorder = {recorder:String}"
        " AND last_position <= {mark:UInt64}",
        {"recorder": recorder, "mark": mark},
    )
    return int(rows[0][0])


def positions(database: Database, recorder: str, mark: int, selection: Selection) -> tuple[int, int]:
    """Return the first and the last position of the batches that have something of what is looked at."""
    rows = database.query(
        "SELECT min(first_position), max(last_position) FROM load_batch WHERE recorder = {recorder:String}"
        " AND last_position <= {mark:UInt64} AND toUnixTimestamp64Nano(last_recv) >= {start:Int64}"
        " AND toUnixTimestamp64Nano(first_recv) < {end:Int64}",
        {"recorder": recorder, "mark": mark, "start": selection.start_ns, "end": selection.end_ns},
    )
    return int(rows[0][0]), int(rows[0][1])


def recorders(database: Database) -> list[str]:
    """Return the recorders that have something in a database."""
    return [str(row[0]) for row in database.query("SELECT DISTINCT recorder FROM load_batch ORDER BY 1")]


def loaded_segments(database: Database, recorder: str) -> list[int]:
    """Return the segments of which something was loaded."""
    rows = database.query(
        "SELECT DISTINCT segment FROM load_batch WHERE recorder = {recorder:String} AND records > 0",
        {"recorder": recorder},
    )
    return [int(row[0]) for row in rows]


def gap_spans(database: Database, recorder: str, mark: int, selection: Selection) -> list[GapSpan]:
    """Return the gaps that lie, or are open, within what is looked at, in their order."""
    symbols = Selection(symbols=selection.symbols).where("arrayElement(splitByChar('.', topic), -1)", "start")
    ends = f"ifNull(toUnixTimestamp64Nano(end), {selection.end_ns}) >= {selection.start_ns}"
    begins = f"toUnixTimestamp64Nano(start) < {selection.end_ns}"
    where = f"recorder = {{recorder:String}} AND {symbols} AND {ends} AND {begins}"
    where += " AND opened_position <= {mark:UInt64}"
    values = {"recorder": recorder, "mark": mark}
    return [GapSpan(*row) for row in database.query(GAPS.format(where=where), values)]


def row_counts(
    database: Database, recorder: str, mark: int, selection: Selection
) -> dict[DaySymbol, dict[str, int]]:
    """Return the rows of each table by day and symbol; our own snapshots are rows as well."""
    found: dict[DaySymbol, dict[str, int]] = defaultdict(dict)
    for name, table in CHECKED.items():
        if table.symbol != "symbol":
            continue
        rows = database.query(
            f"SELECT intDiv(toUnixTimestamp64Nano({table.time}), {DAY_NS}), category, symbol, count()"  # noqa: S608  # names of ours
            f" FROM {name} WHERE {_RANGE} AND {selection.where('symbol', table.time)} GROUP BY 1, 2, 3",
            Range(recorder, 0, mark)._asdict(),
        )
        for day, category, symbol, count in rows:
            found[int(day), str(category), str(symbol)][name] = int(count)
    return found


def topic_spans(
    database: Database, recorder: str, mark: int, selection: Selection, until_ns: int
) -> dict[Topic, list[Interval]]:
    """Return from when to when there are rows of each topic: what was wanted, as far as tables can tell.

    ``until_ns``: what is still going on is taken to be wanted up to here.
    """
    found: dict[Topic, list[Interval]] = {}
    keys = {
        **dict.fromkeys(("book_snapshot", "bbo"), "category, symbol, toString(kind) AS kind, depth"),
        **dict.fromkeys(("trade", "ticker", "liquidation"), "category, symbol"),
        "kline": "category, symbol, interval",
    }
    for name, columns in keys.items():
        only = "kind != 'rpi_only'" if name == "book_snapshot" else "depth = 1" if name == "bbo" else "1"
        rows = database.query(
            f"SELECT {columns}, toUnixTimestamp64Nano(min(recv)) FROM {name} WHERE {_RANGE} AND {only}"  # noqa: S608  # names of ours
            f" AND {selection.where('symbol', 'recv')} GROUP BY ALL",
            Range(recorder, 0, mark)._asdict(),
        )
        names = [column.rpartition(" ")[2] for column in columns.split(", ")]
        for row in rows:
            values = dict(zip(names, row, strict=False))
            found[values["category"], topic_of(name, values)] = [(int(row[-1]), until_ns)]
    return found


def latencies(
    database: Database, recorder: str, mark: int, selection: Selection
) -> dict[DaySymbol, tuple[Latency | None, Latency | None]]:
    """Return how late messages came after the gateway, and after the matching engine."""
    found: dict[DaySymbol, tuple[Latency | None, Latency | None]] = {}
    lags = _lags(selection)
    sums = {"of_ts": _quantiles("of_ts"), "of_cts": _quantiles("of_cts")}
    rows = database.query(
        f"SELECT {_DAY}, category, symbol, count(), {sums['of_ts']}, {sums['of_cts']} FROM ({lags})"  # noqa: S608  # names of ours
        " GROUP BY 1, 2, 3",
        {"recorder": recorder, "mark": mark},
    )
    for day, category, symbol, count, of_ts, of_cts in rows:
        both = (Latency(int(count), *map(int, some)) for some in (of_ts, of_cts))
        found[int(day), str(category), str(symbol)] = (next(both), next(both))
    return found


def histogram(database: Database, recorder: str, mark: int, selection: Selection) -> dict[str, Counter[int]]:
    """Return counted milliseconds after the gateway (``recv_ts``) and the matching engine (``recv_cts``)."""
    found: dict[str, Counter[int]] = {}
    for name, column in (("recv_ts", "of_ts"), ("recv_cts", "of_cts")):
        rows = database.query(
            f"SELECT {column}, count() FROM ({_lags(selection)}) GROUP BY 1",  # noqa: S608  # names of ours
            {"recorder": recorder, "mark": mark},
        )
        found[name] = Counter({int(lag): int(count) for lag, count in rows})
    return found


def rates(
    database: Database, recorder: str, mark: int, selection: Selection, points: int
) -> tuple[int, int, list[int]] | None:
    """Return when messages begin, how long each of so many stretches is (ns), and the messages in each."""
    values = {"recorder": recorder, "mark": mark}
    lags = _lags(selection)
    times = "toUnixTimestamp64Nano(min(recv)), toUnixTimestamp64Nano(max(recv)), count()"
    ((first_ns, last, messages),) = database.query(f"SELECT {times} FROM ({lags})", values)  # noqa: S608  # names of ours
    if not messages:
        return None
    width_ns = (int(last) - int(first_ns)) // points + 1
    rows = database.query(
        f"SELECT intDiv(toUnixTimestamp64Nano(recv) - {first_ns}, {width_ns}), count()"  # noqa: S608  # names of ours
        f" FROM ({lags}) GROUP BY 1",
        values,
    )
    counts = [0] * points
    for place_, count in rows:
        counts[int(place_)] = int(count)
    return int(first_ns), width_ns, counts


def steps(database: Database, recorder: str) -> int:
    """Return how often the wall clock was set."""
    rows = database.query(
        "SELECT count() FROM events WHERE recorder = {recorder:String} AND kind = 'clock_stepped'",
        {"recorder": recorder},
    )
    return int(rows[0][0])


def batch_problems(
    database: Database, recorder: str, low: int, high: int
) -> tuple[list[Problem], dict[str, int]]:
    """Hold the rows of each table against what the commit marks say was inserted.

    Returns the problems, and by table the rows that a TTL has deleted.
    """
    within = Range(recorder, low, high)._asdict()
    ttl_s = _ttl_days(database) * 86_400
    problems: list[Problem] = []
    expired: dict[str, int] = {}
    for table in CHECKED:
        rows = database.query(
            "SELECT said.first, said.last, said.rows, counted.rows, said.day,"  # noqa: S608  # names of ours
            f" {ttl_s} > 0 AND said.seen < now() - {ttl_s} FROM"
            " (SELECT first_position AS first, last_position AS last,"
            f" arraySum((name, rows) -> if(name = '{table}', rows, 0), `tables.name`, `tables.rows`) AS rows,"
            f" toUInt64(intDiv(toUnixTimestamp64Nano(first_recv), {DAY_NS})) AS day,"
            " toDateTime(last_recv) AS seen"
            " FROM load_batch WHERE recorder = {recorder:String} AND last_position > {low:UInt64}"
            " AND last_position <= {high:UInt64}) AS said LEFT JOIN"
            " (SELECT marks.first AS first, count() AS rows FROM"
            f" (SELECT position, recorder FROM {table} WHERE {_RANGE}) AS found ASOF JOIN"
            " (SELECT recorder, first_position AS first FROM load_batch"
            " WHERE recorder = {recorder:String}) AS marks"
            " ON found.recorder = marks.recorder AND found.position >= marks.first GROUP BY first) AS counted"
            " ON said.first = counted.first WHERE said.rows != counted.rows ORDER BY said.first",
            within,
        )
        for first, last, said, found, day, is_old in rows:
            if is_old and found < said:
                expired[table] = expired.get(table, 0) + int(said) - int(found)
                continue
            text = (
                f"{table} {day_name(int(day))}: the batch {place(int(first))} to {place(int(last))} has"
                f" {found} rows, its commit mark says {said}"
            )
            problems.append(Problem(text, int(day)))
    return problems, expired


def _ttl_days(database: Database) -> int:
    rows = database.query(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase()"
        " AND name IN ('trade', 'trade_local')"
    )
    found = [int(match[1]) for row in rows if (match := _TTL.search(str(row[0])))]
    return min(found, default=0)


def _lags(selection: Selection) -> str:
    return " UNION ALL ".join(
        _LAGS.format(
            most=LAG_MS_MAX, table=table, cts=cts, only=only, where=selection.where("symbol", "recv")
        )
        for table, cts, only in _SOURCES
    )


def _quantiles(column: str) -> str:
    """SQL of the least values that so many are not above: as `Latency.of` counts them."""
    return f"quantilesExactWeighted({', '.join(map(str, LEVELS))})({column}, 1)"
