"""A recorded range as an exchange: to a bare client, to pybit, to our own feed."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

import engine
from ext.book import OrderBook
from ext.dispatch import Dispatcher
from ext.journal import RecordKind
from ext.listener import Gap
from recorder.cli import main
from recorder.commands.replay import _ranges
from recorder.replay import server as replay_server
from recorder.replay.server import ReplayServer, serve
from recorder.tape.of_spool import SpoolRange
from recorder.tape.tape import Tape
from tests.support.digests import Digest
from tests.support.instruments import raw_instrument
from tests.support.listeners import Notes
from tests.support.loops import run
from tests.support.market import MS, SpoolMaker, book_frame, kline_frame, ticker_frame, trade_frame
from tests.support.recordings import ROOT, read_line

BOOK, TRADES, TICKER = "orderbook.50.AAAUSDT", "publicTrade.AAAUSDT", "tickers.AAAUSDT"
CANDLES = "kline.1.AAAUSDT"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    maker = SpoolMaker(folder / "spool", segment_bytes=1 << 16)
    body = orjson.dumps({"result": {"list": [raw_instrument("linear", "AAAUSDT")]}}).decode()
    maker.record(RecordKind.REST, {"path": "/v5/market/instruments-info", "category": "linear", "body": body})
    record_market(maker, 200)
    maker.close()
    return folder


def record_market(maker: SpoolMaker, messages: int) -> None:
    """A book as the venue keeps it (a price that is deleted was there), trades, tickers and candles."""
    maker.connect(BOOK, TRADES, TICKER, CANDLES)
    levels = ([("10.1", "1"), ("10.0", "2")], [("10.3", "1"), ("10.4", "2")])
    maker.frame(book_frame("AAAUSDT", "snapshot", 100, *levels))
    maker.frame(ticker_frame("AAAUSDT", "snapshot", lastPrice="10.2", markPrice="10.21"))
    for number in range(messages):
        size = f"{number % 7 + 1}.5"
        outer = ("10.5", "0" if number % 2 else size)
        maker.frame(book_frame("AAAUSDT", "delta", 101 + number, [("10.1", size)], [("10.3", size), outer]))
        if number % 3 == 0:
            maker.frame(
                trade_frame(
                    "AAAUSDT", [(f"{number}a", "Buy", "10.3", size), (f"{number}b", "Sell", "10.1", "1")]
                )
            )
        if number % 5 == 0:
            maker.frame(ticker_frame("AAAUSDT", "delta", lastPrice=f"10.{number % 10}"))
        if number % 11 == 0:
            maker.frame(kline_frame("AAAUSDT"))


def frames(data: Path, *topics: str, after: int = 0) -> list[bytes]:
    """The recorded frames of these topics."""
    starts = tuple(b'{"topic":"%s"' % topic.encode() for topic in topics)
    records = SpoolRange(data / "spool", None, None).records()
    return [one.payload for one in records if one.position > after and one.payload.startswith(starts)]


class Client:
    """A bare websocket: what it was sent, answers apart."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.answers: list[dict[str, Any]] = []
        self.frames: list[bytes] = []

    async def ask(self, op: str, *topics: str) -> dict[str, Any]:
        known = len(self.answers)
        await self.socket.send_str(json.dumps({"op": op, "args": topics, "req_id": "q"}))
        while len(self.answers) == known:
            await self.next()
        return self.answers[-1]

    async def next(self) -> bool:
        """Take one message; False at the end of the connection."""
        message = await self.socket.receive()
        if message.type != aiohttp.WSMsgType.TEXT:
            assert message.type == aiohttp.WSMsgType.CLOSE
            assert message.data == aiohttp.WSCloseCode.OK
            return False
        if message.data.startswith('{"topic"'):
            self.frames.append(message.data.encode())
        else:
            self.answers.append(orjson.loads(message.data))
        return True

    async def to_the_end(self) -> list[bytes]:
        while await self.next():
            pass
        return self.frames


@asynccontextmanager
async def served(data: Path, **options: Any) -> AsyncIterator[tuple[ReplayServer, asyncio.Task[None], str]]:
    server = ReplayServer(_ranges(data, "", ""), **{"speed": None, **options})
    async with serve(server) as port:
        playing = asyncio.create_task(server.play())
        try:
            yield server, playing, f"127.0.0.1:{port}"
        finally:
            if not playing.done():
                playing.cancel()
            await asyncio.wait([playing])
            await server.close(aiohttp.WSCloseCode.OK)


@asynccontextmanager
async def connected(place: str, category: str = "linear") -> AsyncIterator[Client]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"ws://{place}/v5/public/{category}", max_msg_size=0, autoclose=False) as socket,
    ):
        yield Client(socket)


