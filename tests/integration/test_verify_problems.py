"""Each kind of problem that `verify` must find, and how it names it; and what is no problem."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import cli
from recorder.database.clickhouse import Database
from recorder.errors import ExitCode
from recorder.loading.loader import Loader
from recorder.loading.state import states
from recorder.playback import Playback
from recorder.spool.sealing import seal_of
from recorder.spool.seals import Gone, Reason, add_gone
from recorder.spool.segments import segments
from recorder.verify import Selection, VerifyReport, run, verify
from recorder.verify.frames import Frames
from recorder.verify.tables import place
from tests.support.databases import embedded, use_another
from tests.support.listed import raw_frames
from tests.support.market import START_NS, S, SpoolMaker, book_frame, make_market

SYMBOLS = ("AAAUSDT", "BBBUSDT")
DAY = "2026-09-21"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs over several segments, with a lost connection and a minute between them."""
    folder = tmp_path_factory.mktemp("verify") / "spool"
    maker = SpoolMaker(folder)
    make_market(maker, 300, SYMBOLS)
    maker.beat(61)  # then whole books of ours are due
    for symbol in SYMBOLS:
        maker.frame(book_frame(symbol, "delta", 251, [("10.1", "9")]))
    maker.disconnect("eof")
    maker.close()
    again = SpoolMaker(folder, start_ns=maker.now_ns + 60 * S, wanted=maker.topics)
    make_market(again, 300, SYMBOLS)
    again.close()
    assert len(segments(folder)) >= 4
    return folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with embedded(tmp_path_factory.mktemp("clickhouse")) as database:
        yield database


