"""What is special in a recording, and has to be in its exports: gaps, clocks, depths, recorders."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from ext.journal import RecordKind
from recorder.archives.importer import ImportOptions, import_file
from recorder.database.clickhouse import Database
from recorder.export.folder import MANIFEST
from recorder.export.hftbacktest import EVENT, _merged, _ordered
from recorder.export.request import Request
from recorder.export.run import export
from recorder.ledger import missed
from tests.support.archives import book_lines, day_ms, trade_rows, write_books, write_trades
from tests.support.databases import embedded, use_another
from tests.support.exports import load
from tests.support.market import S, SpoolMaker, book_frame, trade_frame


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with embedded(tmp_path_factory.mktemp("clickhouse")) as database:
        yield database


@pytest.fixture
def database(engine: Database, request: pytest.FixtureRequest) -> Database:
    use_another(engine, f"d{abs(hash(request.node.name))}")
    return engine


def events_of(database: Database, out: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Export to hftbacktest; returns the only array, and the manifest."""
    export(database, Request("hftbacktest", **options), out)
    manifest = json.loads((out / MANIFEST).read_text())
    (path,) = [entry["path"] for entry in manifest["files"] if entry["path"].endswith(".npz")]
    return np.load(out / path)["data"], manifest


def kinds(events: Any) -> list[tuple[int, float, float]]:
    """Kind, price and size of each event."""
    return [(int(event["ev"]) & 0xFF, float(event["px"]), float(event["qty"])) for event in events]


