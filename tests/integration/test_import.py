"""Archives into embedded ClickHouse: exact counts, whatever is odd about them."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import ConfigError
from recorder.archives.errors import ArchiveError
from recorder.cli import main
from recorder.database.clickhouse import open_embedded
from recorder.errors import ExitCode
from recorder.history.books import book_at
from recorder.history.moments import Moment
from recorder.loading.loader import Loader
from recorder.tape.of_tables import _one_recorder
from recorder.verify import verify
from tests.support.archives import (
    DERIVATIVE_HEADER,
    SPOT_HEADER,
    book_lines,
    csv,
    day_ms,
    spot_rows,
    trade_rows,
    write_books,
    write_gzip,
    write_trades,
    write_zip,
)
from tests.support.captures import capture
from tests.support.imports import place
from tests.support.market import MS, SpoolMaker, trade_frame

DAY = "2024-12-01"
NEXT_DAY = "2024-12-02"
DAY_MS = day_ms(DAY)
NEXT_MS = day_ms(NEXT_DAY)


def test_books_are_there_message_for_message(tmp_path: Path) -> None:
    path = write_books(tmp_path / "linear", "XRPUSDT", DAY, book_lines("XRPUSDT", DAY_MS, 250))
    with place(tmp_path) as there:
        outcome = there.load(path)
        assert (outcome.lines, outcome.rows["book_delta"], outcome.bad, outcome.notes) == (250, 249, 0, [])
        assert there.ask(
            "SELECT DISTINCT source, recorder, category, symbol, kind, depth, leg, ts_lag_ms, cts_lag_ms"
            " FROM book_delta"
        ) == [("import", outcome.recorder, "linear", "XRPUSDT", "plain", 500, 0, 0, 3)]
        assert there.ask(
            "SELECT min(update_id), max(update_id), uniq(position), max(position) FROM book_delta"
        ) == [(1001, 1249, 249, 250)]
        assert there.one("SELECT max(toUnixTimestamp64Nano(recv)) FROM book_delta") == (DAY_MS + 24_900) * MS
        assert there.gaps() == []
        levels = there.ask(
            "SELECT price, size FROM book_at(recorder = '" + outcome.recorder + "', category = 'linear',"
            " symbol = 'XRPUSDT', kind = 'plain', depth = 500, position = 250) WHERE side = 'bid'"
            " ORDER BY price DESC LIMIT 2"
        )
        assert levels == [(Decimal(100), Decimal(249 % 97 + 1)), (Decimal("99.9"), Decimal(1))]


def test_trades_are_there_digit_for_digit(tmp_path: Path) -> None:
    path = write_trades(tmp_path, "BTCUSDT", DAY, trade_rows("BTCUSDT", DAY_MS, 500))
    with place(tmp_path) as there:
        outcome = there.load(path)
        assert (outcome.trades, outcome.recorded, outcome.rows) == (500, 0, {"trade": 500, "event": 2})
        assert there.ask("SELECT count(), uniq(trade_id), sum(size), sum(size_float > 0) FROM trades") == [
            (500, 500, sum(Decimal(number % 50 + 1) + Decimal("0.001") for number in range(500)), 500)
        ]
        first = there.ask("SELECT * EXCEPT recorder FROM trade ORDER BY position LIMIT 1")[0]
        assert first[:5] == ("linear", "BTCUSDT", 2, 0, "import")
        assert there.ask("SELECT price_scale, size_scale, tick_direction, is_rpi FROM trade LIMIT 1") == [
            (1, 3, "PlusTick", False)
        ]


def test_a_file_is_imported_once_whatever_it_is_called(tmp_path: Path) -> None:
    path = write_trades(tmp_path, "BTCUSDT", DAY, trade_rows("BTCUSDT", DAY_MS, 50))
    with place(tmp_path) as there:
        there.load(path)
        before = there.contents()
        again = there.load(path.rename(tmp_path / "download(1).gz"))
        assert (again.known, again.lines, again.rows) == (True, 51, {})
        assert again.notes == ["imported before, as BTCUSDT2024-12-01.csv.gz: nothing to do"]
        assert there.contents() == before
    assert list(tmp_path.glob("*.intent")) == []


def test_days_overlap_by_a_closing_snapshot(tmp_path: Path) -> None:
    first = book_lines("XUSDT", NEXT_MS - 2_000, 20)
    second = book_lines("XUSDT", NEXT_MS + 2, 30, update_id=1020)
    days = [
        write_books(tmp_path, "XUSDT", DAY, [*first, second[0]]),
        write_books(tmp_path, "XUSDT", NEXT_DAY, second),
    ]
    with place(tmp_path) as there:
        outcomes = [there.load(path) for path in days]
        assert [outcome.recorded for outcome in outcomes] == [0, 1]
        assert [outcome.notes for outcome in outcomes] == [[], []]
        assert there.gaps() == []
        assert there.one("SELECT count() FROM book_delta") == 19 + 29
        assert there.one("SELECT count() FROM book_snapshot WHERE origin = 'venue'") == 3
        assert there.one("SELECT uniq(update_id) FROM book_snapshot WHERE origin = 'venue'") == 2


def test_days_put_together_have_one_snapshot_at_the_seam(tmp_path: Path) -> None:
    first = book_lines("XUSDT", NEXT_MS - 2_000, 20)
    second = book_lines("XUSDT", NEXT_MS + 2, 30, update_id=1020)
    path = write_zip(tmp_path / "both.zip", [("b/../a.data", [*first, second[0]]), ("a.data", second)])
    with place(tmp_path) as there:
        outcome = there.load(path)
        assert outcome.notes == ["1 repeated snapshots"]
        assert (there.gaps(), outcome.lines) == ([], 51)
        assert there.one("SELECT count() FROM book_delta") == 48
        assert there.one("SELECT count() FROM book_snapshot WHERE origin = 'venue'") == 2


def test_another_depth_is_another_book(tmp_path: Path) -> None:
    lines = [
        *book_lines("XUSDT", DAY_MS, 10),
        *book_lines("XUSDT", DAY_MS + 1000, 10, depth=200, update_id=77),
    ]
    path = write_books(tmp_path, "XUSDT", DAY, lines, depth=500)
    with place(tmp_path) as there:
        assert there.load(path).notes == ["10 lines of another depth than the name says"]
        assert there.ask("SELECT depth, count() FROM book_delta GROUP BY depth ORDER BY depth") == [
            (200, 9),
            (500, 9),
        ]
        assert there.gaps() == []


def test_update_ids_that_restart_or_jump_are_gaps_that_end(tmp_path: Path) -> None:
    lines = book_lines("XUSDT", DAY_MS, 10)
    lines += book_lines("XUSDT", DAY_MS + 1000, 10, update_id=1)
    del lines[15:17]
    path = write_books(tmp_path, "XUSDT", DAY, lines)
    with place(tmp_path) as there:
        outcome = there.load(path)
        topic = "orderbook.500.XUSDT"
        assert there.gaps() == [(topic, "restart", 1, None), (topic, "sequence", 1, 2)]
        assert outcome.rows["book_delta"] == 9 + 4


def test_a_file_that_begins_without_a_snapshot_says_what_is_missing(tmp_path: Path) -> None:
    lines = [*book_lines("XUSDT", DAY_MS, 10)[1:], *book_lines("XUSDT", DAY_MS + 1000, 10, update_id=2000)]
    with place(tmp_path) as there:
        outcome = there.load(write_books(tmp_path, "XUSDT", DAY, lines))
        assert there.gaps() == [("orderbook.500.XUSDT", "snapshot", 1, None)]
        assert outcome.rows["book_delta"] == 9
        assert there.one("SELECT dateDiff('millisecond', start, end) FROM gaps") == 900


def test_old_books_have_no_cts(tmp_path: Path) -> None:
    path = write_books(tmp_path, "XUSDT", DAY, book_lines("XUSDT", DAY_MS, 5, has_cts=False))
    with place(tmp_path) as there:
        assert there.load(path).notes == ["5 messages without cts: their ts stands for it"]
        assert there.ask("SELECT DISTINCT cts = ts, cts_lag_ms FROM book_delta") == [(1, 0)]


def test_a_renamed_instrument_is_told_and_can_be_given_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "DATAOLD01USDT"
    trades = write_trades(folder, "DATAUSDT", DAY, trade_rows("DATAUSDT", DAY_MS, 5))
    books = write_books(folder, "DATAUSDT", DAY, book_lines("DATAUSDT", DAY_MS, 5))
    with place(tmp_path / "a") as there:
        outcome = there.load(trades)
        assert outcome.symbol == "DATAUSDT"
        assert outcome.notes == [
            "its folder says DATAOLD01USDT: was it renamed? --symbol DATAOLD01USDT imports it under that name"
        ]
    with place(tmp_path / "b") as there:
        assert there.load(trades, symbol="DATAOLD01USDT").notes == []
        there.load(books, symbol="DATAOLD01USDT")
        assert there.ask("SELECT symbol, count() FROM trade GROUP BY symbol") == [("DATAOLD01USDT", 5)]
        assert there.ask("SELECT symbol, count() FROM book_delta GROUP BY symbol") == [("DATAOLD01USDT", 4)]
        assert json.loads(there.events("import_begun")[0])["own_symbol"] == "DATAUSDT"


def test_misfiled_lines_are_imported_as_what_they_are_and_told(tmp_path: Path) -> None:
    rows = trade_rows("BTCUSDT", NEXT_MS, 7) + trade_rows("ETHUSDT", DAY_MS, 5)
    with place(tmp_path) as there:
        outcome = there.load(write_trades(tmp_path, "XRPUSDT", DAY, rows))
        assert outcome.notes == [
            "5 lines of another symbol",
            "7 lines of another time than the name says",
            "the name says XRPUSDT, the content BTCUSDT",
        ]
        assert there.ask("SELECT symbol, count() FROM trade GROUP BY symbol ORDER BY symbol") == [
            ("BTCUSDT", 7),
            ("ETHUSDT", 5),
        ]


@pytest.mark.parametrize("keep", [False, True])
def test_spot_days_and_their_month_count_once(tmp_path: Path, keep: bool) -> None:
    day = write_gzip(tmp_path / f"BTCUSDT_{DAY}.csv.gz", csv(SPOT_HEADER, spot_rows(DAY_MS, 200)))
    month = write_gzip(tmp_path / "BTCUSDT-2024-12.csv.gz", csv(SPOT_HEADER, spot_rows(DAY_MS, 300)))
    with place(tmp_path) as there:
        there.load(day)
        outcome = there.load(month, skip_recorded=not keep, batch_lines=37)
        assert outcome.trades == 300
        assert outcome.recorded == (0 if keep else 200)
        assert there.one("SELECT count() FROM trade") == (500 if keep else 300)
        assert there.one("SELECT uniq(trade_id) FROM trade") == 300
        assert there.once("trades", "spot", "BTCUSDT") == {"import": 300}


@pytest.mark.parametrize("keep", [False, True])
def test_what_was_recorded_is_not_imported_again(tmp_path: Path, keep: bool) -> None:
    spool = SpoolMaker(tmp_path / "spool", "live", start_ns=DAY_MS * MS)
    spool.connect("orderbook.200.BTCUSDT", "publicTrade.BTCUSDT")
    books = book_lines("BTCUSDT", DAY_MS, 40, depth=200)
    for frame in books[:30]:
        spool.frame(frame)
    for number in range(20):
        at_ms = DAY_MS + number * 7
        spool.frame(trade_frame("BTCUSDT", [(f"BTCUSDT-{number}", "Buy", "1", "1")], ts_ms=at_ms + 2))
    spool.close()
    trades = write_trades(tmp_path, "BTCUSDT", DAY, trade_rows("BTCUSDT", DAY_MS, 50))
    archive = write_books(tmp_path, "BTCUSDT", DAY, books, depth=200)
    with place(tmp_path) as there:
        loader = Loader(tmp_path / "spool", there.database, "live", tmp_path)
        loader.recover()
        loader.drain()
        loader.close()
        assert there.load(trades, skip_recorded=not keep).recorded == (0 if keep else 20)
        assert there.load(archive).recorded == 30
        assert there.one("SELECT count() FROM trade") == (70 if keep else 50)
        assert there.one("SELECT count() FROM book_delta WHERE source = 'import'") == 39
        assert there.once("trades", "linear", "BTCUSDT") == {"live": 20, "import": 30}
        assert there.once("book_delta", "linear", "BTCUSDT") == {"live": 29, "import": 10}


def test_books_of_archives_are_found_by_time(tmp_path: Path) -> None:
    with place(tmp_path) as there:
        for day in range(1, 5):
            at_ms = day_ms(f"2024-12-0{day}")
            lines = book_lines("XUSDT", at_ms, 10, update_id=1000 * day)
            there.load(write_books(tmp_path, "XUSDT", f"2024-12-0{day}", lines))
            book = book_at(there.reader, "XUSDT", Moment(ns=(at_ms + 510) * MS))
            assert (book.update_id, book.source, book.doubtful) == (1000 * day + 5, "import", False)
        book = book_at(there.reader, "XUSDT", Moment(ns=(DAY_MS + 510) * MS), clock="cts")
        assert book.update_id == 1005


def test_a_recording_is_played_by_itself_among_imports(tmp_path: Path) -> None:
    spool = SpoolMaker(tmp_path / "spool", "live", start_ns=DAY_MS * MS)
    spool.connect("publicTrade.BTCUSDT")
    spool.frame(trade_frame("BTCUSDT", [("one", "Buy", "1", "1")], ts_ms=DAY_MS))
    spool.close()
    with place(tmp_path) as there:
        loader = Loader(tmp_path / "spool", there.database, "live", tmp_path)
        loader.recover()
        loader.drain()
        loader.close()
        for day in range(1, 13):
            rows = trade_rows("BTCUSDT", day_ms(f"2024-11-{day:02}"), 2)
            there.load(write_trades(tmp_path, "BTCUSDT", f"2024-11-{day:02}", rows))
        assert verify(tmp_path / "spool", there.database, "live").problems == []
        assert _one_recorder(there.reader, "") == "live"
        with pytest.raises(ConfigError, match="and 3 more: use live"):
            _one_recorder(there.reader, "another")


def test_lines_that_are_none_are_counted_and_named(tmp_path: Path) -> None:
    rows = trade_rows("BTCUSDT", DAY_MS, 10)
    rows[4] = rows[4].replace(",100.5,", ",a lot,").replace(",104.5,", ",a lot,")
    rows.insert(7, DERIVATIVE_HEADER)
    trades = write_gzip(tmp_path / f"BTCUSDT{DAY}.csv.gz", csv(DERIVATIVE_HEADER, rows, "\r\n"))
    lines = book_lines("XUSDT", DAY_MS, 10)
    lines[3:3] = [b"not a frame", b""]
    books = write_books(
        tmp_path, "XUSDT", DAY, [*lines, b'{"topic":"orderbook.500.XUSDT","ts":1733011200000,']
    )
    with place(tmp_path) as there:
        outcome = there.load(trades)
        assert (outcome.bad, outcome.rows["trade"]) == (1, 9)
        assert there.events("malformed") == ["line 6: price was 'a lot', expected a number"]
        assert there.gaps() == [("publicTrade.BTCUSDT", "malformed", 1, None)]
        outcome = there.load(books)
        assert (outcome.bad, outcome.rows["book_delta"]) == (3, 9)
        assert len(there.events("malformed")) == 1 + 3
        assert there.one("SELECT count() FROM gaps WHERE end IS NULL") == 0


def test_an_archive_cut_short_leaves_nothing(tmp_path: Path) -> None:
    path = write_trades(tmp_path, "BTCUSDT", DAY, trade_rows("BTCUSDT", DAY_MS, 500))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with place(tmp_path) as there:
        with pytest.raises(ArchiveError, match="cut short"):
            there.load(path)
        assert {rows for rows, _ in there.contents().values()} == {0}
        path.write_bytes(content)
        assert there.load(path).rows["trade"] == 500


def test_a_capture_of_the_venue_as_an_archive_is_complete(tmp_path: Path) -> None:
    frames = [
        line.partition(b" ")[2]
        for line in capture("bybit_linear_sol_doge.recv_ns.log").read_bytes().splitlines()
        if b'"topic":"orderbook.200.SOLUSDT"' in line
    ]
    with place(tmp_path) as there:
        outcome = there.load(write_books(tmp_path, "SOLUSDT", "2026-08-09", frames, depth=200))
        assert (outcome.bad, outcome.rows["book_delta"], there.gaps()) == (0, len(frames) - 1, [])


# -- the command


def test_the_command_imports_folders_and_answers_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archives, data = tmp_path / "archives", tmp_path / "data"
    write_trades(archives, "BTCUSDT", DAY, trade_rows("BTCUSDT", DAY_MS, 20))
    write_books(archives / "spot" / "ETHUSDT", "ETHUSDT", DAY, book_lines("ETHUSDT", DAY_MS, 20))
    write_gzip(archives / "BTCUSDT2022-12-12.csv.gz", b"")
    (archives / "index.html").write_text("no archive")
    assert main(["import", str(archives), "--data", str(data), "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert [(one["category"], one["lines"]) for one in told["files"]] == [
        ("", 0),
        ("linear", 21),
        ("spot", 20),
    ]
    assert told["problems"] == []
    assert main(["import", str(archives), "--data", str(data)]) == ExitCode.OK
    said = capsys.readouterr().out
    assert said.count("imported before") == 2
    assert "it is empty: nothing to import" in said
    assert main(["sql", "SELECT count() FROM trades", "--data", str(data), "--format", "TSV"]) == ExitCode.OK


def test_one_bad_file_of_many_does_not_keep_the_others_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archives = tmp_path / "archives"
    write_gzip(archives / "a.csv.gz", b"something else\n")
    write_trades(archives, "BTCUSDT", DAY, trade_rows("BTCUSDT", DAY_MS, 20))
    assert main(["import", str(archives), "--data", str(tmp_path / "d"), "--json"]) == ExitCode.USAGE
    told = json.loads(capsys.readouterr().out)
    assert len(told["problems"]) == 1
    assert "a.csv.gz: this is no archive we know" in told["problems"][0]
    assert told["rows"] == 22


def test_nothing_is_made_for_files_that_cannot_be_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in (DAY, NEXT_DAY):
        path = write_trades(tmp_path, "BTCUSDT", day, trade_rows("BTCUSDT", DAY_MS, 5))
        path.write_bytes(path.read_bytes()[:40])
    for given, message in ((path, "cut short"), (tmp_path, "none of 2 files can be imported")):
        assert main(["import", str(given), "--data", str(tmp_path / "data")]) == ExitCode.USAGE
        assert message in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_imported_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(tmp_path / "data")
    assert main(["import", str(tmp_path / "none.zip"), "--data", data]) == ExitCode.USAGE
    assert "none.zip is not there: give an archive file" in capsys.readouterr().err
    assert main(["import", str(tmp_path), "--data", data]) == ExitCode.USAGE
    assert "holds no archive" in capsys.readouterr().err
    assert not Path(data).exists()
    path = write_trades(tmp_path, "BTCUSDT", DAY, trade_rows("BTCUSDT", DAY_MS, 5))
    with open_embedded(tmp_path / "data" / "clickhouse"):
        assert main(["import", str(path), "--data", data]) == ExitCode.ENVIRONMENT
    error = capsys.readouterr().err
    assert "clickhouse is in use by process" in error
    assert "stop the recording while you import, or record and import into a server" in error
    (tmp_path / "data" / "clickhouse" / "engine").write_text("999.1\n")
    assert main(["import", str(path), "--data", data]) == ExitCode.USAGE
    assert "was written by ClickHouse 999.1" in capsys.readouterr().err
