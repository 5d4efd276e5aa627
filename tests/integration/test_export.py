"""Exports of a small recording, read back by readers of their own."""

import csv
import gzip
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.errors import UsageError
from recorder.database.clickhouse import Database
from recorder.export import folder as export_files
from recorder.export import source as export_source
from recorder.export.folder import MANIFEST
from recorder.export.request import FORMATS, Request
from recorder.export.run import export
from recorder.sql import columns
from tests.support.databases import embedded
from tests.support.exports import DAY_NS, ODD, files, final_book, load, record_market

BUY, SELL, EXCH, LOCAL = 1 << 29, 1 << 28, 1 << 31, 1 << 30


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("recording")
    record_market(folder / "spool")
    with embedded(folder / "clickhouse") as database:
        load(database, folder / "spool", folder)
        yield database


@pytest.mark.parametrize("rows_max", [1, 1 << 18])
def test_parquet_has_every_row_exactly(
    database: Database, tmp_path: Path, rows_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_source, "PAGE_ROWS_MAX", rows_max)
    monkeypatch.setattr(export_source, "BUCKET_RECORDS", 32)
    export(database, Request("parquet"), tmp_path / "out")
    for table, view in (("trade", "trades"), ("bbo", "quotes"), ("ticker", "tickers"), ("kline", "klines")):
        found = pq.read_table(tmp_path / "out" / table)
        names = [name for name in found.column_names if name not in ("date", "source", "side", "kind")]
        names = [name for name in names if "direction" not in name]
        rows = database.query(f"SELECT {', '.join(names)} FROM {view}")
        exported = [tuple(row[name] for name in names) for row in found.to_pylist()]
        assert sorted(map(repr, map(plain, exported))) == sorted(map(repr, map(plain, rows))), table
    for table in ("book_delta", "book_snapshot"):
        found = pq.read_table(tmp_path / "out" / table)
        names = [
            "position",
            "price_scale",
            "size_scale",
            "bid_prices",
            "bid_sizes",
            "ask_prices",
            "ask_sizes",
        ]
        rows = database.query(f"SELECT {', '.join(names)} FROM {table} ORDER BY position")
        exported = sorted(tuple(row[name] for name in names) for row in found.to_pylist())
        assert exported == [tuple(row) for row in rows], table
    assert {row["symbol"] for row in pq.read_table(tmp_path / "out" / "trade").to_pylist()} == {
        "AAAUSDT",
        "BBBUSDT",
        ODD,
    }


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """What two readers of one database give alike: times as text to the ms, maps as lists."""
    return tuple(
        value.strftime("%F %T.%f")[:23]
        if hasattr(value, "strftime")
        else sorted(value.items())
        if isinstance(value, dict)
        else value.normalize()
        if isinstance(value, Decimal)
        else value
        for value in row
    )


def test_every_column_of_a_table_is_exported(database: Database, tmp_path: Path) -> None:
    export(database, Request("parquet"), tmp_path / "out")
    told = {
        "bid_ref", "ask_ref", "bids.step", "bids.size", "asks.step", "asks.size", "ts_lag_ms", "cts_lag_ms",
        "time_lag_ms", "bid_price", "bid_size", "ask_price", "ask_size", "price_scale", "size_scale",
    }  # fmt: skip
    for table in ("book_delta", "book_snapshot", "bbo", "trade", "ticker", "kline"):
        there = set(pq.read_table(tmp_path / "out" / table).column_names)
        assert {name for name, _ in columns(table)} - told <= there, table


def test_csv_has_the_rows_of_the_tables(database: Database, tmp_path: Path) -> None:
    export(database, Request("csv", symbols=("AAAUSDT", ODD)), tmp_path / "out")
    rows = []
    for path in sorted((tmp_path / "out" / "trade").rglob("*.csv.gz")):
        with gzip.open(path, "rt", newline="") as file:
            rows += list(csv.DictReader(file))
        assert f"symbol={rows[-1]['symbol']}" == unquote(path.parent.name)
    expected = database.query(
        "SELECT trade_id, side, price, size FROM trades WHERE symbol != 'BBBUSDT' ORDER BY trade_id"
    )
    found = sorted(
        (row["trade_id"], row["side"], Decimal(row["price"]), Decimal(row["size"])) for row in rows
    )
    assert found == [tuple(row) for row in expected]
    with gzip.open(next((tmp_path / "out" / "book_delta").rglob("*.gz")), "rt", newline="") as file:
        assert json.loads(next(csv.DictReader(file))["ask_prices"]) == [103, 105]


