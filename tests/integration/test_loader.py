"""Spool to embedded ClickHouse: what is recorded is there, once, and nothing else."""

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from engine.errors import UsageError
from ext.journal import RecordKind
from recorder.database.clickhouse import DatabaseError, FolderError, open_embedded
from recorder.loading.loader import Loader
from recorder.queries.server import ADDRESS_FILE, QueryServer, open_for_reading
from recorder.spool.lock import FolderInUseError
from recorder.sql import TABLES, columns
from recorder.verify import book_at, verify
from tests.support.captures import capture
from tests.support.databases import embedded
from tests.support.market import START_NS, S, SpoolMaker, book_frame, make_market, ticker_frame, trade_frame
from tests.support.waiting import is_readable

PROCESS_TIMEOUT_S = 60
READ_WHOSE = """
import sys
from pathlib import Path
from recorder.queries.server import open_for_reading
with open_for_reading(Path(sys.argv[1])) as database:
    print(database.query("SELECT name FROM whose")[0][0])
"""
RUN_LOADER = """
import sys
from pathlib import Path
from recorder.loading import process as loading
write = loading._tell
def tell(data, status):
    write(data, status)
    print(status["position"], flush=True)
loading._tell = tell
loading.run(loading.LoaderConfig(Path(sys.argv[1]), "r1"), lambda: None)
"""


def _load(folder: Path) -> None:
    """Load folder/spool into folder/clickhouse."""
    with embedded(folder / "clickhouse") as database:
        loader = Loader(folder / "spool", database, "r1", folder, batch_records=50)
        loader.recover()
        loader.drain()
        loader.close()


def test_schema_is_what_the_blocks_are_made_of(tmp_path: Path) -> None:
    with embedded(tmp_path) as database:
        database.create_schema()
        for table in TABLES:
            found = database.query(
                "SELECT name, type FROM system.columns WHERE database = currentDatabase()"
                " AND table = {table:String} AND default_kind = '' ORDER BY position",
                {"table": table},
            )
            assert tuple(found) == columns(table)


