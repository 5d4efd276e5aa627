"""A real capture, played by the simulator and recorded by `tapehead record`: all in ClickHouse, once."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from recorder.database.clickhouse import Database, open_embedded
from recorder.folder import DataFolder
from recorder.verify import book_at, verify
from tests.support.captures import capture
from tests.support.recordings import recording, simulation

SYMBOLS = ("SOLUSDT", "DOGEUSDT")
LOG = "bybit_linear_sol_doge.recv_ns.log"
ORIGINAL_S = 45.0

Messages = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Recorded:
    """What the capture file holds, by topic, and the database it was recorded into."""

    messages: Messages
    folder: DataFolder
    database: Database
    answer: dict[str, Any]

    def column(self, sql: str) -> list[Any]:
        return [row[0] for row in self.database.query(sql)]


def messages_of(path: Path) -> Messages:
    """The data frames of a capture file, by topic and in order."""
    found: Messages = defaultdict(list)
    for line in path.read_bytes().splitlines():
        message = orjson.loads(line.partition(b" ")[2])
        if "topic" in message:
            found[message["topic"]].append(message)
    return dict(found)


@pytest.fixture(scope="module", params=["max", "original"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    path = capture(LOG)
    data = tmp_path_factory.mktemp(f"capture-{request.param}")
    options = ("--book", "200", "--no-companion", "--tickers", "--kline", "1")
    with (
        simulation("--playback", str(path), "--category", "linear", "--speed", request.param) as venue,
        recording(venue, data, *SYMBOLS, *options) as running,
    ):
        venue.wait_done(ORIGINAL_S + 30)
        running.wait_captured(venue.frames)
        answer = running.stop()
    folder = DataFolder(data)
    with open_embedded(folder.database) as database:
        yield Recorded(messages_of(path), folder, database, answer)


def test_every_book_frame_once(recorded: Recorded) -> None:
    for symbol in SYMBOLS:
        messages = recorded.messages[f"orderbook.200.{symbol}"]
        rows = recorded.column(
            "SELECT update_id FROM ("
            f"SELECT position, update_id FROM book_delta WHERE symbol = '{symbol}' UNION ALL "
            f"SELECT position, update_id FROM book_snapshot WHERE symbol = '{symbol}' AND origin = 'venue'"
            ") ORDER BY position"
        )
        assert rows == [message["data"]["u"] for message in messages]


def test_every_trade_once(recorded: Recorded) -> None:
    for symbol in SYMBOLS:
        messages = recorded.messages[f"publicTrade.{symbol}"]
        rows = recorded.database.query(
            f"SELECT trade_id, price, size FROM trades WHERE symbol = '{symbol}' ORDER BY position, item"
        )
        items = [item for message in messages for item in message["data"]]
        expected = [(item["i"], Decimal(item["p"]), Decimal(item["v"])) for item in items]
        assert [(str(trade_id), price, size) for trade_id, price, size in rows] == expected


def test_every_ticker_once(recorded: Recorded) -> None:
    for symbol in SYMBOLS:
        messages = recorded.messages[f"tickers.{symbol}"]
        rows = recorded.column(
            f"SELECT toUnixTimestamp64Milli(ts) FROM tickers WHERE symbol = '{symbol}' ORDER BY position"
        )
        assert rows == [message["ts"] for message in messages]


def test_every_kline_once(recorded: Recorded) -> None:
    for symbol in SYMBOLS:
        messages = recorded.messages[f"kline.1.{symbol}"]
        rows = recorded.database.query(
            "SELECT toUnixTimestamp64Milli(start), close, is_closed FROM klines"
            f" WHERE symbol = '{symbol}' ORDER BY position, item"
        )
        items = [item for message in messages for item in message["data"]]
        assert rows == [(item["start"], Decimal(item["close"]), item["confirm"]) for item in items]


def test_the_final_book_rebuilt_by_sql(recorded: Recorded) -> None:
    position = recorded.column("SELECT max(last_position) FROM committed")[0]
    for symbol in SYMBOLS:
        expected: dict[str, list[tuple[Decimal, Decimal]]] = {"B": [], "A": []}
        for line in capture(f"linear.orderbook.200.{symbol}.final_book.txt").read_text().splitlines():
            side, price, size = line.split()
            expected[side].append((Decimal(price), Decimal(size)))
        rebuilt = book_at(recorded.database, "tapehead", "linear", symbol, 200, position)
        assert rebuilt == (expected["B"], expected["A"])


def test_no_gap_and_nothing_that_verify_finds(recorded: Recorded) -> None:
    assert recorded.database.query("SELECT * FROM gaps") == []
    assert verify(recorded.folder.spool, recorded.database, "tapehead").problems == []
    assert recorded.answer["not_recorded"] == 0
    assert recorded.answer["restarts"] == {"capture": 0, "loader": 0, "keeper": 0}
