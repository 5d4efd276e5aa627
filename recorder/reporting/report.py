"""A page on a recording, and the same numbers as JSON: what `verify` found, and how to find it again."""

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from recorder import __version__
from recorder.folder import DataFolder
from recorder.history.moments import iso
from recorder.reporting.page import page
from recorder.spool.durable import put
from recorder.spool.segments import spool_bytes

if TYPE_CHECKING:  # the database engine takes a second to load
    from recorder.database.clickhouse import Database
    from recorder.verify import VerifyReport

__all__ = ["commands", "numbers", "write"]

FORMAT: Final = 1
BUCKETS_MS: Final = (0, 1, 2, 3, 5, 8, 13, 20, 30, 50, 80, 130, 200, 500, 1_000, 5_000, 60_000)

RATE_POINTS: Final = 240

SIZES: Final = (
    "SELECT table, sum(rows), sum(data_compressed_bytes), sum(data_uncompressed_bytes) FROM system.parts"
    " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
)


def numbers(
    place: DataFolder, reports: "list[VerifyReport]", database: "Database | None", options: list[str]
) -> dict[str, Any]:
    """Return all that the page shows, as plain values.

    Args:
        place: the folder of the recording.
        reports: of its recorders.
        database: where its tables are; None where the spool alone was looked at.
        options: those of the command that made it, as given.
    """
    spools = sorted(path for path in place.path.glob("spool*") if path.is_dir())
    return {
        "format": FORMAT,
        "versions": {
            "tapehead": __version__,
            "python": platform.python_version(),
            "clickhouse": database.version if database is not None else None,
        },
        "is_right": all(report.is_right for report in reports),
        "problems": [problem for report in reports for problem in report.problems],
        "recorders": [_recorder(report, database) for report in reports],
        "sizes": {
            "spool_bytes": sum(map(spool_bytes, spools)),
            "tables": _tables(database) if database is not None else [],
        },
        "commands": commands(reports, options),
    }


def commands(reports: "list[VerifyReport]", options: list[str]) -> list[dict[str, str]]:
    """Return a command line for each number of the page; DIR stands for the folder of the recording."""
    chosen = "".join(f" {option}" for option in options)
    where = reports[0].selection.where("symbol", "recv") if reports else "1"
    lines = [
        ("verified %, clean %, rows, frames, verdicts, problems", f"tapehead verify DIR{chosen} --json"),
        ("gaps", "tapehead gaps DIR"),
        ("gaps by day and cause", "tapehead gaps DIR --by-day"),
        ("wanted and recorded time of each topic", "tapehead gaps DIR --coverage"),
        (
            "latency",
            'tapehead sql --data DIR "SELECT symbol, toDate(recv) AS day,'  # noqa: S608  # shown, not run
            " quantilesExactWeighted(0.5, 0.9, 0.99, 0.999)(ts_lag_ms, 1) AS recv_ts,"
            " quantilesExactWeighted(0.5, 0.9, 0.99, 0.999)(ts_lag_ms + cts_lag_ms, 1) AS recv_cts"
            f' FROM book_delta WHERE {where} GROUP BY ALL ORDER BY ALL"',
        ),
        ("hashes of the inputs", "tapehead spool ls DIR --json"),
        ("whether the inputs are as they were sealed", "tapehead spool fsck DIR"),
        ("this page", f"tapehead report --data DIR{chosen}"),
    ]
    return [{"number": number, "command": command} for number, command in lines]


def write(values: dict[str, Any], path: Path) -> Path:
    """Write the page, and the numbers beside it; each whole or not at all. Returns the path of the numbers.

    Raises:
        OSError: it cannot be written.
    """
    beside = path.with_suffix(".json")
    text = orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    put(beside, text + b"\n")
    put(path, page(values).encode())
    return beside


def _recorder(report: "VerifyReport", database: "Database | None") -> dict[str, Any]:
    left_out = ("rows", "books", "counters")
    said = {name: value for name, value in report.to_dict().items() if name not in left_out}
    for day in said["days"]:
        has_rate = day["frames"] and day["span_s"]
        day["frames_per_s"] = round(day["frames"] / day["span_s"], 3) if has_rate else None
    said["gaps"] = [
        gap | {"start": iso(gap["start_ns"]), "end": iso(gap["end_ns"]) if gap["end_ns"] else None}
        for gap in said["gaps"]
    ]
    said["latency_histograms"] = {name: _histogram(counts) for name, counts in report.lags.items()}
    said["rates"] = _rates(report, database)
    said["books_equal"] = sum(book.is_right for book in report.books)
    said["books_compared"] = len(report.books)
    return said


def _rates(report: "VerifyReport", database: "Database | None") -> dict[str, Any]:
    """Messages over time; none where there is no database to count them."""
    from recorder.verify import facts  # as above

    found = (
        None
        if database is None
        else facts.rates(database, report.recorder, report.position, report.selection, RATE_POINTS)
    )
    if found is None:
        return {"messages": []}
    start_ns, width_ns, counts = found
    times = {"start": iso(start_ns), "end": iso(start_ns + width_ns * len(counts))}
    return {"start_ns": start_ns, "width_ns": width_ns, "messages": counts, **times}


def _tables(database: "Database") -> list[dict[str, Any]]:
    names = ("table", "rows", "compressed_bytes", "uncompressed_bytes")
    return [dict(zip(names, row, strict=True)) for row in database.query(SIZES)]


def _histogram(counts: dict[int, int]) -> list[dict[str, Any]]:
    """Return how many messages came before each bound, and not before the one before; the last has none."""
    bounds: list[int | None] = [*BUCKETS_MS, None]
    found = [0] * len(bounds)
    for lag_ms, count in counts.items():
        index = next((n for n, bound in enumerate(BUCKETS_MS) if lag_ms < bound), len(BUCKETS_MS))
        found[index] += count
    return [{"below_ms": bound, "messages": count} for bound, count in zip(bounds, found, strict=True)]
