"""``tapehead gaps``: the ledger of what is missing."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.errors import ConfigError
from recorder import shards
from recorder.commands.options import AsJson, Folder
from recorder.errors import ExitCode
from recorder.folder import DataFolder
from recorder.output import Output

__all__ = ["gaps"]

LEDGER: Final = """
SELECT start, end, category, topic, cause, fault, missing, detail
FROM gaps
WHERE {where}
ORDER BY start, category, topic
"""
# An export has every column, and the order of what was recorded.
GAPS: Final = "SELECT * FROM gaps WHERE {where} ORDER BY recorder, opened_position, topic"
EVENTS: Final = "SELECT * FROM events WHERE {where} ORDER BY recorder, position"
BY_DAY: Final = """
SELECT day, category, symbol, cause, fault, topics, gaps, open, seconds
FROM gap_days
WHERE {where}
ORDER BY day, category, symbol, cause
"""
FORMATS: Final = {".csv": "CSVWithNames", ".parquet": "Parquet", ".jsonl": "JSONEachRow"}


def gaps(
    folder: Folder,
    topic: Annotated[
        list[str] | None, typer.Option(help="Only topics like this (* for any text); may be repeated.")
    ] = None,
    cause: Annotated[
        list[str] | None, typer.Option(help="Only this cause (sequence, disconnect, ...); may be repeated.")
    ] = None,
    since: Annotated[
        str, typer.Option(help="Only what ended after this time (ISO 8601, UTC unless it says).")
    ] = "",
    until: Annotated[str, typer.Option(help="Only what began before this time.")] = "",
    is_open: Annotated[bool, typer.Option("--open", help="Only what is missing still.")] = False,
    by_day: Annotated[bool, typer.Option("--by-day", help="Seconds by day, symbol and cause.")] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the rows to FILE (.csv, .parquet, .jsonl), the events beside it."
        ),
    ] = None,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Check by the spool that each topic was recorded or has a gap."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is missing from a recording: from when to when, which topic, why, through whose fault.

    With --coverage the exit code is 1 where a topic was neither recorded nor in a gap.
    """
    output = Output(as_json=as_json)
    place = DataFolder(folder).existing()
    if coverage:
        if topic or cause or since or until or is_open or by_day or export:
            raise ConfigError("--coverage", True, "it is of the whole recording", "use it without the others")
        _show_coverage(output, place)
        return
    topics = _any_of("topic", topic, is_pattern=True)
    causes = _any_of("cause", cause)
    times = {"since": _time("--since", since), "until": _time("--until", until)}
    if by_day:
        days = [f"day >= toDate('{times['since']}')"] if since else []
        days += [f"day <= toDate('{times['until']}')"] if until else []
        if topic or is_open or export:
            raise ConfigError("--by-day", True, "it knows --cause, --since and --until", "use one of the two")
        _show_days(output, place, BY_DAY.format(where=_where(causes, days)))
        return
    ends = [f"(end IS NULL OR end > '{times['since']}')"] if since else []
    begins = [f"start < '{times['until']}'"] if until else []
    where = _where(topics, causes, ends, begins, ["end IS NULL"] if is_open else [])
    if export is None:
        _show(output, place, LEDGER.format(where=where))
        return
    within = [f"recv > '{times['since']}'"] if since else []
    within += [f"recv < '{times['until']}'"] if until else []
    events = _where(_any_of("topic", topic, is_pattern=True, also=""), within)
    _export(output, place, export, GAPS.format(where=where), EVENTS.format(where=events))


def _show(output: Output, place: DataFolder, statement: str) -> None:
    from recorder.queries import asking  # the database engine takes a second to load

    answer = asking.ask(place, statement)
    if answer.rows:
        output.table(answer.columns, answer.rows)
    output.say(f"{len(answer.rows)} gaps" + (" so far" if any(row[1] is None for row in answer.rows) else ""))
    output.result({"gaps": [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]})


def _show_days(output: Output, place: DataFolder, statement: str) -> None:
    from recorder.queries import asking  # as above

    answer = asking.ask(place, statement)
    output.table(answer.columns, answer.rows, right=("topics", "gaps", "open", "seconds"))
    output.result({"days": [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]})


def _show_coverage(output: Output, place: DataFolder) -> None:
    from recorder.coverage import coverage  # reads and runs the whole spool

    found: list[dict[str, Any]] = []
    for shard in shards.existing(place):
        found += coverage(place.spool_of(shard)).to_dict()["topics"]
    missing = [topic for topic in found if topic["uncovered"]]
    columns = ("category", "topic", "wanted_s", "recorded_s", "ledger_s", "uncovered_s")
    output.table(columns, [[topic[column] for column in columns] for topic in found], right=columns[2:])
    output.say(f"{len(missing)} of {len(found)} topics have time that is neither recorded nor in a gap")
    output.result({"is_complete": not missing, "topics": found})
    if missing:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _export(output: Output, place: DataFolder, path: Path, gaps: str, events: str) -> None:
    from recorder.queries import asking  # as above

    if path.suffix not in FORMATS:
        raise ConfigError("--export", str(path), "the name tells the format", f"use {' or '.join(FORMATS)}")
    beside = path.with_name(f"{path.stem}-events{path.suffix}")
    for file, statement in ((path, gaps), (beside, events)):
        file.write_bytes(asking.ask_raw(place, statement, FORMATS[path.suffix]))
        output.say(f"{file}: {file.stat().st_size:,} bytes")
    output.result({"gaps": str(path), "events": str(beside)})


def _where(*conditions: list[str]) -> str:
    return " AND ".join(one for some in conditions for one in some) or "1"


def _any_of(
    column: str, values: list[str] | None, *, is_pattern: bool = False, also: str | None = None
) -> list[str]:
    """Return the condition that a column is one of these, if there are any."""
    if not values:
        return []
    chosen = [*values, *([] if also is None else [also])]
    return ["(" + " OR ".join(_equals(column, value, is_pattern) for value in chosen) + ")"]


def _equals(column: str, value: str, is_pattern: bool) -> str:
    if is_pattern and "*" in value:
        return f"{column} LIKE {_quoted(_like(value))}"
    return f"{column} = {_quoted(value)}"


def _like(pattern: str) -> str:
    return "".join({"*": "%", "%": r"\%", "_": r"\_"}.get(character, character) for character in pattern)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _time(option: str, text: str) -> str:
    """Return a time as ClickHouse reads it."""
    if not text:
        return ""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            option, text, "a time is ISO 8601", "use 2026-01-31 or 2026-01-31T12:00:00"
        ) from None
    utc = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return utc.strftime("%Y-%m-%d %H:%M:%S.%f")
