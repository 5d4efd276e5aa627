"""A loader that dies anywhere, and the one after it: each row once."""

from pathlib import Path

import pytest

from recorder.database.clickhouse import Database
from recorder.loading import batches
from recorder.loading.loader import Loader
from recorder.sql import TABLES
from recorder.verify import verify
from tests.support.databases import FragileDatabase, Killed, embedded, use_another
from tests.support.market import SpoolMaker, make_market

BATCH_RECORDS = 40


def _make_spool(folder: Path, messages: int = 24) -> None:
    maker = SpoolMaker(folder)
    make_market(maker, messages)
    maker.disconnect("eof")
    maker.close()


def _load(folder: Path, database: Database | FragileDatabase) -> Loader:
    loader = Loader(folder / "spool", database, "r1", folder, batch_records=BATCH_RECORDS)  # type: ignore[arg-type]  # stands in
    try:
        loader.recover()
        loader.drain()
    finally:
        loader.close()
    return loader


def _contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: database.query(f"SELECT * FROM {table} ORDER BY ALL")
        for table in TABLES
        if table != "load_batch"
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, list[tuple[object, ...]]]]:
    """How many inserts an undisturbed load makes, and what it leaves."""
    folder = tmp_path_factory.mktemp("undisturbed")
    _make_spool(folder / "spool")
    with embedded(folder / "clickhouse") as database:
        counting = FragileDatabase(database)
        _load(folder, counting)
        assert verify(folder / "spool", database, "r1").problems == []
        return counting.inserts, _contents(database)


def test_each_row_once_wherever_the_loader_dies(
    tmp_path: Path, expected: tuple[int, dict[str, list[tuple[object, ...]]]]
) -> None:
    """After each insert: what it leaves there is what it leaves before the next one."""
    inserts, contents = expected
    _make_spool(tmp_path / "spool")
    with embedded(tmp_path / "clickhouse") as database:
        for dies_at, committed in [(0, False), *((number, True) for number in range(inserts))]:
            use_another(database, f"run{dies_at}{committed}")
            (tmp_path / "loader.intent").unlink(missing_ok=True)
            with pytest.raises(Killed):
                _load(tmp_path, FragileDatabase(database, dies_at=dies_at, committed=committed))
            _load(tmp_path, database)
            assert _contents(database) == contents, f"died at insert {dies_at}"


def test_the_same_without_tokens_shows_duplicates(tmp_path: Path) -> None:
    _make_spool(tmp_path / "spool")
    with embedded(tmp_path / "clickhouse") as database:
        with pytest.raises(Killed):
            _load(tmp_path, FragileDatabase(database, dies_at=3, committed=True, tokens=False))
        _load(tmp_path, FragileDatabase(database, tokens=False))
        report = verify(tmp_path / "spool", database, "r1")
        assert any(check.repeated for check in report.rows)
        assert not report.is_right


def test_views_stop_at_the_commit_mark(tmp_path: Path) -> None:
    _make_spool(tmp_path / "spool")
    with embedded(tmp_path / "clickhouse") as database:
        with pytest.raises(Killed):
            _load(tmp_path, FragileDatabase(database, dies_at=6))
        (count,) = database.query("SELECT count() FROM load_batch")
        assert count == (0,)
        assert database.query("SELECT count() > 0 FROM book_delta") == [(1,)]
        assert database.query("SELECT count() FROM book_levels") == [(0,)]
        _load(tmp_path, database)
        assert database.query("SELECT count() > 0 FROM book_levels") == [(1,)]


def test_other_decoder_between_two_inserts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that the second attempt builds differ: those of the first one go."""
    _make_spool(tmp_path / "spool")
    with embedded(tmp_path / "clickhouse") as database:
        with pytest.raises(Killed):
            _load(tmp_path, FragileDatabase(database, dies_at=4, committed=True))
        token = batches.Batch._token
        monkeypatch.setattr(
            batches.Batch,
            "_token",
            lambda self, table, block, generation: "2" + token(self, table, block, generation),
        )
        loader = _load(tmp_path, database)
        assert (loader.inserter.counters["purges"], loader.inserter.counters["repeated_batches"]) == (1, 1)
        assert verify(tmp_path / "spool", database, "r1").problems == []


def test_rows_without_intent_are_deleted(tmp_path: Path) -> None:
    _make_spool(tmp_path / "spool")
    with embedded(tmp_path / "clickhouse") as database:
        with pytest.raises(Killed):
            _load(tmp_path, FragileDatabase(database, dies_at=4, committed=True))
        (tmp_path / "loader.intent").unlink()
        assert _load(tmp_path, database).inserter.counters["purges"] == 1
        assert verify(tmp_path / "spool", database, "r1").problems == []


@pytest.mark.parametrize("text", [b"", b'{"first":', b"\xff", b"null", b'{"first":1}'])
def test_an_intent_that_cannot_be_read_costs_nothing(
    tmp_path: Path, expected: tuple[int, dict[str, list[tuple[object, ...]]]], text: bytes
) -> None:
    _make_spool(tmp_path / "spool")
    with embedded(tmp_path / "clickhouse") as database:
        with pytest.raises(Killed):
            _load(tmp_path, FragileDatabase(database, dies_at=4, committed=True))
        (tmp_path / "loader.intent").write_bytes(text)
        _load(tmp_path, database)
        assert _contents(database) == expected[1]


def test_the_intent_of_a_database_that_is_gone(tmp_path: Path) -> None:
    """The database is made again from the spool, in batches of the usual size."""
    _make_spool(tmp_path / "spool")
    batches_of = "SELECT first_position, last_position, records FROM load_batch ORDER BY ALL"
    with embedded(tmp_path / "clickhouse") as database:
        _load(tmp_path, database)
        first_time = database.query(batches_of)
        use_another(database, "fresh")
        _load(tmp_path, database)
        assert database.query(batches_of) == first_time
        assert len(first_time) > 1