def test_market_is_loaded_once_over_segments_and_restarts(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    make_market(maker, 200)
    _load(tmp_path)
    for number in range(400):
        maker.frame(trade_frame("AAAUSDT", [(f"late{number}", "Buy", "10.3", "1")]))
    maker.close()
    _load(tmp_path)
    _load(tmp_path)
    with embedded(tmp_path / "clickhouse") as database:
        report = verify(tmp_path / "spool", database, "r1")
        assert report.problems == []
        assert [(book.symbol, book.levels) for book in report.books] == [("AAAUSDT", 4), ("BBBUSDT", 4)]
        assert len(database.query("SELECT DISTINCT segment FROM load_batch")) > 2
        (seams,) = database.query(
            "SELECT countIf(first_position != before + 1) FROM (SELECT first_position,"
            " lagInFrame(last_position) OVER (ORDER BY first_position) AS before FROM load_batch)"
            " WHERE before > 0"
        )
        assert seams == (0,)


def test_views_give_exact_values(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect("orderbook.50.AUSDT", "publicTrade.AUSDT", "tickers.AUSDT")
    maker.frame(book_frame("AUSDT", "snapshot", 5, [("10.1", "1.5"), ("10.0", "2")], [("10.3", "4")]))
    first = maker.frame(book_frame("AUSDT", "delta", 6, [("10.15", "3"), ("10.0", "0")], [("10.3", "0")]))
    last = maker.frame(book_frame("AUSDT", "delta", 7, [], [("10.4", "0.001")]))
    maker.frame(trade_frame("AUSDT", [("x1", "Buy", "10.4", "2"), ("x2", "Sell", "10.1", "0.5")]))
    maker.frame(ticker_frame("AUSDT", "snapshot", lastPrice="10.4"))
    maker.close()
    _load(tmp_path)
    with embedded(tmp_path / "clickhouse") as database:
        assert book_at(database, "r1", "linear", "AUSDT", 50, first) == (
            [(Decimal("10.15"), Decimal(3)), (Decimal("10.1"), Decimal("1.5"))],
            [],
        )
        assert book_at(database, "r1", "linear", "AUSDT", 50, last)[1] == [
            (Decimal("10.4"), Decimal("0.001"))
        ]
        assert book_at(database, "r1", "linear", "AUSDT", 50, first - 2) == ([], [])
        levels = database.query(
            "SELECT side, price, size, item FROM book_levels WHERE position = " + str(first)
        )
        assert levels == [
            ("bid", Decimal("10.15"), Decimal(3), 1),
            ("bid", Decimal("10.0"), Decimal(0), 2),
            ("ask", Decimal("10.3"), Decimal(0), 1),
        ]
        quotes = database.query("SELECT bid, ask, ask_float FROM quotes ORDER BY position")
        assert quotes == [
            (Decimal("10.1"), Decimal("10.3"), 10.3),
            (Decimal("10.15"), None, None),
            (Decimal("10.15"), Decimal("10.4"), 10.4),
        ]
        candles = database.query(
            "SELECT open, high, low, close, volume, turnover, trades FROM ohlcv(seconds = 60)"
        )
        expected = ("10.4", "10.4", "10.1", "10.1", "2.5", "25.85")
        assert candles == [(*map(Decimal, expected), 2)]
        (times,) = database.query(
            "SELECT toUnixTimestamp64Nano(recv), toUnixTimestamp64Milli(ts), toUnixTimestamp64Milli(cts)"
            " FROM book_delta WHERE update_id = 6"
        )
        ts_ms = START_NS // 1_000_000
        assert times == (START_NS + 20_000_000, ts_ms, ts_ms - 3)


def test_time_not_running_is_a_gap_of_each_topic(tmp_path: Path) -> None:
    first = SpoolMaker(tmp_path / "spool")
    first.connect("orderbook.50.AUSDT", "publicTrade.AUSDT")
    first.frame(book_frame("AUSDT", "snapshot", 5, [("10.1", "1")], [("10.3", "4")]))
    stopped_ns = first.now_ns
    first.close()
    second = SpoolMaker(tmp_path / "spool", start_ns=START_NS + 100 * S)
    second.connect("orderbook.50.AUSDT", "publicTrade.AUSDT")
    second.frame(book_frame("AUSDT", "snapshot", 9, [("10.1", "1")], [("10.3", "4")]))
    again_ns = second.now_ns
    second.close()
    _load(tmp_path)
    with embedded(tmp_path / "clickhouse") as database:
        gaps = database.query(
            "SELECT topic, cause, fault, toUnixTimestamp64Nano(start),"
            " toUnixTimestamp64Nano(assumeNotNull(end)) FROM gaps ORDER BY topic"
        )
        assert gaps == [
            ("orderbook.50.AUSDT", "not_running", "ours", stopped_ns, again_ns),
            ("publicTrade.AUSDT", "not_running", "ours", stopped_ns, START_NS + 100 * S),
        ]
        assert verify(tmp_path / "spool", database, "r1").problems == []


def test_disconnect_leaves_open_gaps(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect("orderbook.50.AUSDT")
    maker.frame(book_frame("AUSDT", "snapshot", 5, [("10.1", "1")], [("10.3", "4")]))
    maker.disconnect("eof", "gone")
    maker.close()
    _load(tmp_path)
    with embedded(tmp_path / "clickhouse") as database:
        assert database.query("SELECT topic, cause, fault, end, detail FROM gaps") == [
            ("orderbook.50.AUSDT", "disconnect", "network", None, "eof: gone")
        ]
        assert verify(tmp_path / "spool", database, "r1").open_gaps == [
            "linear orderbook.50.AUSDT (disconnect)"
        ]


def test_damage_of_the_spool_is_named(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect("publicTrade.AUSDT")
    for number in range(5):
        maker.frame(trade_frame("AUSDT", [(f"t{number}", "Buy", "10.3", "1")]))
    maker.close()
    segment = tmp_path / "spool" / "00000001.tape"
    data = bytearray(segment.read_bytes())
    data[data.index(b'"t2"')] ^= 0xFF
    segment.write_bytes(data)
    _load(tmp_path)
    with embedded(tmp_path / "clickhouse") as database:
        assert database.query("SELECT trade_id FROM trades ORDER BY position") == [
            ("t0",),
            ("t1",),
            ("t3",),
            ("t4",),
        ]
        (event,) = database.query("SELECT kind, detail FROM events WHERE kind = 'spool_damaged'")
        assert event == ("spool_damaged", "1 records lost to damage of the spool")
        ((topic, cause, fault, length),) = database.query(
            "SELECT topic, cause, fault,"
            " toUnixTimestamp64Milli(assumeNotNull(end)) - toUnixTimestamp64Milli(start) FROM gaps"
        )
        assert (topic, cause, fault, length) == ("publicTrade.AUSDT", "own_drop", "ours", 20)


def test_instruments_come_from_rest_records(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect("orderbook.50.AUSDT")
    instrument = {
        "symbol": "AUSDT",
        "status": "Trading",
        "baseCoin": "A",
        "launchTime": "1700000000000",
        "deliveryTime": "0",
        "priceFilter": {"tickSize": "0.05"},
        "lotSizeFilter": {"qtyStep": "0.001", "minNotionalValue": "5"},
    }
    body = {"result": {"category": "linear", "list": [instrument]}}
    payload = {"path": "/v5/market/instruments-info", "query": "", "category": "linear", "body": body}
    maker.record(RecordKind.REST, payload)
    maker.record(RecordKind.REST, {**payload, "path": "/v5/market/time"})
    maker.close()
    _load(tmp_path)
    with embedded(tmp_path / "clickhouse") as database:
        rows = database.query(
            "SELECT symbol, status, tick_size, lot_size, min_notional, max_size, delivery_time, valid_to, raw"
            " FROM instruments"
        )
        (row,) = rows
        assert row[:8] == (
            "AUSDT",
            "Trading",
            Decimal("0.05"),
            Decimal("0.001"),
            Decimal(5),
            None,
            None,
            None,
        )
        assert orjson.loads(row[8]) == instrument


def test_real_capture_is_there_to_the_last_level(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool", segment_bytes=1 << 20)
    maker.connect()
    frames = capture("bybit_linear_sol_doge.recv_ns.log").read_bytes().splitlines()
    for line in frames:
        stamp, _, frame = line.partition(b" ")
        maker.frame(frame, int(stamp) - maker.now_ns)
    maker.close()
    _load(tmp_path)
    with embedded(tmp_path / "clickhouse") as database:
        report = verify(tmp_path / "spool", database, "r1")
        assert report.problems == []
        assert report.frames == len(frames)
        for symbol in ("SOLUSDT", "DOGEUSDT"):
            expected = capture(f"linear.orderbook.200.{symbol}.final_book.txt").read_text().splitlines()
            bids, asks = book_at(database, "r1", "linear", symbol, 200, report.position)
            sides = [("B", bids), ("A", asks)]
            found = [(side, price, size) for side, levels in sides for price, size in levels]
            wanted = [line.split() for line in expected if line[:2] in ("B ", "A ")]
            assert found == [(side, Decimal(price), Decimal(size)) for side, price, size in wanted]


def test_spool_that_starts_over_under_the_same_name_is_refused(tmp_path: Path) -> None:
    for folder, messages in (("first", 400), ("second", 401)):
        maker = SpoolMaker(tmp_path / folder, start_ns=START_NS + messages * S)
        make_market(maker, messages)
        maker.close()
    with embedded(tmp_path / "clickhouse") as database:
        loader = Loader(tmp_path / "first", database, "r1", tmp_path)
        loader.recover()
        loader.drain()
        loader.close()
        other = Loader(tmp_path / "second", database, "r1", tmp_path)
        with pytest.raises(UsageError, match="the database has another spool of recorder 'r1'"):
            other.recover()
        other.close()
        marks = database.query("SELECT * FROM load_batch ORDER BY ALL")
        (tmp_path / "third").mkdir()
        none = Loader(tmp_path / "third", database, "r1", tmp_path)
        with pytest.raises(UsageError, match="the database has another spool"):
            none.recover()
        none.close()
        assert database.query("SELECT * FROM load_batch ORDER BY ALL") == marks


def test_folder_in_use_and_newer_engine_are_refused(tmp_path: Path) -> None:
    with (
        open_embedded(tmp_path / "db"),
        pytest.raises(FolderInUseError, match=rf"in use by process {os.getpid()}"),
    ):
        open_embedded(tmp_path / "db")
    (tmp_path / "db" / "engine").write_text("99.1.1.1\n")
    with pytest.raises(FolderError, match=r"written by ClickHouse 99\.1\.1\.1"):
        open_embedded(tmp_path / "db")
    assert (tmp_path / "db" / "engine").read_text() == "99.1.1.1\n"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear")
    with pytest.raises(FolderError, match=r"no database folder of tapehead: it holds 'letter\.txt'"):
        open_embedded(foreign)
    assert [path.name for path in foreign.iterdir()] == ["letter.txt"]


def test_an_address_that_a_killed_recorder_left_is_not_asked(tmp_path: Path) -> None:
    """Its port may answer for another recording by now."""
    with embedded(tmp_path / "mine" / "clickhouse") as database:
        database.command("CREATE VIEW whose AS SELECT 'mine' AS name")
    with embedded(tmp_path / "other" / "clickhouse") as database:
        database.command("CREATE VIEW whose AS SELECT 'other' AS name")
        server = QueryServer(database, tmp_path / "other").start()
        try:
            (tmp_path / "mine" / ADDRESS_FILE).write_text(server.address + "\n")
            read = [sys.executable, "-c", READ_WHOSE, str(tmp_path / "mine")]
            assert subprocess.run(read, capture_output=True, text=True, check=True).stdout == "mine\n"
        finally:
            server.close()
    assert not (tmp_path / "mine" / ADDRESS_FILE).exists()


def test_database_name_and_unreachable_server_are_clear() -> None:
    with pytest.raises(ValueError, match="database name was 'no-good'"):
        open_embedded(Path("unused"), "no-good")
    with pytest.raises(DatabaseError, match="connecting to http://127"):
        open_for_reading(Path("unused"), "http://127.0.0.1:9")


def _await_loaded(process: subprocess.Popen[str], position: int) -> None:
    """Read what the loader says of itself until it has loaded a position."""
    assert process.stdout is not None
    while is_readable(process.stdout, PROCESS_TIMEOUT_S):
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        if int(line) >= position:
            return
    raise AssertionError(f"the loader never loaded {position}")


def test_process_answers_sql_drains_and_ends(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    make_market(maker, 40)
    with subprocess.Popen(
        [sys.executable, "-c", RUN_LOADER, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            position = maker.frame(trade_frame("AAAUSDT", [("live", "Buy", "10.3", "1")]))
            _await_loaded(process, position)
            with open_for_reading(tmp_path) as database:
                assert database.query("SELECT count() FROM trades WHERE trade_id = 'live'") == [(1,)]
                with pytest.raises(DatabaseError, match="statement began with"):
                    database.command("DROP TABLE trade")
            with pytest.raises(FolderInUseError, match="in use"):
                open_embedded(tmp_path / "clickhouse")
            maker.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PROCESS_TIMEOUT_S) == 0
        finally:
            process.kill()
    assert not (tmp_path / "sql.address").exists()
    with open_for_reading(tmp_path) as database:
        report = verify(tmp_path / "spool", database, "r1")
        assert report.problems == []
        assert report.position > position
