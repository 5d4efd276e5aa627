"""The schema and the loader against a server: the one named in TAPEHEAD_CLICKHOUSE_URL, else a stand-in.

A real server needs a user who may do everything (TAPEHEAD_CLICKHOUSE_USER, TAPEHEAD_CLICKHOUSE_PASSWORD);
TAPEHEAD_CLICKHOUSE_CLUSTER names a cluster of its configuration. What only a real one can answer is skipped
on the stand-in, which speaks the protocol over the embedded engine.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ext.native import Table
from recorder.database.clickhouse import Database, open_server
from recorder.database.migrations import SCHEMA_VERSION, SchemaError
from recorder.database.schema import Layout
from recorder.database.schema_diff import differences, live_layout
from recorder.database.users import HASHES, users
from recorder.loading.loader import Loader
from recorder.sql import columns
from recorder.verify import verify
from tests.support.first_schema import FIRST_ROWS, FIRST_SCHEMA
from tests.support.market import SpoolMaker, make_market
from tests.support.servers import clickhouse

URL = os.environ.get("TAPEHEAD_CLICKHOUSE_URL", "")
CLUSTER = os.environ.get("TAPEHEAD_CLICKHOUSE_CLUSTER", "")
only_real = pytest.mark.skipif(not URL, reason="TAPEHEAD_CLICKHOUSE_URL names no ClickHouse server")
only_cluster = pytest.mark.skipif(not CLUSTER, reason="TAPEHEAD_CLICKHOUSE_CLUSTER names no cluster")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if URL:
        yield URL
        return
    with clickhouse(tmp_path_factory.mktemp("server")) as server:
        yield server.url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database of its own, empty."""
    layout = Layout(f"tapehead_test_{uuid.uuid4().hex[:12]}", CLUSTER)
    with open_server(url, layout.database, layout=layout) as opened:
        yield opened
        opened.command(f"DROP DATABASE {layout.database}{f' ON CLUSTER {CLUSTER}' if CLUSTER else ''} SYNC")


def _layout(database: Database) -> Layout:
    return Layout(database.name, CLUSTER)


def _load(folder: Path, database: Database) -> None:
    loader = Loader(folder / "spool", database, "r1", folder, batch_records=50)
    loader.recover()
    loader.drain()
    loader.close()


def test_the_schema_is_applied_once_and_differs_in_nothing(database: Database) -> None:
    assert database.create_schema(_layout(database))[-1] == "views"
    assert database.create_schema(_layout(database)) == []
    assert live_layout(database).cluster == CLUSTER
    assert differences(database, live_layout(database)) == []


def test_a_spool_is_loaded_and_verified(database: Database, tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    make_market(maker, 200)
    maker.close()
    database.create_schema(_layout(database))
    _load(tmp_path, database)
    _load(tmp_path, database)
    report = verify(tmp_path / "spool", database, "r1")
    assert report.problems == []
    assert len(report.books) == 2
    database.delete("trade", "recorder = 'r1'")
    assert database.query("SELECT count() FROM trade") == [(0,)]


def test_a_token_is_inserted_once(database: Database) -> None:
    database.create_schema(_layout(database))
    table = Table("event", columns("event"))
    table.append(
        {
            "recorder": "r1",
            "category": "linear",
            "topic": "publicTrade.AUSDT",
            "position": 1,
            "leg": 0,
            "recv": 1_790_000_000_000_000_000,
            "kind": "restart",
            "detail": "",
        }
    )
    block = bytes(table.take())
    for token in ("a", "a", "b", "a"):
        database.insert("event", block, token)
    assert database.query("SELECT count() FROM event") == [(2,)]


@pytest.mark.skipif(bool(CLUSTER), reason="the first schema knew no clusters")
def test_the_first_schema_is_migrated(database: Database) -> None:
    for sql in (*FIRST_SCHEMA, *FIRST_ROWS):
        database.command(sql)
    assert "migration 0001_kinds" in database.create_schema()
    assert database.query("SELECT kind, leg FROM book_delta") == [("plain", 255)]


def test_a_newer_schema_is_refused(database: Database) -> None:
    database.create_schema(_layout(database))
    database.command(
        "INSERT INTO schema_version (version, name) SETTINGS distributed_foreground_insert = 1"
        f" VALUES ({SCHEMA_VERSION + 1}, 'later')"
    )
    with pytest.raises(SchemaError, match=f"has schema {SCHEMA_VERSION + 1}"):
        database.create_schema(_layout(database))


@only_real
def test_users_may_do_what_they_are_for(database: Database) -> None:
    database.create_schema(_layout(database))
    suffix = uuid.uuid4().hex[:8]
    names = {name: f"{name}_{suffix}" for name in HASHES}
    hashes = dict.fromkeys(HASHES.values(), "ab" * 32)
    try:
        for sql in users(_layout(database), hashes):
            for name, own in names.items():
                sql = sql.replace(name, own)
            database.command(sql)
        for own in names.values():
            grants = "\n".join(grant for (grant,) in database.query(f"SHOW GRANTS FOR {own}"))
            assert f"ON {database.name}.* TO {own}" in grants
    finally:
        where = f" ON CLUSTER {CLUSTER}" if CLUSTER else ""
        for own in names.values():
            database.command(f"DROP USER IF EXISTS {own}{where}")


@only_real
@only_cluster
def test_a_symbol_lies_on_one_shard_of_a_cluster(database: Database, tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    make_market(maker, 200, [f"A{number}USDT" for number in range(8)])
    maker.close()
    database.create_schema(_layout(database))
    _load(tmp_path, database)
    shards = database.query("SELECT symbol, uniqExact(_shard_num) FROM trade GROUP BY symbol")
    assert len(shards) == 8
    assert {count for _, count in shards} == {1}
