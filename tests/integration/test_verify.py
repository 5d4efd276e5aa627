"""What `verify` notices: each kind of row, lost or changed."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from ext.journal import RecordKind
from recorder.database.clickhouse import Database
from recorder.loading.loader import Loader
from recorder.verify import verify
from tests.support.databases import embedded, use_another
from tests.support.instruments import raw_instrument
from tests.support.market import SpoolMaker, make_market

ANSWER = {"category": "linear", "list": [raw_instrument("linear", "AAAUSDT")]}


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify") / "spool"
    maker = SpoolMaker(folder)
    body = orjson.dumps({"result": ANSWER}).decode()
    maker.record(RecordKind.REST, {"path": "/v5/market/instruments-info", "category": "linear", "body": body})
    make_market(maker, 24)
    maker.disconnect("eof")
    maker.close()
    return folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with embedded(tmp_path_factory.mktemp("clickhouse")) as database:
        yield database


@pytest.fixture
def database(spool: Path, engine: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """A database with all of the spool, in which nothing is wrong yet."""
    use_another(engine, f"d{abs(hash(request.node.name))}")
    loader = Loader(spool, engine, "r1", tmp_path, batch_records=40)
    loader.recover()
    loader.drain()
    loader.close()
    assert verify(spool, engine, "r1").problems == []
    return engine


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("book_delta", "UPDATE `bids.size` = arrayMap(x -> x + 1, `bids.size`)"),
        ("book_delta", "UPDATE ask_ref = ask_ref + 1"),
        ("book_snapshot", "UPDATE checksum = checksum + 1"),
        ("bbo", "UPDATE bid_price = bid_price - 1"),
        ("trade", "UPDATE size = size + 1"),
        ("trade", "UPDATE price_scale = price_scale + 1"),
        ("ticker", "UPDATE last_price = last_price + 1"),
        ("kline", "UPDATE close = close + 1"),
        ("gap", "UPDATE cause = 'other'"),
        ("event", "UPDATE kind = 'other'"),
        *((table, "DELETE") for table in ("book_delta", "book_snapshot", "bbo", "trade", "ticker", "kline")),
        *((table, "DELETE") for table in ("gap", "event", "instrument")),
    ],
)
def test_a_row_that_is_lost_or_changed(database: Database, spool: Path, table: str, change: str) -> None:
    # Fewer than all of them, that no check of the whole notices.
    some = f"position IN (SELECT max(position) FROM {table})"
    database.command(f"ALTER TABLE {table} {change} WHERE {some} SETTINGS mutations_sync = 2")
    problems = verify(spool, database, "r1").problems
    assert problems
    assert all(problem.startswith((table, "book ")) for problem in problems), problems


@pytest.mark.parametrize("which", ["first_position = 1", "1"])
def test_a_commit_mark_that_is_lost(database: Database, spool: Path, which: str) -> None:
    database.command(f"ALTER TABLE load_batch DELETE WHERE {which} SETTINGS mutations_sync = 2")
    assert "load" in verify(spool, database, "r1").problems[0]
