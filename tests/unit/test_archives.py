"""Archive files without a database: unpacking, formats, names."""

import gzip
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ext.listener import Listener
from recorder.archives import unpacking
from recorder.archives.archive import Archive, examine, hash_of
from recorder.archives.derivative_trades import NEEDED, DerivativeTradesFormat
from recorder.archives.errors import ArchiveError
from recorder.archives.lines import BadLineError, Line, Occurrences
from recorder.archives.names import category_of, hints, period_of
from recorder.archives.orderbook import OrderBookFormat
from recorder.archives.playback import ArchivePlayback
from recorder.archives.spot_trades import SpotTradesFormat
from recorder.archives.trades import Columns, header_of
from recorder.archives.unpacking import Lines
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

DAY = "2024-12-01"
DAY_MS = day_ms(DAY)
SEEDS = range(40)


def look_at(path: Path, category: str = "", symbol: str = "") -> Archive:
    return examine(path, hash_of(path, lambda _: None), category, symbol, lambda _: None)


def lines_of(path: Path) -> list[bytes]:
    with Lines(path) as lines:
        return list(lines)


def derivative(columns: str = DERIVATIVE_HEADER) -> DerivativeTradesFormat:
    return DerivativeTradesFormat(Columns(header_of(columns.encode())), {})


def spot() -> SpotTradesFormat:
    return SpotTradesFormat(Columns(header_of(SPOT_HEADER.encode())), "BTCUSDT")


# -- unpacking


def test_lines_of_any_container_are_the_same(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfone\r\ntwo\n\nfour"
    plain = tmp_path / "a.csv"
    plain.write_bytes(content)
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("../../etc/evil", content)
        archive.writestr("folder/", "")
        archive.writestr("again", content)
    assert lines_of(plain) == [b"one", b"two", b"", b"four"]
    assert lines_of(write_gzip(tmp_path / "a.gz", content)) == lines_of(plain)
    assert lines_of(zipped) == 2 * lines_of(plain)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.gz", "a.zip"]


def test_what_is_cut_short_anywhere_is_told(tmp_path: Path) -> None:
    whole = {
        "a.gz": write_gzip(tmp_path / "a.gz", csv(DERIVATIVE_HEADER, trade_rows("X", DAY_MS, 300))),
        "a.zip": write_zip(tmp_path / "a.zip", [("a", book_lines("X", DAY_MS, 300))]),
    }
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    random_number = random.Random(seed)
    for name, path in whole.items():
        content = path.read_bytes()
        cut = tmp_path / f"cut-{name}"
        for size in [len(content) - 1, *(random_number.randrange(30, len(content)) for _ in range(20))]:
            cut.write_bytes(content[:size])
            with pytest.raises(ArchiveError, match=r"cut short or damaged.*download it again"):
                look_at(cut)


def test_a_flipped_bit_is_told(tmp_path: Path) -> None:
    path = write_books(tmp_path, "X", DAY, book_lines("X", DAY_MS, 300))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="damaged"):
        look_at(path)


def test_what_unpacks_beyond_all_measure_is_refused_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(100 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="250 times its size"):
            look_at(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    monkeypatch.setattr(unpacking, "UNPACKED_BYTES_MAX", 1 << 30)
    monkeypatch.setattr(unpacking, "RATIO_MAX", 2000)
    assert [len(line) for line in lines_of(path)] == [unpacking.LINE_BYTES_MAX]
    monkeypatch.setattr(unpacking, "UNPACKED_BYTES_MAX", 1 << 20)
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        look_at(path)


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [(str(number), [b"x"]) for number in range(1001)])
    with pytest.raises(ArchiveError, match="1001 members, 1000 are the limit"):
        look_at(path)


def test_memory_does_not_depend_on_the_size_of_the_file(tmp_path: Path) -> None:
    def peak(trades: int) -> int:
        path = write_trades(tmp_path, "X", DAY, trade_rows("X", DAY_MS, trades, step_ms=1))
        tracemalloc.start()
        try:
            archive = look_at(path)
            playback = ArchivePlayback(archive, Listener())
            while playback.run(archive.lines):
                pass
            playback.close()
            assert playback.trades == trades
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(60_000) < 1.5 * peak(15_000)  # it would be four times


# -- what a file is