@pytest.fixture(scope="module")
def loaded(made: Path, engine: Database, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """All of the spool, in which nothing is wrong; what a test changes it changes back."""
    use_another(engine, "loaded")
    loader = Loader(made, engine, "r1", tmp_path_factory.mktemp("state"), batch_records=100)
    loader.recover()
    loader.drain()
    loader.close()
    return engine


@pytest.fixture
def database(loaded: Database) -> Iterator[Database]:
    """The rows of some tables are put back after a test that changes them."""
    tables = ("book_delta", "book_snapshot", "trade", "gap", "load_batch")
    for table in tables:
        loaded.command(f"CREATE TABLE kept_{table} AS {table} ENGINE = MergeTree ORDER BY tuple()")
        loaded.command(f"INSERT INTO kept_{table} SELECT * FROM {table}")
    yield loaded
    for table in tables:
        loaded.command(f"TRUNCATE TABLE {table}")
        loaded.command(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        loaded.command(f"DROP TABLE kept_{table}")


def change(database: Database, table: str, what: str, where: str) -> None:
    database.command(f"ALTER TABLE {table} {what} WHERE {where} SETTINGS mutations_sync = 2")


def one_position(database: Database, table: str, where: str = "1") -> int:
    return int(database.query(f"SELECT max(position) - 0 FROM {table} WHERE {where}")[0][0])


def of_batch(position: int) -> str:
    return f"{position} BETWEEN first_position AND last_position"


def both(spool: Path, database: Database) -> tuple[list[str], list[str]]:
    """The problems as spool and database show them, and as the database alone does."""
    return verify(spool, database, "r1").problems, verify(None, database, "r1").problems


def test_nothing_is_wrong_with_what_was_loaded(made: Path, loaded: Database) -> None:
    reports = [verify(made, loaded, "r1"), verify(made, None, "r1"), verify(None, loaded, "r1")]
    assert [report.problems for report in reports] == [[], [], []]
    assert reports[0].snapshots > 4
    assert reports[0].frames == reports[1].frames > 900


def test_a_row_that_is_gone(made: Path, database: Database) -> None:
    position = one_position(database, "trade", "symbol = 'AAAUSDT'")
    change(database, "trade", "DELETE", f"position = {position} AND item = 1")
    problems, alone = both(made, database)
    assert len(problems) == len(alone) == 1
    assert problems[0].startswith(f"trade linear AAAUSDT {DAY}: ")
    assert problems[0].endswith(f"missing: {place(position)}")
    assert alone[0].startswith(f"trade {DAY}: the batch ")


def test_a_row_that_is_there_twice(made: Path, database: Database) -> None:
    position = one_position(database, "trade")
    database.command(f"INSERT INTO trade SELECT * FROM kept_trade WHERE position = {position} AND item = 0")
    problems, alone = both(made, database)
    assert [text.partition("repeated: ")[2] for text in problems] == [f"there twice: {place(position)}"]
    assert len(alone) == 1


@pytest.mark.parametrize("number", ["size = size + 1", "price = price - 1", "time_lag_ms = time_lag_ms + 1"])
def test_a_number_that_is_one_off(made: Path, database: Database, number: str) -> None:
    position = one_position(database, "trade")
    change(database, "trade", f"UPDATE {number}", f"position = {position} AND item = 0")
    problems = verify(made, database, "r1").problems
    assert [text.rpartition(" repeated: ")[2] for text in problems] == [
        f"of other numbers: {place(position)}"
    ]


def test_a_position_that_is_one_off(made: Path, database: Database) -> None:
    position = one_position(database, "trade", "symbol = 'BBBUSDT'")
    change(database, "trade", "DELETE", f"position = {position}")
    database.command(
        "INSERT INTO trade SELECT * REPLACE (position + 1 AS position) FROM"
        f" (SELECT * FROM kept_trade WHERE position = {position})"
    )
    (problem,) = verify(made, database, "r1").problems
    assert problem.endswith(f"missing: {place(position)}; not in the spool: {place(position + 1)}")


def test_a_gap_that_is_gone_from_the_ledger(made: Path, database: Database) -> None:
    position = one_position(database, "gap", "topic = 'tickers.AAAUSDT' AND end IS NULL")
    change(database, "gap", "DELETE", f"position = {position} AND topic = 'tickers.AAAUSDT'")
    problems, alone = both(made, database)
    assert problems[0].startswith("gap linear tickers.AAAUSDT ")
    assert alone[0].startswith(f"gap {DAY}: the batch ")


def test_a_delta_that_is_gone_is_a_hole_that_no_gap_names(database: Database) -> None:
    position = one_position(database, "book_delta", "symbol = 'AAAUSDT'") - 1
    before = one_position(database, "book_delta", f"symbol = 'AAAUSDT' AND position < {position}")
    change(database, "book_delta", "DELETE", f"position = {before}")
    fewer = "arrayMap((name, rows) -> rows - (name = 'book_delta'), `tables.name`, `tables.rows`)"
    change(database, "load_batch", f"UPDATE `tables.rows` = {fewer}", of_batch(before))
    problems = verify(None, database, "r1").problems
    assert len(problems) == 1
    assert problems[0].startswith(f"book linear AAAUSDT 50 {DAY}: update ")
    assert "no gap says why" in problems[0]


@pytest.mark.parametrize("origin", ["venue", "own"])
def test_a_checksum_that_is_another(database: Database, origin: str) -> None:
    position = one_position(database, "book_snapshot", f"origin = '{origin}' AND symbol = 'AAAUSDT'")
    change(database, "book_snapshot", "UPDATE checksum = checksum + 1", f"position = {position}")
    (problem,) = verify(None, database, "r1").problems
    assert problem.endswith(f"the levels of the whole book at {place(position)} have another checksum")


def test_a_whole_book_that_the_rows_before_do_not_lead_to(database: Database) -> None:
    position = one_position(database, "book_snapshot", "origin = 'own' AND symbol = 'AAAUSDT'")
    first = database.query(
        "SELECT max(position) FROM book_delta WHERE symbol = 'AAAUSDT' AND position <= {p:UInt64}",
        {"p": position},
    )[0][0]
    change(
        database,
        "book_delta",
        "UPDATE `bids.size` = arrayMap(x -> x + 1, `bids.size`)",
        f"position = {first}",
    )
    problems = verify(None, database, "r1").problems
    assert any(f"than was recorded at {place(position)}" in problem for problem in problems), problems


def test_a_frame_that_the_loader_skipped(made: Path, database: Database) -> None:
    position = one_position(database, "trade")
    change(database, "trade", "DELETE", f"position = {position}")
    change(database, "load_batch", "UPDATE records = records - 1", of_batch(position))
    problems = verify(made, database, "r1").problems
    assert any(place(position) in problem for problem in problems)
    assert any(problem.startswith("load_batch: the commit marks say") for problem in problems)


def test_a_frame_that_playback_forgets(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(Playback):
        def close(self) -> None:
            self.frames -= 1
            super().close()

    monkeypatch.setattr(run, "Playback", Forgetful)
    (problem,) = verify(made, None, "r1").problems
    assert problem.startswith("frames: ")
    assert problem.endswith("of them")


def copied(made: Path, folder: Path) -> Path:
    spool = folder / "spool"
    shutil.copytree(made, spool)
    return spool


def gone_through(made: Path) -> int:
    """A segment with a state, and others after it."""
    kept = states(made)
    assert kept[0] > 1
    assert kept[0] < segments(made)[-1].number
    return kept[0]


def test_segments_that_have_expired_are_no_problem(made: Path, loaded: Database, tmp_path: Path) -> None:
    spool, last = copied(made, tmp_path), gone_through(made)
    previous = 0
    for segment in segments(spool)[:last]:
        seal = seal_of(segment, "r1")
        add_gone(spool, "r1", Gone.of(seal, Reason.EXPIRED), previous)
        previous = seal.last_position
        segment.path.unlink()
    report = verify(spool, loaded, "r1")
    assert report.problems == []
    assert [(first, end) for first, end, _ in report.sources.expired] == [(1, last)]
    assert f"segments 1 to {last} have expired" in report.text()
    assert (
        0
        < sum(check.expected for check in report.rows)
        < sum(check.expected for check in verify(made, loaded, "r1").rows)
    )


def test_a_segment_that_somebody_removed(made: Path, loaded: Database, tmp_path: Path) -> None:
    spool, last = copied(made, tmp_path), gone_through(made)
    next(segment for segment in segments(spool) if segment.number == last).path.unlink()
    report = verify(spool, loaded, "r1")
    assert [text.partition(",")[0] for text in report.problems] == [
        f"spool: segments {last} to {last} are missing"
    ]
    alone = verify(spool, None, "r1").problems
    assert len(alone) == 1
    assert "are missing" in alone[0]


def test_other_rows_are_checked_where_the_spool_has_expired(
    made: Path, database: Database, tmp_path: Path
) -> None:
    spool, last = copied(made, tmp_path), gone_through(made)
    previous = 0
    for segment in segments(spool)[:last]:
        seal = seal_of(segment, "r1")
        add_gone(spool, "r1", Gone.of(seal, Reason.EXPIRED), previous)
        previous = seal.last_position
        segment.path.unlink()
    change(database, "trade", "DELETE", "position = (SELECT min(position) FROM trade)")
    (problem,) = verify(spool, database, "r1").problems
    assert problem.startswith(f"trade {DAY}: the batch ")


def test_a_log_of_what_was_sent(made: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [b"1 1 " + frame for frame in raw_frames(made)]
    log.write_bytes(b"\n".join([*lines, b'2 1 # {"fault": "hang"}']) + b"\n")
    report = verify(made, None, "r1", against=log)
    assert report.problems == []
    assert report.sent == report.frames
    late = b'1 1 {"topic":"publicTrade.CCCUSDT","data":[]}'
    log.write_bytes(b"\n".join([*lines, late]) + b"\n")
    (problem,) = verify(made, None, "r1", against=log).problems
    assert problem == "log publicTrade.CCCUSDT: 1 frames were sent, 0 are in the spool, and no gap of it"


def test_only_what_is_selected_is_compared(made: Path, database: Database) -> None:
    change(database, "trade", "DELETE", "symbol = 'AAAUSDT'")
    other = verify(made, database, "r1", selection=Selection(symbols=frozenset(["BBBUSDT"])))
    assert other.problems == []
    assert {day.symbol for day in other.days} == {"BBBUSDT"}
    assert any(check.expected for check in other.rows)
    before = verify(made, database, "r1", selection=Selection(end_ns=START_NS))
    assert not any(check.expected for check in before.rows if check.table != "load_batch")


def test_the_numbers_are_the_same_from_either_side(made: Path, loaded: Database) -> None:
    of_both, of_spool, of_database = (
        verify(*sides, "r1") for sides in ((made, loaded), (made, None), (None, loaded))
    )
    assert [day.symbol for day in of_both.days if day.symbol] == list(SYMBOLS)
    for one, two, three in zip(of_both.days, of_spool.days, of_database.days, strict=True):
        assert (one.recv_ts, one.recv_cts) == (two.recv_ts, two.recv_cts) == (three.recv_ts, three.recv_cts)
        assert one.gaps == two.gaps == three.gaps
        assert one.verified_s == pytest.approx(two.verified_s) == pytest.approx(three.verified_s)
        assert (one.frames, one.wanted_s) == (two.frames, two.wanted_s)
        assert one.verdict == two.verdict == three.verdict


def test_verified_and_clean_time_by_hand(tmp_path: Path) -> None:
    """A book for 10 s, its connection gone for 30 s, and again for 10 s: 20 of 50 s were confirmed."""
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect("orderbook.50.AUSDT")
    ten = [maker.frame(book_frame("AUSDT", "snapshot", 1, [("1", "1")], [("2", "1")]), 0)]
    ten += [maker.frame(book_frame("AUSDT", "delta", 2 + n, [("1", f"{n + 2}")]), S) for n in range(10)]
    maker.disconnect("eof")
    maker.beat(30)
    maker.connect("orderbook.50.AUSDT")
    maker.frame(book_frame("AUSDT", "snapshot", 90, [("1", "1")], [("2", "1")]), 0)
    for number in range(10):
        maker.frame(book_frame("AUSDT", "delta", 91 + number, [("1", f"{number + 2}")]), S)
    maker.close()
    report: VerifyReport = verify(tmp_path / "spool", None, "r1")
    (day,) = [one for one in report.days if one.symbol]
    assert day.wanted_s == pytest.approx(50)
    assert day.verified_s == pytest.approx(20)
    assert (day.verified_pct, day.clean_pct) == (40.0, 40.0)
    assert [(gap.cause, gap.fault, gap.gaps, gap.seconds) for gap in day.gaps] == [
        ("disconnect", "network", 1, 30.0)
    ]
    assert day.verdict == "missing"


def test_the_command(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    copied(made, data)
    assert cli.main(["verify", str(data), "--only", "spool", "--day", DAY, "--json"]) == ExitCode.OK
    said = json.loads(capsys.readouterr().out)
    assert said["is_right"]
    assert [day["symbol"] for day in said["days"] if day["symbol"]] == list(SYMBOLS)
    assert said["sources"]["inputs"]
    assert cli.main(["verify", str(data), "--day", "today"]) == ExitCode.USAGE
    assert cli.main(["verify", str(data), "--only", "tape"]) == ExitCode.USAGE
    assert cli.main(["verify", str(data), "--against", str(tmp_path / "none")]) == ExitCode.USAGE


def test_frames_are_counted_without_a_playback(made: Path) -> None:
    frames = Frames(Selection())
    assert list(frames.run(made, 0, (1 << 64) - 1)) == []
    assert frames.frames == len(raw_frames(made))
    assert set(frames.by_symbol) == {(START_NS // (86_400 * S), "linear", symbol) for symbol in SYMBOLS}
