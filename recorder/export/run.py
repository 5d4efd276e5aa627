"""One export from beginning to end: the rows of its format, the gaps beside them, the manifest."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from engine.errors import ConfigError, nearest
from recorder import __version__
from recorder.database.clickhouse import Database
from recorder.export import tables
from recorder.export.folder import MANIFEST, ExportFolder, export_folder
from recorder.export.request import FORMATS, Request
from recorder.export.source import Source
from recorder.history.moments import iso

__all__ = ["Report", "check_format", "export"]

_EXPORTERS: Final = {
    "parquet": ("tables", "export_parquet"),
    "csv": ("tables", "export_csv"),
    "hftbacktest": ("hftbacktest", "export"),
    "nautilus": ("nautilus", "export"),
    "tardis": ("tardis", "export"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What an export came to: files written and kept from an earlier run, and the manifest's summary."""

    manifest: Path
    written: int
    kept: int
    rows: int
    size_bytes: int
    summary: dict[str, Any]


def check_format(name: str) -> None:
    """Raise ConfigError for what is no format."""
    if name not in FORMATS:
        close = nearest(name, FORMATS)
        rule = f"there are {', '.join(FORMATS)}"
        raise ConfigError("format", name, rule, f"use {close[0] if close else FORMATS[0]}")


def export(database: Database, request: Request, out: Path) -> Report:
    """Write an export, or what is missing of it.

    Memory is bounded by a page of rows (`source.PAGE_ROWS_MAX`), whatever the range.

    Raises:
        UsageError: what was asked for is not there, or ``out`` holds something else.
        DatabaseError: the database does not answer.
        OSError: a file cannot be written; what was complete stays, and the next run goes on.
    """
    check_format(request.format)
    source = Source(database, request)
    with export_folder(out, request.identity()) as folder:
        module, function = _EXPORTERS[request.format]
        write: Callable[[Source, ExportFolder], None] = getattr(
            import_module(f"recorder.export.{module}"), function
        )
        _write_beside(source, folder)
        write(source, folder)
        entries = folder.entries()
        summary = _summary(source, entries)
        folder.finish(summary)
    rows = sum(entry["rows"] for entry in entries)
    size_bytes = sum(entry["bytes"] for entry in entries)
    return Report(out / MANIFEST, folder.written, folder.kept, rows, size_bytes, summary)


def _write_beside(source: Source, folder: ExportFolder) -> None:
    """Write gaps, events and instruments: small, and made anew when the mark has moved."""
    write, suffix = (
        (tables.write_parquet, "parquet") if source.request.format == "parquet" else (tables.write_csv, "csv")
    )
    start, end = (f"fromUnixTimestamp64Nano(toInt64({ns}), 'UTC')" for ns in (source.start_ns, source.end_ns))
    events = f"recv >= {start} AND recv < {end} AND {source.committed('position')}"
    valid = f"valid_from < {end} AND (valid_to IS NULL OR valid_to > {start})"
    instruments = f"{valid} AND {source.committed('position')} AND {source.chosen('instrument')}"
    for name, sql in (
        ("gaps", source.gaps()),
        ("events", tables.EVENTS.format(where=events)),
        ("instruments", tables.INSTRUMENTS.format(where=instruments)),
    ):
        path = f"{name}.{suffix}"
        state = [source.marks, source.start_ns, source.end_ns, source.decoder_versions]
        folder.put(path, state, partial(write, source, sql, path))


def _summary(source: Source, entries: list[dict[str, Any]]) -> dict[str, Any]:
    gaps = source.rows(
        "SELECT toString(cause) AS cause, count() AS gaps, countIf(end IS NULL) AS open,"  # noqa: S608
        f" sum(greatest(0, least(toUnixTimestamp64Nano(coalesce(end, {_ns(source.end_ns)})), {source.end_ns})"
        f" - greatest(toUnixTimestamp64Nano(start), {source.start_ns}))) / 1e9 AS seconds"
        f" FROM ({source.gaps()}) GROUP BY cause ORDER BY cause"  # every value is quoted
    )
    sources = Counter(source for entry in entries for source in entry.get("sources", ()))
    notes: Counter[str] = Counter()
    for entry in entries:
        notes.update(entry.get("doubtful", {}))
    return {
        "made_by": f"tapehead {__version__}",
        "decoder_versions": source.decoder_versions,
        "range": {"from": iso(source.start_ns), "to": iso(source.end_ns)},
        "loaded": {"from": iso(source.first_ns), "to": iso(source.last_ns)},
        "commit_marks": source.marks,
        "rows": sum(entry["rows"] for entry in entries),
        "gaps": {
            row["cause"]: {"gaps": row["gaps"], "open": row["open"], "seconds": row["seconds"]}
            for row in gaps
        },
        "doubtful": {
            "open_gaps": sum(row["open"] for row in gaps),
            **{f"files_with_{name}_rows": sources[name] for name in ("backfill", "import") if sources[name]},
            **notes,
        },
    }


def _ns(time_ns: int) -> str:
    return f"fromUnixTimestamp64Nano(toInt64({time_ns}), 'UTC')"