def test_a_file_is_recognised_by_its_content(tmp_path: Path) -> None:
    books = look_at(write_books(tmp_path / "inverse", "BTCUSD", DAY, book_lines("BTCUSD", DAY_MS, 3)))
    assert (books.category, books.symbol, books.lines, books.is_of_books) == ("inverse", "BTCUSD", 3, True)
    trades = look_at(write_trades(tmp_path, "BTCUSDT", DAY, trade_rows("BTCUSDT", DAY_MS, 3)))
    assert (trades.category, trades.symbol, trades.lines) == ("linear", "BTCUSDT", 4)
    rows = csv(SPOT_HEADER, spot_rows(DAY_MS, 3))
    month = look_at(write_gzip(tmp_path / "BTCUSDT-2024-12.csv.gz", rows))
    assert (month.category, month.symbol, month.recorder) == (
        "spot",
        "BTCUSDT",
        f"import-{month.sha256[:16]}",
    )
    with pytest.raises(ArchiveError, match=r"do not say of which symbol.*--symbol"):
        look_at(write_gzip(tmp_path / "x.gz", rows))
    assert look_at(tmp_path / "x.gz", symbol="ETHUSDT").symbol == "ETHUSDT"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PNG and more\n", "no archive we know: its first line is 'PNG and more'"),
        (b"\x00\xff\n" * 3, "no archive we know"),
        (b'{"topic":"tickers.X","ts":1}\n', "no archive we know"),
        (
            csv("timestamp,symbol,side,size,price,tickDirection", []),
            "no column trdMatchID: .*needed are timestamp",
        ),
        (csv("timestamp,symbol,side,size,trdMatchID", []), "no column price"),
        (csv("id,timestamp,volume,side", []), "no column price"),
        (csv(DERIVATIVE_HEADER, ["a,b"] * 20), "no line of its beginning reads: 2 fields, expected 10"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(ArchiveError, match=problem):
        look_at(write_gzip(tmp_path / "BTCUSDT2024-12-01.csv.gz", content))


def test_a_category_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = write_gzip(tmp_path / "BTCUSDT_2024-12-01.csv.gz", csv(SPOT_HEADER, spot_rows(DAY_MS, 3)))
    with pytest.raises(ArchiveError, match="'option'; archives are of spot, linear, inverse"):
        look_at(path, category="option")
    with pytest.raises(ArchiveError, match="columns are those of spot trades"):
        look_at(path, category="linear")


@pytest.mark.parametrize("content", [b"", b"\n\n", csv(DERIVATIVE_HEADER, []), csv(SPOT_HEADER, [])])
def test_an_empty_file_has_no_lines(tmp_path: Path, content: bytes) -> None:
    assert look_at(write_gzip(tmp_path / "BTCUSDT2022-12-12.csv.gz", content)).lines == 0


def test_names_say_what_they_say() -> None:
    books = hints(Path("linear/BTC-29DEC23/2023-12-01_BTC-29DEC23_ob200.data.zip"))
    assert (books.symbol, books.period, books.depth, books.category) == (
        "BTC-29DEC23",
        "2023-12-01",
        200,
        "linear",
    )
    assert hints(Path("BTC-29DEC232023-12-01.csv.gz")).symbol == "BTC-29DEC23"
    assert hints(Path("BTCUSDT_2023-12-01.csv.gz")).period == "2023-12-01"
    month = hints(Path("BTCUSDT-2023-12.csv"))
    assert (month.symbol, month.period) == ("BTCUSDT", "2023-12")
    renamed = hints(Path("trading/DATAOLD01USDT/DATAUSDT2023-12-01.csv.gz"))
    assert (renamed.symbol, renamed.folder_symbol) == ("DATAUSDT", "DATAOLD01USDT")
    assert hints(Path("whatever.zip")).symbol == ""
    spelled = ("BTCUSD", "BTCUSDH25", "BTCUSDT", "BTCPERP", "BTC-29DEC23")
    assert [category_of(one) for one in spelled] == ["inverse", "inverse", "linear", "linear", "linear"]


def test_periods_are_utc_days_and_months() -> None:
    first, end = period_of("2024-12-01")
    assert (first, end - first) == (DAY_MS * 10**6, 86_400 * 10**9)
    first, end = period_of("2024-02")
    assert end - first == 29 * 86_400 * 10**9
    assert period_of("2024-13-77") == period_of("") == (0, 1 << 63)


# -- lines


def test_a_trade_keeps_its_digits() -> None:
    row = "1767225600.6864,BTCUSDT,Sell,0.010,87600.50,MinusTick,ab-1,2.493e+09,0.010,876.0050"
    line = derivative().read(row.encode())
    assert line is not None
    assert line.recv_ns == 1_767_225_600_686_400_000
    assert line.frame == (
        b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1767225600686,"data":[{"T":1767225600686,'
        b'"s":"BTCUSDT","S":"Sell","v":"0.010","p":"87600.50","L":"MinusTick","i":"ab-1","BT":false,"RPI":false}]}'
    )


def test_old_and_new_spellings_of_trades() -> None:
    def read(row: str) -> Line:
        line = derivative(DERIVATIVE_HEADER + ",RPI,later").read(row.encode())
        assert line is not None
        return line

    old = read("1585180800,XRPUSD,Buy,1e-05,1E2,SomeTick,id,,,,1,x")
    assert old.recv_ns == 1_585_180_800 * 10**9
    assert b'"v":"0.00001","p":"100","L":"","i":"id","BT":false,"RPI":true' in old.frame
    assert b'"RPI":false' in read('1585180800,"XRPUSD",Buy,1,1,,id,,,,False,x').frame
    assert read("1.5851808e+09,X,Buy,1,1,,id,,,,,").recv_ns == 1_585_180_800 * 10**9


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("x,X,Buy,1,1,,id,,,", "timestamp was 'x', expected a number"),
        ("1,X,Buy,1,1,,id,,,", "timestamp was '1', which is not of this century"),
        ("1585180800,X,Bid,1,1,,id,,,", "side was 'Bid', expected Buy or Sell"),
        ("1585180800,X,Buy,-1,1,,id,,,", "size was '-1', expected a number"),
        ("1585180800,X,Buy,1,nan,,id,,,", "price was 'nan'"),
        ("1585180800,X,Buy,1,1e99,,id,,,", "price was '1e99'; 18 digits are the limit"),
        ("1585180800,X,Buy,1,1,,,,,", "trdMatchID was ''"),
        ("1585180800,X,Buy,1,1,,a\\b,,,", "trdMatchID was"),
        ('1585180800,X"},Buy,1,1,,id,,,', "expected"),
        ("1585180800,,Buy,1,1,,id,,,", "symbol was ''"),
        ("1585180800,X,Buy,1,1", "5 fields, expected 10"),
        ("1585180800,\u00e9,Buy,1,1,,id,,,", "no ASCII"),
    ],
)
def test_a_bad_field_is_named(row: str, problem: str) -> None:
    with pytest.raises(BadLineError, match=problem):
        derivative().read(row.encode())


def test_headers_and_empty_lines_say_nothing() -> None:
    assert derivative().read(DERIVATIVE_HEADER.encode()) is None
    assert derivative().read(b"") is None
    assert spot().read(SPOT_HEADER.encode()) is None


def test_spot_trades_are_known_by_content_and_count() -> None:
    reader = spot()
    rows = [
        "1,1700000000123,100.50,0.10,buy,0",
        "2,1700000000123,100.5,0.1,buy,0",
        "3,1700000000124,100.5,0.1,sell,1",
    ]
    lines = [reader.read(row.encode()) for row in rows]
    trades = [line.trade for line in lines if line is not None and line.trade is not None]
    assert [trade.trade_id for trade in trades] == [
        "1700000000123-B-100.5-0.1-1",
        "1700000000123-B-100.5-0.1-2",
        "1700000000124-S-100.5-0.1-1",
    ]
    assert [trade.side for trade in trades] == ["Buy", "Buy", "Sell"]


def test_occurrences_forget_only_what_is_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Occurrences, "REMEMBERED_MAX", 3)
    occurrences = Occurrences()
    assert [occurrences.count(key) for key in "aabcacdefga"] == [1, 2, 1, 1, 3, 2, 1, 1, 1, 1, 1]
    assert len(occurrences._recent) + len(occurrences._older) <= 6


