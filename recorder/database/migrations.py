"""A database brought to the present schema: made, continued or migrated; a newer one is refused.

Statements are such that each may be run again: whoever dies in the middle is continued by the next start.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from engine.errors import UsageError
from recorder.database.schema import Layout, distributed, on_cluster, tables, views
from recorder.sql import TABLES, VERSION_TABLE, VIEWS, migrations

__all__ = ["SCHEMA_VERSION", "Found", "SchemaError", "examine", "pending", "settled", "upgrade"]

SCHEMA_VERSION: Final = migrations()[-1][0]
_CLUSTER: Final = re.compile(r"Distributed\('(\w+)'")


class SchemaError(UsageError):
    """A database whose schema is not for this version of tapehead, or not for this place."""


class Runs(Protocol):
    """What is needed of a `recorder.database.clickhouse.Database`."""

    name: str

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]: ...

    def command(self, sql: str) -> None: ...


@dataclass(frozen=True)
class Found:
    """What is in a database.

    ``version`` is 0 where there is none: it is empty, or older than versions. ``views`` is the fingerprint of
    its views, ``cluster`` is "" unless its tables are Distributed.
    """

    names: frozenset[str]
    version: int
    views: int
    cluster: str

    @property
    def is_new(self) -> bool:
        """Whether there is no table of ours."""
        return self.names.isdisjoint(TABLES)


def examine(database: Runs) -> Found:
    """Look what is there. Raises SchemaError if it was made by a newer tapehead."""
    rows = database.query("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()")
    names = frozenset(str(name) for name, _ in rows)
    version, made = 0, 0
    if VERSION_TABLE in names:
        told = database.query(
            f"SELECT max(version), argMaxIf(views, applied_at, views != 0) FROM {VERSION_TABLE}"  # noqa: S608  # ours
        )
        version, made = int(told[0][0]), int(told[0][1])
    if version > SCHEMA_VERSION:
        raise SchemaError(
            f"database {database.name} has schema {version}, this tapehead knows {SCHEMA_VERSION}",
            "install a tapehead at least as new, or record into another database",
        )
    distributions = [_CLUSTER.match(engine) for name, engine in rows if name in TABLES]
    return Found(names, version, made, next((found[1] for found in distributions if found), ""))


def upgrade(database: Runs, layout: Layout) -> list[str]:
    """Make what is missing, migrate what is older, replace views that are others; returns what was done.

    A database that is up to date is only read. The cluster is the one that its tables lie on.

    Raises:
        SchemaError: it is newer, or lies otherwise.
        DatabaseError: it refused.
    """
    found = examine(database)
    layout = settled(found, layout)
    done = []
    missing = sorted({*TABLES, VERSION_TABLE} - found.names)
    is_behind = found.version < SCHEMA_VERSION
    if missing or is_behind:
        for sql in tables(layout):
            database.command(sql)
        done += [f"table {name}" for name in missing]
    if is_behind and not found.is_new:
        done += list(_migrate(database, found, layout))
    fingerprint = zlib.crc32("".join(views(layout)).encode())
    if done or is_behind or found.views != fingerprint or not found.names.issuperset(VIEWS):
        for sql in views(layout):
            database.command(sql)
        _note(database, SCHEMA_VERSION, "schema", fingerprint)
        done.append("views")
    return done


def pending(found: Found) -> list[tuple[int, str, tuple[str, ...]]]:
    """Return the (number, name, statements) of the migrations that a database has not had."""
    return [] if found.is_new else [one for one in migrations() if one[0] > found.version]


def settled(found: Found, layout: Layout) -> Layout:
    """Return the layout with the cluster of the tables that are there. Raises SchemaError for another one."""
    if found.is_new or layout.cluster == found.cluster:
        return layout
    if layout.cluster:
        lies = f"on the cluster {found.cluster}" if found.cluster else "on one server"
        raise SchemaError(
            f"cluster was {layout.cluster!r}, the tables of database {layout.database} lie {lies}",
            "leave the option out, or use another database",
        )
    return replace(layout, cluster=found.cluster)


def _migrate(database: Runs, found: Found, layout: Layout) -> Iterator[str]:
    for number, name, statements in pending(found):
        for sql in statements:
            database.command(on_cluster(sql, layout))
        for sql in distributed(layout, replace=True):
            database.command(sql)
        _note(database, number, name, 0)
        yield f"migration {number:04}_{name}"


def _note(database: Runs, version: int, name: str, fingerprint: int) -> None:
    database.command(
        f"INSERT INTO {VERSION_TABLE} (version, name, views) SETTINGS distributed_foreground_insert = 1"  # noqa: S608
        f" VALUES ({version}, '{name}', {fingerprint})"
    )
