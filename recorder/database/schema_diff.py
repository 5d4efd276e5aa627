"""A live database compared with the schema: every difference by name, and the layout that it has."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from recorder.database.clickhouse import Database, open_embedded
from recorder.database.migrations import examine, pending
from recorder.database.schema import DISTRIBUTED_TABLES, REPLICATED_ENGINE, RETAINED, Layout, sharding_key
from recorder.database.schema import tables as table_statements
from recorder.database.schema import views as view_statements
from recorder.sql import VIEWS

__all__ = ["differences", "live_layout"]

Aspects = dict[str, str]
REFERENCE: Final = "tapehead_reference"
_DAYS: Final = re.compile(r"toDateTime\(recv\) \+ toIntervalDay\((\d+)\)(?: TO VOLUME '(\w+)')?")
_POLICY: Final = re.compile(r"storage_policy = '(\w+)'")


def live_layout(database: Database) -> Layout:
    """Return how the tables lie; of an empty database the plain layout."""
    layout = Layout(database.name, cluster=examine(database).cluster)
    suffix = "_local" if layout.cluster else ""
    rows = database.query(
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
        {"name": RETAINED[0] + suffix},
    )
    text = str(rows[0][0]) if rows else ""
    for days, volume in _DAYS.findall(text):
        layout = (
            replace(layout, volume=volume, move_days=int(days))
            if volume
            else replace(layout, ttl_days=int(days))
        )
    policy = _POLICY.search(text)
    return replace(layout, policy=policy[1]) if policy and policy[1] != "default" else layout


def differences(database: Database, layout: Layout) -> list[str]:
    """Return what differs between a database and the schema in this layout, one line each.

    The schema is made in a database of its own, in the engine of this process, and is read back there:
    both sides are then spelled by an engine. It is dropped again.
    """
    found = examine(database)
    lines = [f"migration {number:04}_{name}: not applied" for number, name, _ in pending(found)]
    with _reference(database) as (reference, name):
        expected = _in_layout(_catalog(reference, name), layout)
    there = _catalog(database, database.name)
    for table in sorted(expected):
        if table not in there:
            lines.append(f"{table}: missing")
        else:
            lines += _compared(table, expected[table], there[table])
    return lines


def _compared(table: str, expected: Aspects, there: Aspects) -> Iterator[str]:
    for aspect, value in expected.items():
        if aspect not in there:
            yield f"{table}: {aspect} is missing, {value} expected"
        elif there[aspect] != value:
            yield f"{table}: {aspect} is {there[aspect] or 'none'}, {value or 'none'} expected"
    for aspect in there.keys() - expected.keys():
        if aspect.startswith(("column", "index")):
            yield f"{table}: {aspect} is there and not expected"


@contextmanager
def _reference(database: Database) -> Iterator[tuple[Database, str]]:
    """The schema on one server: in the engine of an embedded database, else in one of its own."""
    if not database.is_embedded:
        with tempfile.TemporaryDirectory() as folder, open_embedded(Path(folder), REFERENCE) as reference:
            _make(reference)
            yield reference, REFERENCE
        return
    database.command(f"DROP DATABASE IF EXISTS {REFERENCE} SYNC")
    database.command(f"CREATE DATABASE {REFERENCE}")
    try:
        database.command(f"USE {REFERENCE}")
        _make(database)
        yield database, REFERENCE
    finally:
        database.command(f"USE {database.name}")
        database.command(f"DROP DATABASE IF EXISTS {REFERENCE} SYNC")


def _make(database: Database) -> None:
    for sql in (*table_statements(Layout()), *view_statements(Layout())):
        database.command(sql)


def _catalog(database: Database, name: str) -> dict[str, Aspects]:
    """What the engine says of each table and view of a database."""
    found: dict[str, Aspects] = {}
    tables = database.query(
        "SELECT name, engine, engine_full, partition_key, sorting_key, as_select FROM system.tables"
        " WHERE database = {name:String}",
        {"name": name},
    )
    for table, engine, full, partition, order, select in tables:
        aspects = found[str(table)] = {"engine": str(engine)}
        if engine == "View":
            aspects["definition"] = str(select).replace(f"{name}.", "")
        elif engine == "Distributed":
            aspects["engine"] = str(full).partition(" SETTINGS ")[0]
        else:
            aspects |= {"partition key": str(partition), "sorting key": str(order)} | _details(str(full))
    columns = database.query(
        "SELECT table, name, type, default_kind, default_expression, compression_codec FROM system.columns"
        " WHERE database = {name:String}",
        {"name": name},
    )
    for table, column, *rest in columns:
        if found[str(table)]["engine"] != "View":
            found[str(table)][f"column {column}"] = " ".join(str(part) for part in rest if part)
    indexes = database.query(
        "SELECT table, name, expr, type FROM system.data_skipping_indices WHERE database = {name:String}",
        {"name": name},
    )
    for table, index, expression, kind in indexes:
        found[str(table)][f"index {index}"] = f"{expression} TYPE {kind}"
    return found


def _details(engine: str) -> Aspects:
    """The engine with its arguments, the TTL and the settings."""
    head, _, settings = engine.partition(" SETTINGS ")
    head, _, ttl = head.partition(" TTL ")
    aspects = {"engine": head.partition(" PARTITION BY ")[0].partition(" ORDER BY ")[0], "TTL": ttl}
    for setting in settings.split(", "):
        key, _, value = setting.partition(" = ")
        aspects[f"setting {key}"] = value
    return aspects


def _in_layout(plain: dict[str, Aspects], layout: Layout) -> dict[str, Aspects]:
    """What is expected of a layout, from the tables of one server."""
    expected = {name: plain[name] for name in VIEWS}
    for name in DISTRIBUTED_TABLES:
        local = dict(plain[name])
        if ttl := layout.ttl(name):
            local["TTL"] = ttl
        for key, value in layout.settings(name).items():
            local[f"setting {key}"] = value
        if not layout.cluster:
            expected[name] = local
            continue
        table = f"{name}_local"
        arguments = {"{database}": layout.database, "{table}": table}
        local["engine"] = _replaced(REPLICATED_ENGINE, arguments)
        expected[table] = local
        place = f"'{layout.cluster}', '{layout.database}', '{table}'"
        engine = {"engine": f"Distributed({place}, {sharding_key(name)})"}
        expected[name] = engine | {key: value for key, value in local.items() if key.startswith("column")}
    return expected


def _replaced(text: str, by: dict[str, str]) -> str:
    for old, new in by.items():
        text = text.replace(old, new)
    return text