async def whole(data: Path, topics: list[str]) -> list[bytes]:
    server = ReplayServer(_ranges(data, "", ""), speed=None)
    async with serve(server) as port:
        playing = asyncio.create_task(server.play())
        async with connected(f"127.0.0.1:{port}") as client:
            answer = await client.ask("subscribe", *topics)
            said = {"success": True, "ret_msg": "", "conn_id": "replay-00000001"}
            assert answer == {**said, "req_id": "q", "op": "subscribe"}
            reading = asyncio.create_task(client.to_the_end())
            await playing
            await server.close(aiohttp.WSCloseCode.OK)
            return await reading


def test_frames_are_those_that_were_recorded_byte_for_byte(data: Path) -> None:
    topics = [BOOK, TRADES, TICKER, CANDLES]
    assert run(whole(data, topics), timeout_s=60) == frames(data, *topics)


def test_a_client_in_the_middle_begins_with_the_book_and_the_ticker(data: Path) -> None:
    async def late() -> tuple[list[bytes], list[bytes]]:
        async with (
            served(data, speed=2.0) as (server, _, place),
            connected(place) as first,
            connected(place) as second,
        ):
            await first.ask("subscribe", BOOK)
            while len(first.frames) < 60:
                await first.next()
            await second.ask("subscribe", BOOK, TICKER)
            server._speed = None
            while len(second.frames) < 42:
                await second.next()
            await first.ask("unsubscribe", BOOK)
            return first.frames, second.frames

    _, heard = run(late(), timeout_s=60)
    book, ticker = orjson.loads(heard[0]), orjson.loads(heard[1])
    assert (book["topic"], book["type"], ticker["topic"], ticker["type"]) == (
        BOOK,
        "snapshot",
        TICKER,
        "snapshot",
    )
    assert ticker["data"].keys() >= {"symbol", "lastPrice", "markPrice"}
    recorded = frames(data, BOOK, TICKER)
    (at,) = [index for index, one in enumerate(recorded) if one == heard[2]]
    assert at > 50
    assert heard[2:] == recorded[at : at + len(heard) - 2]
    notes, live = Notes(), Notes()
    for listener, messages in ((notes, heard), (live, recorded[: at + len(heard) - 2])):
        dispatcher = Dispatcher("linear", listener)
        for message in messages:
            dispatcher.feed(message, 1)
    assert not notes.gaps
    assert notes.tickers[-1][1] == live.tickers[-1][1]
    assert notes.books[-1].update_id == live.books[-1].update_id


def test_answers_are_the_venues(data: Path) -> None:
    async def asked() -> list[dict[str, Any]]:
        async with served(data) as (_, _, place), connected(place) as client:
            await client.ask("ping")
            await client.ask("subscribe", "orderbook.50.NONEUSDT", BOOK)
            await client.ask("fly")
            await client.ask("subscribe")
            await client.socket.send_str("{")
            await client.next()
            return client.answers

    answers = run(asked(), timeout_s=30)
    assert [answer["ret_msg"].partition(" ")[0] for answer in answers] == [
        "pong", "error:handler", "error:invalid", "Params", "Failed",
    ]  # fmt: skip
    assert [answer["success"] for answer in answers] == [True, False, False, False, False]
    assert answers[1]["ret_msg"].endswith("topic:orderbook.50.NONEUSDT")