def test_a_frame_of_a_book_is_not_touched() -> None:
    for frame in book_lines("BTCUSDT", DAY_MS, 2):
        line = OrderBookFormat({}).read(frame)
        assert (line.frame, line.symbol, line.recv_ns // 10**6 - DAY_MS in (0, 100)) == (
            frame,
            "BTCUSDT",
            True,
        )
    renamed = OrderBookFormat({"BTCUSDT": "XUSDT"}).read(frame)
    assert renamed.frame == book_lines("XUSDT", DAY_MS, 2)[1]
    with pytest.raises(BadLineError, match="no frame of a book: 'junk'"):
        OrderBookFormat({}).read(b"junk")


# -- anything at all


def _mutated(content: bytes, random_number: random.Random) -> bytes:
    at = random_number.randrange(len(content))
    end = min(len(content), at + random_number.randrange(1, 40))
    choice: list[Callable[[], bytes]] = [
        lambda: content[:at],
        lambda: content[:at] + content[end:],
        lambda: content[:at] + random_number.randbytes(end - at) + content[end:],
        lambda: content[:end] + content[at:],
        lambda: content.replace(b",", random_number.choice([b";", b",,", b'"', b"\n"]), 3),
    ]
    return random_number.choice(choice)()


@pytest.mark.parametrize("kind", ["books", "trades", "spot"])
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    content = {
        "books": b"\n".join(book_lines("BTCUSDT", DAY_MS, 8)),
        "trades": csv(DERIVATIVE_HEADER, trade_rows("BTCUSDT", DAY_MS, 8)),
        "spot": csv(SPOT_HEADER, spot_rows(DAY_MS, 8)),
    }[kind]
    refused = 0
    for seed in SEEDS:
        random_number = random.Random(seed)
        damaged = _mutated(content, random_number)
        packed = (
            gzip.compress(damaged, mtime=0)
            if seed % 2
            else _mutated(gzip.compress(damaged, mtime=0), random_number)
        )
        path = tmp_path / "BTCUSDT_2024-12-01.csv.gz"
        path.write_bytes(packed)
        try:
            archive = look_at(path)
        except ArchiveError:
            refused += 1
            continue
        playback = ArchivePlayback(archive, Listener())
        while archive.lines and playback.run(archive.lines):
            pass
        playback.close()
        assert playback.position == archive.lines, f"seed {seed}"
    assert 0 < refused < len(SEEDS)


def test_columns_that_are_needed_are_in_the_header_of_the_venue() -> None:
    assert Columns(header_of(DERIVATIVE_HEADER.encode())).missing(NEEDED) == []