def play(path: Path) -> tuple[dict[int, dict[float, float]], int]:
    """Build the book of the local side by the rules of the format; returns it with the number of trades."""
    events = np.load(path)["data"]
    for flag, clock in ((EXCH, "exch_ts"), (LOCAL, "local_ts")):
        assert (np.diff(events[events["ev"] & np.uint64(flag) > 0][clock]) >= 0).all()
    book: dict[int, dict[float, float]] = {BUY: {}, SELL: {}}
    trades = 0
    for event in events[events["ev"] & np.uint64(LOCAL) > 0]:
        kind, side = int(event["ev"]) & 0xFF, int(event["ev"]) & (BUY | SELL)
        if kind == 3:
            book = {BUY: {}, SELL: {}}
        elif kind == 2:
            trades += 1
        else:
            book[side][float(event["px"])] = float(event["qty"])
            if event["qty"] == 0:
                del book[side][float(event["px"])]
    return book, trades


@pytest.mark.parametrize("rows_max", [1, 1 << 18])
def test_hftbacktest_rebuilds_the_book(
    database: Database, tmp_path: Path, rows_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_source, "PAGE_ROWS_MAX", rows_max)
    monkeypatch.setattr(export_source, "BUCKET_RECORDS", 32)
    export(database, Request("hftbacktest"), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    trades = 0
    books = [entry for entry in manifest["files"] if entry["path"].endswith(".npz")]
    for entry in books:
        book, traded = play(tmp_path / "out" / entry["path"])
        trades += traded
        day = day_of(entry["path"])
        bids, asks = final_book(database, entry["symbol"], day)
        assert sorted(book[BUY].items(), reverse=True) == [(float(p), float(q)) for p, q in bids]
        assert sorted(book[SELL].items()) == [(float(p), float(q)) for p, q in asks]
    assert trades == database.query("SELECT count() FROM trade")[0][0]
    assert sum(entry["gaps"] for entry in books) == 2
    assert manifest["gaps"]["disconnect"]["gaps"] == 8


def day_of(path: str) -> str:
    day = Path(path).stem
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def replay(path: Path) -> tuple[dict[str, dict[Decimal, Decimal]], int]:
    """Build the book of an incremental file by its rules; returns it with how often it began anew."""
    book: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "ask": {}}
    begun, was_snapshot = 0, False
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            is_snapshot = row["is_snapshot"] == "true"
            if is_snapshot and not was_snapshot:
                book = {"bid": {}, "ask": {}}
                begun += 1
            was_snapshot = is_snapshot
            book[row["side"]][Decimal(row["price"])] = Decimal(row["amount"])
            if not Decimal(row["amount"]):
                del book[row["side"]][Decimal(row["price"])]
            assert len(row["timestamp"]) == len(row["local_timestamp"]) == 16
    return book, begun


@pytest.mark.parametrize("rows_max", [1, 1 << 18])
def test_tardis_rebuilds_the_book(
    database: Database, tmp_path: Path, rows_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_source, "PAGE_ROWS_MAX", rows_max)
    monkeypatch.setattr(export_source, "BUCKET_RECORDS", 32)
    export(database, Request("tardis"), tmp_path / "out")
    anew = 0
    for path in (tmp_path / "out").glob("bybit_incremental_book_L2_*"):
        date, _, symbol = path.name.removeprefix("bybit_incremental_book_L2_").partition("_")
        symbol = unquote(symbol.removesuffix(".csv.gz"))
        book, begun = replay(path)
        anew += begun
        bids, asks = final_book(database, symbol, date)
        if bids:  # these files do not say that a book which never came back is gone
            assert (sorted(book["bid"].items(), reverse=True), sorted(book["ask"].items())) == (bids, asks)
    assert anew == 6
    trades = []
    for path in sorted((tmp_path / "out").glob("bybit_trades_*")):
        with gzip.open(path, "rt", newline="") as file:
            trades += [(row["id"], row["side"], Decimal(row["price"])) for row in csv.DictReader(file)]
    expected = database.query("SELECT trade_id, lower(toString(side)), price FROM trades")
    assert sorted(trades) == sorted(tuple(row) for row in expected)


