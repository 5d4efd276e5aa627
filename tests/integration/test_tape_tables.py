"""The same callbacks from the tables as from the spool that they were loaded from."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.errors import UsageError
from ext.journal import RecordKind
from recorder.database.clickhouse import open_embedded
from recorder.loading.loader import Loader
from recorder.loading.state import states
from recorder.queries.server import QueryServer
from recorder.spool.segments import segment_path
from recorder.tape import of_tables as tape_tables
from recorder.tape.of_spool import SpoolRange
from recorder.tape.tape import Tape
from tests.support import special
from tests.support.digests import Digest
from tests.support.instruments import raw_instrument
from tests.support.market import START_NS, S, SpoolMaker, book_frame, make_market, trade_frame

MARKET = ("book", "trade", "ticker", "kline", "liquidation", "notice", "bbo")
LEVELS = ([("10.1", "1"), ("10.0", "2.5")], [("10.3", "1"), ("10.35", "2")])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    record(folder / "spool")
    with open_embedded(folder / "clickhouse") as database:
        database.create_schema()
        loader = Loader(folder / "spool", database, "r1", folder, batch_records=170)
        loader.recover()
        loader.drain()
        loader.close()
    return folder


def record(folder: Path) -> None:
    """Two runs of a market with holes, restarts, cuts, every kind of topic, and answers of REST."""
    maker = SpoolMaker(folder, segment_bytes=1 << 16)
    body = orjson.dumps({"result": {"list": [raw_instrument("linear", "AAAUSDT")]}}).decode()
    maker.record(RecordKind.REST, {"path": "/v5/market/instruments-info", "category": "linear", "body": body})
    make_market(maker, 300)
    others = ["orderbook.1.AAAUSDT", "orderbook.rpi.AAAUSDT", "allLiquidation.AAAUSDT", "insurance.USDT"]
    common = {"connection": 1, "category": "linear", "leg": 0}
    maker.record(RecordKind.REQUESTED, {**common, "op": "desire", "topics": others})
    every_kind(maker)
    holes(maker)
    maker.disconnect("lost")
    maker.now_ns += 3 * S
    maker.record(RecordKind.CONNECTED, maker.connection)
    maker.record(RecordKind.CONFIRMED, {**common, "op": "subscribe", "topics": [*maker.topics, *others]})
    maker.frame(book_frame("AAAUSDT", "snapshot", 4000, *LEVELS))
    maker.frame(trade_frame("AAAUSDT", [("late", "Buy", "10.300", "1")]))
    backfill(maker)
    maker.close()
    again = SpoolMaker(folder, start_ns=maker.now_ns + 60 * S, segment_bytes=1 << 16)
    make_market(again, 200)
    again.close()


def every_kind(maker: SpoolMaker) -> None:
    for number in range(40):
        size = f"{number % 5 + 1}.25"
        maker.frame(
            book_frame("AAAUSDT", "snapshot", 500 + number, [("10.1", size)], [("10.3", size)], depth=1)
        )
        kind = "snapshot" if number == 0 else "delta"
        bids = [["10.1", size, "0.5"], ["10.0", "0", "0" if number % 2 else "1.5"]]
        maker.frame(special.book("rpi", kind, 700 + number, bids, [["10.3", "1", size]], symbol="AAAUSDT"))
        entry = {"T": START_NS // 1_000_000, "s": "AAAUSDT", "S": "Buy", "v": size, "p": "10.10"}
        message = {"topic": "allLiquidation.AAAUSDT", "type": "snapshot", "ts": 5, "data": [entry, entry]}
        maker.frame(orjson.dumps(message))
        pool = {"coin": "USDT", "symbols": "AAAUSDT", "balance": size, "updateTime": "5"}
        message = {"topic": "insurance.USDT", "type": kind, "ts": 6, "data": [pool]}
        maker.frame(orjson.dumps(message))


def holes(maker: SpoolMaker) -> None:
    """A hole, a restart, a snapshot out of turn, a repeat of level 1, a malformed frame, a lost interval."""
    for update_id, kind in (
        (900, "delta"),
        (901, "delta"),
        (950, "snapshot"),
        (951, "delta"),
        (2000, "snapshot"),
    ):
        maker.frame(book_frame("AAAUSDT", kind, update_id, *LEVELS))
    maker.frame(book_frame("BBBUSDT", "snapshot", 1, *LEVELS, seq=1))
    maker.frame(book_frame("BBBUSDT", "delta", 2, [("10.05", "3")], seq=3))
    maker.frame(book_frame("AAAUSDT", "snapshot", 539, [("10.1", "5.25")], [("10.3", "5.25")], depth=1))
    maker.frame(b'{"topic":"orderbook.50.BBBUSDT","type":"delta"}')
    maker.frame(book_frame("BBBUSDT", "delta", 3, [("10.05", "4")], seq=4))
    maker.frame(book_frame("BBBUSDT", "snapshot", 50, *LEVELS, seq=5))
    lost = {"topics": None, "start_ns": maker.now_ns, "end_ns": maker.now_ns + 5, "cause": "not_running"}
    maker.record(RecordKind.LOST, {**lost, "fault": "ours", "detail": "stood still"})


def backfill(maker: SpoolMaker) -> None:
    """The venue's recent trades: the one known before the cut, two that were missed, the one after it."""
    now_ms = maker.now_ns // 1_000_000
    trades = [special.rest_trade(number, now_ms - 2000 + number, "AAAUSDT") for number in (1, 2)]
    rest = {"category": "linear", "topic": "publicTrade.AAAUSDT", "leg": 0, "path": "x", "query": {}}
    body = special.trades_answer(trades).decode()
    maker.record(RecordKind.REST, {**rest, "use": "trades", "body": body})


