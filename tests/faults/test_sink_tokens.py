"""Where the database has forgotten a token, or the decoder is another one: each row once all the same."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.clock import ManualClock
from recorder.database.clickhouse import Database
from recorder.loading import decoding
from recorder.loading import inserter as inserting
from recorder.loading.inserter import TOKENS_HOLD_S
from recorder.sql import TABLES, schema
from recorder.verify import verify
from tests.support.databases import FragileDatabase, Killed
from tests.support.servers import ClickHouse, Pauses, clickhouse
from tests.support.sinks import contents, load, make_spool, open_fresh

WINDOW = 6  # inserts a table, in place of 1000
OTHERS = 2 * WINDOW


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with clickhouse(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def database(server: ClickHouse, request: pytest.FixtureRequest) -> Database:
    opened = open_fresh(server, "".join(one if one.isalnum() else "_" for one in request.node.name))
    for table in TABLES:
        opened.command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = {WINDOW}")
    return opened


def roll_over(folder: Path, database: Any) -> None:
    """Another recorder fills the window of every table."""
    folder.mkdir()
    make_spool(folder, messages=32, recorder="r2")
    loader = load(folder, database, recorder="r2", batch_records=4)
    assert loader.inserter.counters["batches"] >= OTHERS


def die_between(folder: Path, database: Database) -> None:
    """The first insert of the second batch but one was committed, and the loader died."""
    with pytest.raises(Killed):
        load(folder, FragileDatabase(database, dies_at=10, committed=True))


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_restart_after_the_window_has_rolled_over(
    database: Database, tmp_path: Path, is_counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inserting, "TOKENS_HOLD_BATCHES", WINDOW // 2 if is_counted else 1 << 30)
    spool = make_spool(tmp_path)
    die_between(tmp_path, database)
    roll_over(tmp_path / "other", database)
    loader = load(tmp_path, database)
    report = verify(spool, database, "r1")
    if is_counted:
        assert loader.inserter.counters["found_inserted"] > 0
        assert report.problems == []
        assert verify(tmp_path / "other" / "spool", database, "r2").problems == []
    else:  # so that this test can fail
        assert sum(check.repeated for check in report.rows) > 0


@pytest.mark.parametrize("is_long", [True, False])
def test_a_reply_lost_before_a_long_time_away(
    server: ClickHouse, database: Database, tmp_path: Path, is_long: bool
) -> None:
    """The database has the block; when it can be asked again it has forgotten the token."""
    spool = make_spool(tmp_path)
    clock = ManualClock(wall_ns=1_790_000_000_000_000_000)

    def much_later() -> None:
        roll_over(tmp_path / "other", open_fresh(server, database.name))
        if is_long:
            clock.advance(TOKENS_HOLD_S + 1)

    server.fault("lose_reply", skip=4)
    load(tmp_path, database, Pauses({1: much_later}), clock=clock)
    repeated = sum(check.repeated for check in verify(spool, database, "r1").rows)
    assert (repeated == 0) is is_long  # the other one is there so that this test can fail


def test_another_decoder_between_two_inserts(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first one left of the batch goes; every row is of the second one, once."""
    make_spool(tmp_path)
    with pytest.raises(Killed):
        load(tmp_path, FragileDatabase(database, dies_at=4, committed=True))
    assert database.query("SELECT count() > 0 FROM book_delta WHERE source = 'live'") == [(1,)]
    columns = decoding.Columns
    monkeypatch.setattr(decoding, "Columns", lambda recorder, _: columns(recorder, schema(), "backfill"))
    loader = load(tmp_path, database)
    assert (loader.inserter.counters["purges"], loader.inserter.counters["repeated_batches"]) == (1, 1)
    monkeypatch.undo()
    assert database.query(
        "SELECT DISTINCT source FROM trade UNION DISTINCT SELECT DISTINCT source FROM bbo"
    ) == [("backfill",)]
    assert verify(tmp_path / "spool", database, "r1").problems == []


def test_part_of_a_block_is_made_whole(database: Database, tmp_path: Path) -> None:
    """A server that loses power may have kept one part of an insert and not the other."""
    spool = make_spool(tmp_path)
    with pytest.raises(Killed):
        load(tmp_path, FragileDatabase(database, dies_at=4, committed=True))
    expected = contents(database)
    database.command("ALTER TABLE book_delta DELETE WHERE symbol = 'AAAUSDT' SETTINGS mutations_sync = 2")
    assert contents(database) != expected
    stop = threading.Event()
    clock = ManualClock(wall_ns=2_000_000_000_000_000_000)  # long after the intent
    assert load(tmp_path, database, stop, clock=clock).inserter.counters["purges"] == 1  # type: ignore[arg-type]  # a plain one
    assert verify(spool, database, "r1").problems == []
