"""Two recorders of the same topics in one database: each message once, each loss visible."""

from collections import Counter
from pathlib import Path

import pytest

from recorder.database.clickhouse import Database
from recorder.loading.loader import Loader
from tests.support.databases import embedded
from tests.support.market import MS, START_NS, SpoolMaker, book_frame, kline_frame, ticker_frame, trade_frame

MESSAGES = 60
TOPICS = ("orderbook.50.AUSDT", "publicTrade.AUSDT", "tickers.AUSDT", "kline.1.AUSDT")
RANGE = "category = 'linear', symbol = 'AUSDT', start = '2026-09-21 00:00:00', end = '2026-09-22 00:00:00'"


def _frames(number: int) -> list[bytes]:
    """What the venue sends at a moment, to whoever listens."""
    ts_ms = START_NS // MS + number * 100
    size = f"{number + 1}"
    return [
        book_frame("AUSDT", "delta", 101 + number, [("10.1", size)], [("10.3", size)], ts_ms=ts_ms),
        trade_frame("AUSDT", [(f"t{number}", "Buy", "10.3", size)], ts_ms=ts_ms),
        ticker_frame("AUSDT", "delta", ts_ms=ts_ms, lastPrice=f"10.{number}"),
        kline_frame("AUSDT", ts_ms=ts_ms, volume=size),
    ]


def _record(folder: Path, recorder: str, hole: range, late_ns: int) -> None:
    """Record the stream, but for what is sent while the connection is lost."""
    maker = SpoolMaker(folder, recorder, start_ns=START_NS + late_ns)
    maker.connect(*TOPICS)
    for number in range(MESSAGES):
        if number == hole.start:
            maker.disconnect("closed")
        maker.now_ns = max(maker.now_ns, START_NS + late_ns + number * 100 * MS)
        if number in hole:
            continue
        if number in (0, hole.stop):
            if number:
                maker.connect(*TOPICS)
            size = f"{number or 9}"
            ts_ms = START_NS // MS + number * 100 - 1
            bids, asks = (
                ([("10.1", size)], [("10.3", size)]) if number else ([("10.1", "9")], [("10.3", "9")])
            )
            maker.frame(book_frame("AUSDT", "snapshot", 100 + number, bids, asks, ts_ms=ts_ms), after_ns=MS)
            maker.frame(ticker_frame("AUSDT", "snapshot", ts_ms=ts_ms, lastPrice="10.2"), after_ns=MS)
        for frame in _frames(number):
            maker.frame(frame, after_ns=MS)
    maker.close()


def _load(folder: Path, database: Database, recorder: str) -> None:
    loader = Loader(folder / recorder, database, recorder, folder, intent=f"{recorder}.intent")
    loader.recover()
    loader.drain()
    loader.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _record(tmp_path / "one", "one", range(10, 20), 0)
    _record(tmp_path / "two", "two", range(15, 40), 2 * MS)
    return tmp_path


def test_each_message_is_chosen_once_and_both_losses_are_told(folder: Path) -> None:
    with embedded(folder / "clickhouse") as database:
        _load(folder, database, "one")
        _load(folder, database, "two")
        heard = {name: range(10, 20) if name == "one" else range(15, 40) for name in ("one", "two")}
        either = [n for n in range(MESSAGES) if any(n not in hole for hole in heard.values())]
        trades = database.query(f"SELECT trade_id, recorder FROM once_trades({RANGE}) ORDER BY time")
        assert [name for name, _ in trades] == [f"t{number}" for number in either]
        assert {name for _, name in trades[10:15]} == {"two"}, "what the better one has not"
        assert Counter(name for _, name in trades) == {"one": MESSAGES - 10, "two": 5}
        deltas = database.query(f"SELECT update_id, recorder, bid_sizes FROM once_book_delta({RANGE})")
        assert [row[0] for row in deltas] == [101 + number for number in either]
        assert [row[2] for row in deltas] == [[number + 1] for number in either]
        klines = database.query(f"SELECT toUInt64(volume) FROM once_klines({RANGE}) ORDER BY time")
        assert [int(volume) for (volume,) in klines] == [number + 1 for number in either]
        quotes = database.query(f"SELECT update_id FROM once_bbo({RANGE}) WHERE depth = 50")
        assert len(quotes) == len(set(quotes)) >= len(either)
        tickers = database.query(f"SELECT ts FROM once_tickers({RANGE}) WHERE NOT is_snapshot")
        assert len(tickers) == len(set(tickers)) == len(either)
        lost = database.query(
            "SELECT recorder, topic, dateDiff('millisecond', start, end) FROM gaps"
            " WHERE topic = 'publicTrade.AUSDT' ORDER BY recorder"
        )
        assert [row[0] for row in lost] == ["one", "two"]
        assert 900 <= lost[0][2] <= 1100
        assert 2400 <= lost[1][2] <= 2600
        assert database.query("SELECT count() FROM trades") == [(MESSAGES - 10 + MESSAGES - 25,)]


def test_what_is_alike_is_as_many_as_there_were(tmp_path: Path) -> None:
    values = "'linear', 'AUSDT', {position}, {item}, 'live', '2026-09-21 14:13:20', 0, 0, 'Buy', 1, {size}"
    with embedded(tmp_path) as database:
        for recorder, items in (("one", [(1, 5), (2, 5), (3, 7)]), ("two", [(1, 5), (2, 8)])):
            for item, size in items:
                row = values.format(position=1, item=item, size=size)
                database.command(
                    "INSERT INTO liquidation (recorder, category, symbol, position, item, source, recv,"
                    f" ts_lag_ms, time_lag_ms, side, price, size) VALUES ('{recorder}', {row})"
                )
            database.command(
                "INSERT INTO load_batch (recorder, first_position, last_position, last_recv)"
                f" VALUES ('{recorder}', 1, 9, '2026-09-21 14:13:21')"
            )
        rows = database.query(f"SELECT toUInt8(size), recorder FROM once_liquidations({RANGE})")
        assert rows == [(5, "one"), (5, "one"), (7, "one"), (8, "two")]


def test_live_is_chosen_before_backfill_whoever_has_it(tmp_path: Path) -> None:
    with embedded(tmp_path) as database:
        for recorder, source in (("a", "import"), ("b", "backfill"), ("c", "live"), ("d", "live")):
            database.command(
                "INSERT INTO trade (recorder, category, symbol, position, source, recv, trade_id)"
                f" VALUES ('{recorder}', 'linear', 'AUSDT', 1, '{source}', '2026-09-21 14:13:20', 'x')"
            )
            database.command(
                "INSERT INTO load_batch (recorder, first_position, last_position, last_recv)"
                f" VALUES ('{recorder}', 1, 9, '2026-09-21 14:13:21')"
            )
        chosen = f"SELECT recorder, source FROM once_trades({RANGE})"
        assert database.query(chosen) == [("c", "live")]
        database.command(
            "INSERT INTO gap (recorder, id, category, topic, position, start, end) VALUES ('c', 1, 'linear',"
            " 'orderbook.50.AUSDT', 1, '2026-09-21 10:00:00', '2026-09-21 10:00:05')"
        )
        assert database.query(chosen) == [("d", "live")], "it missed less that day"