def played(tape: Tape) -> Digest:
    heard = Digest()
    tape.run(heard)
    return heard


def grouped(lines: list[str]) -> list[str]:
    return sorted(lines)


def test_everything_is_told_as_from_the_spool(data: Path) -> None:
    tape = Tape(data / "clickhouse", recorder="r1")
    tables, spool = played(tape), played(Tape(data))
    assert tape.counters["undelivered"] == 0
    for call in MARKET:
        assert spool.of(call), call
        assert tables.of(call) == spool.of(call), call
    assert tables.of(*MARKET) == spool.of(*MARKET)
    for call in ("gap", "event"):
        assert grouped(tables.of(call)) == grouped(spool.of(call))


def test_books_are_the_live_ones_at_every_recorded_snapshot(data: Path) -> None:
    recorded = {}
    with open_embedded(data / "clickhouse") as database:
        for kind, depth, symbol, position, update_id, checksum in database.query(
            "SELECT toString(kind), depth, symbol, position, update_id, checksum FROM book_snapshot"
            " WHERE kind != 'rpi_only'"
        ):
            topic = f"orderbook.{depth if kind == 'plain' else kind}.{symbol}"
            recorded[topic, position, update_id] = checksum
    assert len(recorded) > 5
    for place in (data, data / "clickhouse"):
        checksums = played(Tape(place)).checksums
        assert {key: checksums[key] for key in recorded} == recorded


def cuts(data: Path) -> Iterator[int]:
    records = list(SpoolRange(data / "spool", None, None).records())
    frames = [record.recv_ns for record in records if record.kind == RecordKind.FRAME]
    yield from (frames[index] for index in (520, len(frames) - 100))


def test_a_range_in_the_middle_is_that_of_the_spool(data: Path) -> None:
    for start_ns in cuts(data):
        end_ns = start_ns + 2 * S
        tables = played(Tape(data / "clickhouse", start=start_ns, end=end_ns))
        spool = played(Tape(data, start=start_ns, end=end_ns))
        calls = [call for call in MARKET if call != "trade"]
        assert tables.of(*calls) == spool.of(*calls)
        assert grouped(tables.of("gap")) == grouped(spool.of("gap"))


def test_a_spool_is_begun_at_the_nearest_state(data: Path, tmp_path: Path) -> None:
    """Where its first segments are gone, the rest is as it was: books, tickers, gaps and instruments."""
    copy = tmp_path / "spool"
    shutil.copytree(data / "spool", copy)
    known = states(copy)
    first = known[-1] + 1
    for number in range(1, first):
        segment_path(copy, number).unlink()
    start_ns = SpoolRange(data / "spool", None, None)._begun_ns(first)
    assert len(known) >= 2
    whole = played(Tape(data))
    rest = played(Tape(tmp_path, start=start_ns))
    assert set(rest.lines) <= set(whole.lines)
    assert rest.of(*MARKET) == whole.of(*MARKET)[-len(rest.of(*MARKET)) :]
    assert len(rest.of("book")) > 40
    told: list[Any] = []
    SpoolRange(copy, start_ns, None).begin(Digest(), lambda payload, *_: told.append(payload)).close()
    assert [one["body"]["result"]["list"][0]["symbol"] for one in told] == ["AAAUSDT"]


def test_a_run_is_the_same_whatever_the_window(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = Tape(data / "clickhouse")
    expected = played(tape).hexdigest
    monkeypatch.setattr(tape_tables, "WINDOW_POSITIONS", 150)
    assert played(tape).hexdigest == expected


def test_a_recording_that_runs_is_played_through_its_endpoint(data: Path) -> None:
    expected = played(Tape(data / "clickhouse")).hexdigest
    with open_embedded(data / "clickhouse") as database:
        server = QueryServer(database, data).start()
        try:
            assert played(Tape(server.address)).hexdigest == expected
        finally:
            server.close()


def test_what_cannot_be_played(data: Path) -> None:
    with pytest.raises(UsageError, match="recorder was 'r2'; the database has r1: use r1"):
        Tape(data / "clickhouse", recorder="r2")
    with pytest.raises(UsageError, match="nothing was loaded in that range: give a time within 2026-09-21T"):
        Tape(data / "clickhouse", start="2030-01-01T00:00Z")
    with pytest.raises(UsageError, match=r"symbol was 'AAAUSD', .* use AAAUSDT"):
        Tape(data / "clickhouse", symbols=["AAAUSD"])