def test_rest_answers_from_the_tape(data: Path) -> None:
    async def asked() -> dict[str, Any]:
        async with served(data) as (_, playing, place), aiohttp.ClientSession() as http:

            async def get(path: str, **query: str) -> Any:
                async with http.get(f"http://{place}{path}", params=query) as answer:
                    return await answer.json()

            async with connected(place) as client:
                await client.ask("subscribe", BOOK)
                while len(client.frames) < 201:
                    await client.next()
                await playing
                of = {"category": "linear", "symbol": "AAAUSDT"}
                return {
                    "time": await get("/v5/market/time"),
                    "instruments": await get("/v5/market/instruments-info", category="linear"),
                    "book": await get("/v5/market/orderbook", **of, limit="1"),
                    "ticker": await get("/v5/market/tickers", **of),
                    "none": await get("/v5/market/orderbook", category="linear", symbol="X"),
                    "category": await get("/v5/market/orderbook", symbol="X"),
                }

    said = run(asked(), timeout_s=60)
    last_ns = max(one.recv_ns for one in SpoolRange(data / "spool", None, None).records())
    assert said["time"]["result"] == {"timeSecond": str(last_ns // 10**9), "timeNano": str(last_ns)}
    assert said["time"]["time"] == last_ns // MS
    assert [one["symbol"] for one in said["instruments"]["result"]["list"]] == ["AAAUSDT"]
    assert said["none"]["retCode"] == said["category"]["retCode"] == 10001
    assert said["ticker"]["result"]["list"][0]["markPrice"] == "10.21"
    book = said["book"]["result"]
    assert (book["s"], book["b"], book["u"]) == ("AAAUSDT", [["10.1", "4.5"]], 300)


class Books(engine.Listener):
    """Checksums of a book after each message."""

    def __init__(self, last: int) -> None:
        self.checksums: dict[int, int] = {}
        self.trades: list[str] = []
        self.gaps: list[Gap] = []
        self.is_over = asyncio.Event()
        self._last = last

    def on_book(self, book: OrderBook) -> None:
        self.checksums[book.update_id] = book.checksum()
        if book.update_id == self._last:
            self.is_over.set()

    def on_trade(self, trade: engine.Trade) -> None:
        self.trades.append(trade.trade_id)

    def on_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)


def test_our_own_feed_has_the_recorded_books(data: Path) -> None:
    recorded = Digest()
    Tape(data, symbols=["AAAUSDT"]).run(recorded)
    expected = {update_id: checksum for (_, _, update_id), checksum in recorded.checksums.items()}

    async def fed() -> Books:
        heard = Books(max(expected))
        async with served(data) as (_, _, place):
            feed = engine.Feed(heard, url=f"ws://{place}")
            feed.subscribe("linear", ["AAAUSDT"], book=50, trades=True)
            async with feed:
                await heard.is_over.wait()
        return heard

    heard = run(fed(), timeout_s=60)
    assert heard.checksums == expected
    assert heard.gaps == []
    assert heard.trades == [line.split()[7] for line in recorded.of("trade")][: len(heard.trades)]
    assert len(heard.trades) > 60


def test_pybit_sees_what_was_recorded(data: Path) -> None:
    """In an own process: its threads are its own affair."""
    program = f"""
import json, sys, threading
from pybit import unified_trading
done, heard = threading.Event(), {{"book": [], "trade": [], "ticker": []}}
def take(kind):
    def on(message):
        heard[kind].append(json.loads(json.dumps(message["data"])))  # it goes on with its own
        if kind == "book" and message["data"]["u"] == 300: done.set()
    return on
unified_trading.PUBLIC_WSS = sys.argv[1] + "/v5/public/{{CHANNEL_TYPE}}"
socket = unified_trading.WebSocket(channel_type="linear", testnet=True)
socket.ticker_stream("AAAUSDT", take("ticker"))
socket.trade_stream("AAAUSDT", take("trade"))
socket.orderbook_stream(50, "AAAUSDT", take("book"))
assert done.wait({60})
socket.exit()
print(json.dumps(heard, default=str))
"""
    command = [
        sys.executable,
        "-m",
        "recorder",
        "replay",
        "--serve",
        "--speed",
        "max",
        "--json",
        "--data",
        str(data),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = json.loads(read_line(process))
            answer = subprocess.run(
                [sys.executable, "-c", program, ready["ws"]],
                stdout=subprocess.PIPE,
                text=True,
                timeout=60,
                check=True,
            )
            heard = json.loads(answer.stdout)
            last = json.loads(read_line(process))
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert (last["rounds"], last["clients"], last["sent"]) == (1, 1, len(frames(data, BOOK, TRADES, TICKER)))
    trades = [orjson.loads(one)["data"] for one in frames(data, TRADES)]
    assert heard["trade"] == trades[: len(heard["trade"])]
    assert len(heard["trade"]) > 60
    books = Notes()
    dispatcher = Dispatcher("linear", books)
    for update, frame in zip(heard["book"], frames(data, BOOK), strict=True):
        dispatcher.feed(frame, 1)
        book = dispatcher.book("AAAUSDT", 50)
        assert book is not None
        assert update["u"] == book.update_id
        for side, levels in (("b", book.bids()), ("a", book.asks())):
            ours = {(str(float(price)), str(float(size))) for price, size in levels}
            assert {(str(float(price)), str(float(size))) for price, size in update[side]} == ours
    assert heard["ticker"][-1]["markPrice"] == "10.21"


def two_legs(folder: Path) -> None:
    """Legs 0 and 1 bring the same; leg 0 is lost after 20 messages, and comes back after 40."""
    maker = SpoolMaker(folder / "spool")
    maker.connect(BOOK)
    second = {"connection": 2, "category": "linear", "leg": 1}
    maker.record(RecordKind.CONNECTED, {**second, "url": "x"})
    maker.record(RecordKind.REQUESTED, {**second, "op": "desire", "topics": [BOOK]})
    maker.record(RecordKind.CONFIRMED, {**second, "op": "subscribe", "topics": [BOOK]})
    for number in range(60):
        kind = "delta" if number else "snapshot"
        frame = book_frame("AAAUSDT", kind, 100 + number, [("10.1", str(number + 1))], [("10.3", "1")])
        if not 20 <= number < 40:
            maker.frame(frame)
        maker.now_ns += MS
        journal = maker.spool.journal
        journal.append_record(RecordKind.FRAME, frame, 2, maker.wall_ns, maker.now_ns)
        journal.commit()
        while journal.next_pending() is not None:
            pass
        if number == 19:
            maker.disconnect("lost")
        if number == 39:
            maker.record(RecordKind.CONNECTED, maker.connection)
    maker.close()


def test_of_two_legs_one_is_served_and_the_other_takes_over(tmp_path: Path) -> None:
    two_legs(tmp_path)
    heard = run(whole(tmp_path, [BOOK]), timeout_s=30)
    updates = [orjson.loads(frame)["data"]["u"] for frame in heard]
    # At the change of legs: a snapshot of the book, which knows the frame of the other leg.
    assert updates == list(range(100, 160))
    assert [update for update, one in zip(updates, heard, strict=True) if b'"snapshot"' in one] == [100, 120]
    notes = Notes()
    dispatcher = Dispatcher("linear", notes)
    for frame in heard:
        dispatcher.feed(frame, 1)
    assert {gap.cause for gap in notes.gaps} <= {"snapshot"}
    assert notes.books[-1].update_id == 159


def test_a_loop_begins_anew(data: Path) -> None:
    async def looped() -> list[bytes]:
        async with served(data, loop=True) as (_, _, place), connected(place) as client:
            await client.ask("subscribe", CANDLES)
            while len(client.frames) < 3 * len(frames(data, CANDLES)):
                await client.next()
            return client.frames

    assert run(looped(), timeout_s=30) == 3 * frames(data, CANDLES)


def test_a_client_that_takes_nothing_is_closed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: object) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(replay_server, "STALLED_S", 0.1)
    monkeypatch.setattr(replay_server, "QUEUE_BYTES_MAX", 1_000)
    monkeypatch.setattr(replay_server._Client, "write", never)

    async def stalled() -> tuple[aiohttp.WSMsgType, dict[str, int]]:
        async with served(data) as (server, playing, place), connected(place) as client:
            await client.socket.send_json({"op": "subscribe", "args": [BOOK]})
            message = await client.socket.receive()
            await playing
            return message.type, server.counters

    end, counters = run(stalled(), timeout_s=30)
    assert end == aiohttp.WSMsgType.CLOSED
    assert (counters["stalled_clients"], counters["rounds"]) == (1, 1)


def test_ctrl_c_ends_it_in_order(data: Path) -> None:
    command = [sys.executable, "-m", "recorder", "replay", "--serve", "--json", "--data", str(data)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        json.loads(read_line(process))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out)["rounds"] == 0
    assert "Traceback" not in err


def test_the_summary_is_the_same_each_time(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def replayed(*options: str) -> list[Any]:
        assert main(["replay", "--data", str(data), *options]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    (first,), (second,) = replayed("--json"), replayed("--json", "--speed", "1000")
    assert first == second
    rows = {row["topic"]: row for row in first["topics"]}
    assert rows[BOOK]["calls"] == len(frames(data, BOOK))
    assert rows[BOOK]["update_id"] == 300
    printed = replayed("--print", "--topics", "orderbook.*")
    assert len([line for line in printed if line["call"] == "book"]) == len(frames(data, BOOK))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "2030-01-01T00:00Z"), "give a time within 2026-09-21T14:13:20"),
        (("--from", "2026-09-22T00:00Z", "--to", "2026-09-21T00:00Z"), "is after the start"),
        (("--symbols", "AAAUSDC"), "use AAAUSDT"),
        (("--speed", "fast"), "--speed was 'fast'; it is a number up to 1,000,000, or max: use 1, 10 or max"),
        (("--loop",), "--port, --loop and --no-wait are of --serve: add --serve"),
        (("--serve", "--print"), "--print was True; --serve plays all that was recorded"),
        (("--serve", "--from", "2030-01-01T00:00Z"), "give a time within 2026-09-21T14:13:20"),
    ],
)
def test_what_cannot_be(
    data: Path, options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "--data", str(data), *options]) == 2
    assert message in capsys.readouterr().err
