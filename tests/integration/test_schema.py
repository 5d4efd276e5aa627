"""The schema: made once, migrated from the first one, continued after a crash, refused where it is newer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from recorder.database import migrations
from recorder.database.clickhouse import Database, open_embedded
from recorder.database.migrations import SCHEMA_VERSION, SchemaError, examine, upgrade
from recorder.database.schema import Layout
from recorder.sql import TABLES, VIEWS, columns
from tests.support.first_schema import FIRST_ROWS, FIRST_SCHEMA

LAYOUT = Layout()


class Killed(BaseException):
    """Stands for the end of the process."""


class Fragile:
    """A database whose process dies before the command with the given number."""

    def __init__(self, database: Database, dies_at: int) -> None:
        self.name = database.name
        self.query = database.query
        self._database = database
        self._left = dies_at

    def command(self, sql: str) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        self._database.command(sql)


@contextmanager
def fresh(engine: Database, name: str) -> Iterator[Database]:
    """A database of its own in an engine that is open."""
    engine.command(f"CREATE DATABASE {name}")
    engine.command(f"USE {name}")
    yield engine
    engine.command(f"DROP DATABASE {name} SYNC")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_embedded(tmp_path_factory.mktemp("schema")) as database:
        yield database


def _columns(database: Database, table: str) -> tuple[tuple[Any, ...], ...]:
    rows = database.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase()"
        " AND table = {table:String} AND default_kind = '' ORDER BY position",
        {"table": table},
    )
    return tuple(rows)


def _is_present(database: Database) -> bool:
    found = examine(database)
    return found.version == SCHEMA_VERSION and found.names.issuperset((*TABLES, *VIEWS))


def test_a_schema_is_made_once_and_then_only_read(engine: Database) -> None:
    with fresh(engine, "once") as database:
        assert upgrade(database, LAYOUT)[-1] == "views"
        assert _is_present(database)
        assert upgrade(database, LAYOUT) == []
        database.command("DROP VIEW quotes")
        assert upgrade(database, LAYOUT) == ["views"]
        database.command("DROP TABLE notice SYNC")
        assert upgrade(database, LAYOUT) == ["table notice", "views"]
        database.command("INSERT INTO schema_version (version, name, views) VALUES (1, 'schema', 7)")
        assert upgrade(database, LAYOUT) == ["views"], "its views are another version's"


def test_the_first_schema_is_migrated_with_its_rows(engine: Database) -> None:
    with fresh(engine, "first") as database:
        for sql in (*FIRST_SCHEMA, *FIRST_ROWS):
            database.command(sql)
        assert "migration 0001_kinds" in upgrade(database, LAYOUT)
        for table in TABLES:
            assert set(_columns(database, table)) == set(columns(table)), table
        assert database.query("SELECT symbol, kind, leg, bid_prices FROM book_delta") == [
            ("AUSDT", "plain", 255, [100])
        ]
        assert database.query("SELECT symbol, kind, bid FROM quotes") == [("AUSDT", "plain", 100)]
        assert database.query("SELECT status, phase FROM instruments") == [("Trading", "")]
        assert upgrade(database, LAYOUT) == []


def test_a_migration_that_was_killed_anywhere_is_continued(engine: Database) -> None:
    commands = 0
    is_done = False
    while not is_done:
        with fresh(engine, f"killed{commands}") as database:
            for sql in (*FIRST_SCHEMA, *FIRST_ROWS):
                database.command(sql)
            try:
                upgrade(Fragile(database, commands), LAYOUT)
                is_done = True
            except Killed:
                upgrade(database, LAYOUT)
            assert _is_present(database)
            assert database.query("SELECT kind FROM book_delta") == [("plain",)]
            noted = database.query("SELECT count() FROM schema_version WHERE name = 'kinds'")
            assert noted == [(1,)]
        commands += 13  # every thirteenth: an engine takes half a second for each
    assert commands > 20


def test_a_newer_schema_is_refused_and_not_changed(engine: Database) -> None:
    with fresh(engine, "newer") as database:
        upgrade(database, LAYOUT)
        database.command("DROP TABLE trade SYNC")
        database.command(f"INSERT INTO schema_version (version, name) VALUES ({SCHEMA_VERSION + 1}, 'later')")
        before = examine_names(database)
        with pytest.raises(SchemaError, match=f"has schema {SCHEMA_VERSION + 1}.*knows {SCHEMA_VERSION}"):
            database.create_schema()
        assert examine_names(database) == before
        assert "trade" not in before


def examine_names(database: Database) -> set[str]:
    rows = database.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    return {str(name) for (name,) in rows}


def test_tables_of_one_server_are_not_taken_for_a_cluster(engine: Database) -> None:
    with fresh(engine, "single") as database:
        upgrade(database, LAYOUT)
        with pytest.raises(SchemaError, match="lie on one server"):
            upgrade(database, Layout(cluster="many"))


def test_migrations_are_numbered_without_a_hole() -> None:
    assert [number for number, _, _ in migrations.migrations()] == list(range(1, SCHEMA_VERSION + 1))