def test_a_book_that_went_on_after_a_gap_is_given_whole(database: Database, tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect("orderbook.50.AUSDT")
    maker.frame(book_frame("AUSDT", "snapshot", 1, [("10", "1")], [("11", "1"), ("12", "2")]))
    maker.record(RecordKind.LOST, missed(maker.now_ns, maker.now_ns + S, "stall", ""))
    maker.now_ns += S
    now_ms = maker.now_ns // 1_000_000 + 5
    maker.frame(book_frame("AUSDT", "delta", 2, [("10", "3")], [("12", "0")], ts_ms=now_ms))
    maker.frame(book_frame("AUSDT", "delta", 3, [], [("11", "4")], ts_ms=now_ms + 10))
    maker.close()
    load(database, tmp_path / "spool", tmp_path)
    events, manifest = events_of(database, tmp_path / "out")
    whole = [(4, 10, 1), (4, 11, 1), (4, 12, 2)]
    again = [(4, 10, 3), (4, 11, 1)]
    assert kinds(events) == [(3, 0, 0), *whole, (3, 0, 0), (3, 0, 0), *again, (1, 11, 4)]
    assert manifest["gaps"]["stall"] == {"gaps": 1, "open": 0, "seconds": 1.0}
    export(database, Request("tardis"), tmp_path / "tardis")
    (path,) = (tmp_path / "tardis").glob("*incremental*")
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    flags = [line.split(",")[4:] for line in lines[1:]]
    assert flags[3:5] == [["true", "bid", "10", "3"], ["true", "ask", "11", "1"]]


def test_level_1_is_a_book_of_two_levels(database: Database, tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect("orderbook.1.AUSDT")
    maker.frame(book_frame("AUSDT", "snapshot", 1, [("10", "1")], [("11", "1")], depth=1))
    maker.frame(book_frame("AUSDT", "snapshot", 2, [("10.5", "2")], [("11", "1")], depth=1))
    maker.close()
    load(database, tmp_path / "spool", tmp_path)
    events, manifest = events_of(database, tmp_path / "out")
    assert kinds(events) == [(3, 0, 0), (4, 10, 1), (4, 11, 1), (3, 0, 0), (4, 10.5, 2), (4, 11, 1)]
    assert manifest["files"][-1]["depth"] == 1


def test_the_deepest_book_or_the_one_asked_for(database: Database, tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect("orderbook.50.AUSDT", "orderbook.200.AUSDT")
    for depth, price in ((50, "10"), (200, "9")):
        maker.frame(book_frame("AUSDT", "snapshot", 1, [(price, "1")], [("11", "1")], depth=depth))
    maker.close()
    load(database, tmp_path / "spool", tmp_path)
    assert kinds(events_of(database, tmp_path / "deepest")[0])[1] == (4, 9, 1)
    assert kinds(events_of(database, tmp_path / "asked", depth=50)[0])[1] == (4, 10, 1)


def test_events_of_clocks_that_disagree(database: Database, tmp_path: Path) -> None:
    """A trade that happened before a book's change and came after it; a clock that was set back."""
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect("orderbook.50.AUSDT", "publicTrade.AUSDT")
    now_ms = maker.now_ns // 1_000_000
    maker.frame(book_frame("AUSDT", "snapshot", 1, [("10", "1")], [("11", "1")], ts_ms=now_ms + 5))
    maker.frame(trade_frame("AUSDT", [("a", "Buy", "11", "1")], ts_ms=now_ms))
    maker.wall_ahead_ns = -S
    maker.frame(book_frame("AUSDT", "delta", 2, [("10", "2")], ts_ms=now_ms + 20))
    maker.close()
    load(database, tmp_path / "spool", tmp_path)
    events, manifest = events_of(database, tmp_path / "out")
    for flag, clock in ((1 << 31, "exch_ts"), (1 << 30, "local_ts")):
        told = events[events["ev"] & np.uint64(flag) > 0]
        assert (np.diff(told[clock]) >= 0).all()
        assert len(told) == 5
    assert len(events) == 6
    assert manifest["doubtful"]["events_before_their_exchange_time"] == 1


def test_of_two_recorders_the_one_with_shorter_gaps(database: Database, tmp_path: Path) -> None:
    for name, is_lossy in (("a", True), ("b", False)):
        maker = SpoolMaker(tmp_path / name / "spool", name)
        maker.connect("orderbook.50.AUSDT", "publicTrade.AUSDT")
        maker.frame(book_frame("AUSDT", "snapshot", 1, [("10", "1")], [("11", "1")]))
        if is_lossy:
            maker.record(RecordKind.LOST, missed(maker.now_ns, maker.now_ns + S, "stall", ""))
        for number in range(3):
            maker.frame(trade_frame("AUSDT", [(f"t{number}", "Buy", "11", "1")]))
        maker.close()
        load(database, tmp_path / name / "spool", tmp_path / name, name)
    events, manifest = events_of(database, tmp_path / "out")
    assert [entry["recorder"] for entry in manifest["files"] if "recorder" in entry] == ["b"]
    assert (events["ev"] & np.uint64(0xFF) == 2).sum() == 3
    events, manifest = events_of(database, tmp_path / "asked", recorder="a")
    assert [entry["recorder"] for entry in manifest["files"] if "recorder" in entry] == ["a"]
    report = export(database, Request("parquet"), tmp_path / "parquet")
    assert report.summary["commit_marks"].keys() == {"a", "b"}
    traded = [
        entry["rows"]
        for entry in json.loads(report.manifest.read_text())["files"]
        if "/trade/" in f"/{entry['path']}"
    ]
    assert traded == [6]


def test_an_imported_day_has_its_book_and_its_trades(database: Database, tmp_path: Path) -> None:
    """Archives are one recorder each, of a book or of trades: by time they are one day."""
    first_ms = day_ms("2024-12-01")
    book = write_books(tmp_path / "linear", "AUSDT", "2024-12-01", book_lines("AUSDT", first_ms, 40))
    # Two files with trades of that day: a few are in one of them only, as a file of a month would have them.
    some = write_trades(
        tmp_path / "a", "AUSDT", "2024-12-01", trade_rows("AUSDT", first_ms + 50, 5, step_ms=100)
    )
    rows = trade_rows("AUSDT", first_ms + 50, 60, step_ms=100)
    most = write_trades(tmp_path / "b", "AUSDT", "2024-12-01", rows)
    with database.reader() as reader:
        for path in (book, most, some):
            import_file(path, database, reader, tmp_path, ImportOptions("linear", skip_recorded=False))
    events, manifest = events_of(database, tmp_path / "out")
    # A snapshot of 20 levels and its clear, 39 changes, 60 trades.
    assert len(events) == 21 + 39 + 60
    traded = events[events["ev"] & np.uint64(0xFF) == 2]
    assert (traded["local_ts"] // 1_000_000 - first_ms).tolist() == [
        50 + 100 * number for number in range(60)
    ]
    assert (np.diff(events["local_ts"]) >= 0).all()
    assert [event[0] & 0xFF for event in kinds(events[21:25])] == [2, 1, 2, 1]
    (entry,) = [entry for entry in manifest["files"] if entry["path"].endswith(".npz")]
    assert (entry["trades"], entry["depth"]) == (60, 500)
    assert entry["trades_recorder"] != entry["recorder"]
    counts = {}
    for name in ("nautilus", "tardis"):
        report = export(database, Request(name), tmp_path / name)
        files = json.loads(report.manifest.read_text())["files"]
        counts[name] = sorted(entry["rows"] for entry in files if entry["rows"] > 10)
    assert counts == {"nautilus": [60, 60], "tardis": [40, 59, 60]}


def test_streams_are_merged_by_time_whatever_their_pages() -> None:
    random = Random(3)
    for _ in range(200):
        streams = []
        for kind in (1, 2):
            times = sorted(random.choices(range(20), k=random.randrange(12)))
            events = np.zeros(len(times), EVENT)
            events["ev"], events["local_ts"], events["order_id"] = kind, times, range(len(times))
            events["exch_ts"] = [time - random.randrange(4) for time in times]
            cuts = sorted(random.choices(range(len(times) + 1), k=2))
            parts = np.split(events, cuts)
            least = [
                min((int(one["exch_ts"].min()) for one in parts[n:] if len(one)), default=1 << 62)
                for n in (1, 2, 3)
            ]
            streams.append(list(zip(parts, least, strict=True)))
        merged = np.concatenate(
            [*_ordered(_merged([iter(stream) for stream in streams])), np.empty(0, EVENT)]
        )
        for flag, clock in ((1 << 31, "exch_ts"), (1 << 30, "local_ts")):
            told = merged[merged["ev"] & np.uint64(flag) > 0]
            assert (np.diff(told[clock]) >= 0).all()
            for kind, stream in zip((1, 2), streams, strict=True):
                of_kind = told[told["ev"] & np.uint64(0xFF) == kind]
                assert sorted(of_kind["order_id"].tolist()) == list(
                    range(sum(len(part) for part, _ in stream))
                )