def test_tardis_has_the_columns_of_its_contract(database: Database, tmp_path: Path) -> None:
    export(database, Request("tardis", symbols=("AAAUSDT",)), tmp_path / "out")
    head = ["exchange", "symbol", "timestamp", "local_timestamp"]
    for kind, columns_ in {
        "incremental_book_L2": ["is_snapshot", "side", "price", "amount"],
        "trades": ["id", "side", "price", "amount"],
        "quotes": ["ask_amount", "ask_price", "bid_price", "bid_amount"],
        "derivative_ticker": [
            "funding_timestamp",
            "funding_rate",
            "predicted_funding_rate",
            "open_interest",
            "last_price",
            "index_price",
            "mark_price",
        ],
    }.items():
        (path, *_) = (tmp_path / "out").glob(f"bybit_{kind}_*")
        with gzip.open(path, "rt", newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == head + columns_
        assert all(row[:2] == ["bybit", "AAAUSDT"] for row in rows[1:])


def fixed(value: bytes) -> Decimal:
    return Decimal(int.from_bytes(value, "little", signed=True)).scaleb(-16)


def test_nautilus_has_the_book_and_trades(database: Database, tmp_path: Path) -> None:
    export(database, Request("nautilus"), tmp_path / "out")
    for symbol in ("AAAUSDT", "BBBUSDT", ODD):
        folder = tmp_path / "out" / "data" / "order_book_delta" / f"{symbol.replace('/', '')}-LINEAR.BYBIT"
        book: dict[int, dict[Decimal, Decimal]] = {1: {}, 2: {}}
        times: list[int] = []
        for path in sorted(folder.iterdir()):
            table = pq.read_table(path)
            assert table.schema.metadata[b"instrument_id"].decode() == f"{symbol}-LINEAR.BYBIT"
            for row in table.to_pylist():
                price, size = fixed(row["price"]), fixed(row["size"])
                if row["action"] == 4:
                    book = {1: {}, 2: {}}
                elif row["action"] == 3:
                    book[row["side"]].pop(price, None)
                else:
                    book[row["side"]][price] = size
                times.append(row["ts_init"])
        assert times == sorted(times)
        ((last,),) = database.query("SELECT toString(max(toDate(recv))) FROM book_delta")
        bids, asks = final_book(database, symbol, last)
        assert (sorted(book[1].items(), reverse=True), sorted(book[2].items())) == (bids, asks)
    trades = [
        (row["trade_id"], fixed(row["price"]), fixed(row["size"]), row["aggressor_side"])
        for row in pq.ParquetDataset(tmp_path / "out" / "data" / "trade_tick").read().to_pylist()
    ]
    expected = database.query("SELECT trade_id, price, size, toInt8(side) FROM trades")
    assert sorted(trades) == sorted(tuple(row) for row in expected)


def test_the_manifest_says_what_is_there(database: Database, tmp_path: Path) -> None:
    report = export(database, Request("csv"), tmp_path / "out")
    manifest = json.loads(report.manifest.read_text())
    there = [name for name in files(tmp_path / "out") if name != MANIFEST]
    assert sorted(entry["path"] for entry in manifest["files"]) == there
    for entry in manifest["files"]:
        content = (tmp_path / "out" / entry["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
    gaps = list(csv.DictReader(io.StringIO((tmp_path / "out" / "gaps.csv").read_text())))
    assert len(gaps) == 8
    by_cause: dict[str, int] = defaultdict(int)
    for gap in gaps:
        by_cause[gap["cause"]] += 1
    assert by_cause == {cause: gap["gaps"] for cause, gap in manifest["gaps"].items()}
    assert manifest["doubtful"]["open_gaps"] == sum(gap["end"] == "\\N" for gap in gaps) == 5
    assert manifest["rows"] == sum(entry["rows"] for entry in manifest["files"])


@pytest.mark.parametrize("name", FORMATS)
def test_a_second_run_writes_nothing(name: str, database: Database, tmp_path: Path) -> None:
    request = Request(name, symbols=(ODD,))
    first = export(database, request, tmp_path / "out")
    before = {file: (tmp_path / "out" / file).stat().st_mtime_ns for file in files(tmp_path / "out")}
    second = export(database, request, tmp_path / "out")
    assert (second.written, second.kept) == (0, first.written)
    after = {file: (tmp_path / "out" / file).stat().st_mtime_ns for file in files(tmp_path / "out")}
    assert {file for file in after if after[file] != before.get(file)} == {MANIFEST}


@pytest.mark.parametrize(
    ("name", "step"), [*((name, "rename") for name in FORMATS), ("csv", "write"), ("csv", "log")]
)
def test_an_interrupted_export_goes_on(
    name: str, step: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after every third file, at a step of the next one, it ends as one that was not."""
    request = Request(name, symbols=(ODD,))
    export(database, request, tmp_path / "whole")
    out = tmp_path / "out"
    runs = 0
    while not (out / MANIFEST).exists():
        runs += 1
        assert runs < 20
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            interrupt(patch, step, after=3)
            export(database, request, out)
        for file in set(files(out)) - {MANIFEST}:
            if not file.startswith(".partial/"):
                assert (out / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert runs > 1
    assert files(out) == files(tmp_path / "whole")
    for file in set(files(out)) - {MANIFEST}:
        assert (out / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def interrupt(patch: pytest.MonkeyPatch, step: str, after: int) -> None:
    """Let the next export be interrupted at a step of its file number ``after``, counted from 0."""
    place, name = {
        "write": (export_files.hashlib, "file_digest"),
        "rename": (export_files.Path, "replace"),
        "log": (export_files.ExportFolder, "_log"),
    }[step]
    original = getattr(place, name)
    calls = iter(range(10_000))

    def fail(*arguments: Any) -> Any:
        is_manifest = step == "rename" and arguments[1].name == MANIFEST
        is_header = step == "log" and "export" in arguments[1]
        if not is_manifest and not is_header and next(calls) == after:
            raise KeyboardInterrupt
        return original(*arguments)

    patch.setattr(place, name, fail)


def test_a_range_of_time(database: Database, tmp_path: Path) -> None:
    ((middle, last),) = database.query(
        "SELECT toUnixTimestamp64Nano(quantileExact(0.5)(recv)), toUnixTimestamp64Nano(max(recv)) FROM trade"
    )
    export(database, Request("parquet", start_ns=middle, end_ns=last), tmp_path / "out")
    found = pq.read_table(tmp_path / "out" / "trade").num_rows
    ((expected,),) = database.query(
        f"SELECT count() FROM trade WHERE toUnixTimestamp64Nano(recv) >= {middle}"
        f" AND toUnixTimestamp64Nano(recv) < {last}"
    )
    assert 0 < found == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request("csv", start_ns=2 * 10**18), ("--from was 2033", "from 2026-09-21T23:59:59.4Z to 2026")),
        (Request("csv", end_ns=DAY_NS), ("--to was 1970-01-02T00:00:00Z", "give a time within it")),
        (Request("csv", start_ns=5, end_ns=5), ("is not before",)),
        (Request("csv", symbols=("AAAUSD",)), ("'AAAUSD'", "use AAAUSDT")),
        (Request("csv", categories=("linea",)), ("'linea'", "use linear")),
        (Request("csv", recorder="r2"), ("'r2'", "use r1")),
        (Request("cvs"), ("'cvs'", "parquet, csv, hftbacktest", "use csv")),
    ],
)
def test_what_is_not_there_is_refused(
    request_: Request, expected: tuple[str, ...], database: Database, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as error:
        export(database, request_, tmp_path / "out")
    assert all(text in str(error.value) for text in expected), error.value
    assert not (tmp_path / "out").exists()


def test_folders_of_something_else_are_refused(database: Database, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds other files"):
        export(database, Request("csv"), tmp_path)
    assert files(tmp_path) == ["letter.txt"]
    export(database, Request("csv"), tmp_path / "out")
    with pytest.raises(UsageError, match="format 'csv', and 'parquet' was asked for"):
        export(database, Request("parquet"), tmp_path / "out")
