"""The simulator over real sockets: websocket and REST tell the same story."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import orjson
import pytest
from picows import WSTransport

from simulator.clock import Clock, system_clock
from simulator.errors import SimulatorError
from simulator.faults import Peer
from simulator.generated import Generated
from simulator.hub import Hub
from simulator.instruments import listings
from simulator.server import Simulator, serve
from simulator.switches import Switches
from simulator.websocket import WRITE_BYTES_MAX, Connection
from tests.support.simulated import START_NS, SYMBOLS_THAT_SHORTEN_THE_LAP

TIMEOUT_S = 20


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario; fail when anything reaches the loop's exception handler."""
    unhandled: list[dict[str, Any]] = []

    async def bounded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        await asyncio.wait_for(scenario(), TIMEOUT_S)

    asyncio.run(bounded())
    assert not unhandled


@asynccontextmanager
async def simulator(
    messages: int | None = 400, rate: float | None = None, clock: Clock = lambda: START_NS, **switches: str
) -> AsyncIterator[Simulator]:
    hub, chosen = Hub(None), Switches(**switches)
    listed = listings(f"linear:BTCUSDT,spot:BTCUSDT,linear:NEWUSDT:PreLaunch,{SYMBOLS_THAT_SHORTEN_THE_LAP}")
    source = Generated(listed, hub, chosen, clock, rate=rate, messages=messages)
    async with serve(source, hub, chosen, clock) as one:
        yield one


class Client:
    """A websocket client and a REST client in one."""

    def __init__(
        self, one: Simulator, socket_: aiohttp.ClientWebSocketResponse, http: aiohttp.ClientSession
    ) -> None:
        self._one = one
        self.socket = socket_
        self._http = http

    async def send(self, **request: Any) -> None:
        await self.socket.send_str(orjson.dumps(request).decode())

    async def next(self) -> dict[str, Any]:
        return orjson.loads((await self.socket.receive()).data)

    async def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return its reply, past any data."""
        await self.send(**request)
        while "topic" in (message := await self.next()):
            pass
        return message

    async def rest(self, path: str, **query: Any) -> Any:
        async with self._http.get(self._one.rest + path, params=query) as response:
            return orjson.loads(await response.read())


@asynccontextmanager
async def client(one: Simulator, path: str = "/v5/public/linear") -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http, http.ws_connect(one.ws + path) as socket_:
        yield Client(one, socket_, http)


def test_what_is_sent_is_what_the_state_and_the_books_say() -> None:
    async def scenario() -> None:
        topics = ["orderbook.50.BTCUSDT", "orderbook.1000.BTCUSDT", "publicTrade.BTCUSDT"]
        async with simulator() as one, client(one) as user:
            await user.send(op="subscribe", args=topics)
            await one.player
            state = await user.rest("/simulator/state")
            received = [await user.next() for _ in range(state["frames"])]
            assert state["data_frames"] == sum("topic" in message for message in received) >= 400
            sent = {topic["topic"]: topic for topic in state["topics"]}
            for topic in topics:
                of_topic = [message for message in received if message.get("topic") == topic]
                assert sent[topic]["frames"] == len(of_topic)
                if topic.startswith("orderbook"):
                    assert sent[topic]["u"] == of_topic[-1]["data"]["u"]
            book = await user.rest("/simulator/book", category="linear", symbol="BTCUSDT", depth=1000)
            rest = await user.rest("/v5/market/orderbook", category="linear", symbol="BTCUSDT", limit=1000)
            assert rest["result"]["b"] == book["bids"]
            assert rest["result"]["u"] == sent["orderbook.1000.BTCUSDT"]["u"]
            assert (await user.ask(op="ping"))["ret_msg"] == "pong"

    run(scenario)


def test_two_connections_get_the_same_frames() -> None:
    async def scenario() -> None:
        async with simulator(messages=100) as one, client(one) as first, client(one) as second:
            await first.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
            await second.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
            await one.player
            frames = {
                user: [message for message in [await user.next() for _ in range(40)] if "topic" in message]
                for user in (first, second)
            }
            deltas = [{m["data"]["u"]: m for m in found if m["type"] == "delta"} for found in frames.values()]
            common = deltas[0].keys() & deltas[1].keys()
            assert len(common) > 10
            assert all(deltas[0][u] == deltas[1][u] for u in common)

    run(scenario)


@pytest.mark.parametrize(("order", "first"), [("after", "subscribe"), ("before", None)])
def test_order_of_ack_and_snapshot(order: str, first: str | None) -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1, snapshot_order=order) as one, client(one) as user:
            await user.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
            assert (await user.next()).get("op") == first

    run(scenario)


def test_resubscribing_brings_a_new_snapshot_and_unsubscribing_ends_the_topic() -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1) as one, client(one) as user:
            topic = "orderbook.50.BTCUSDT"
            await user.ask(op="subscribe", args=[topic])
            assert (await user.next())["type"] == "snapshot"
            assert (await user.ask(op="subscribe", args=[topic]))["ret_msg"].startswith(
                "error:already subscribed"
            )
            assert (await user.ask(op="unsubscribe", args=[topic]))["success"]
            assert one.venue.hub.streams["linear", topic].subscribers == []
            await user.ask(op="subscribe", args=[topic])
            assert (await user.next())["type"] == "snapshot"

    run(scenario)


def test_an_unknown_topic_can_poison_the_connection() -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1, unknown_topic="poisons") as one, client(one) as user:
            await user.ask(op="subscribe", args=["orderbook.50.BTCUSDT"])
            await user.ask(op="subscribe", args=["orderbook.500.BTCUSDT"])
            assert not one.venue.hub.streams["linear", "orderbook.50.BTCUSDT"].subscribers
            assert (await user.ask(op="unsubscribe", args=["orderbook.50.BTCUSDT"]))["success"]

    run(scenario)


def test_as_fast_as_possible_waits_for_a_client_that_does_not_read() -> None:
    turns_to_overfill = 2 * WRITE_BYTES_MAX // 48_000

    async def scenario() -> None:
        async with simulator(messages=1_000_000) as one, client(one) as user:
            await user.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
            for _ in range(turns_to_overfill):
                await asyncio.sleep(0)
            assert not one.venue.hub.all_writable()
            sent = one.venue.hub.data_frames
            assert (await user.next())["op"] == "subscribe"
            last = (await user.next())["data"]["u"]
            while one.venue.hub.data_frames < sent + 1_000:
                u = (await user.next())["data"]["u"]
                assert u == last + 1
                last = u
            assert one.venue.slow_closed == 0

    run(scenario)


class UnreadTransport:
    """What a connection sees of a socket whose client does not read."""

    is_disconnected = False

    def __init__(self) -> None:
        self.underlying_transport = self
        self.cut = False

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return WRITE_BYTES_MAX + 1

    def disconnect(self, graceful: bool) -> None:
        self.cut = not graceful


def test_a_client_that_leaves_too_much_unread_is_closed_and_counted() -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1) as one:
            transport, connection = UnreadTransport(), Connection(one.door, Peer(7, "linear"))
            connection.on_ws_connected(cast(WSTransport, transport))
            connection.write(b"x")
            assert transport.cut
            assert one.venue.slow_closed == 1
            connection.on_ws_disconnected(cast(WSTransport, transport))

    run(scenario)


def test_an_idle_socket_can_be_closed_as_long_as_it_has_no_topic() -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1, idle_close_s="61") as one, client(one) as user:
            await user.ask(op="ping")
            (connection,) = one.door.connections
            timer = connection.idle_timer
            assert timer is not None
            assert 50 < timer.when() - asyncio.get_running_loop().time() <= 61
            await user.ask(op="subscribe", args=["orderbook.50.BTCUSDT"])
            assert timer.cancelled()
            assert connection.idle_timer is None

    run(scenario)


@pytest.mark.parametrize("path", ["/v5/public/futures", "/v5/private", "/"])
def test_other_paths_are_not_found(path: str) -> None:
    async def scenario() -> None:
        async with simulator() as one:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with client(one, path):
                    pass
            assert caught.value.status == 404

    run(scenario)


def test_the_end_of_the_simulator_closes_its_connections() -> None:
    async def scenario() -> None:
        async with aiohttp.ClientSession() as http:
            async with simulator() as one:
                socket_ = await http.ws_connect(one.ws + "/v5/public/linear")
                await socket_.send_str('{"op":"ping"}')
                await socket_.receive()
                reading = asyncio.create_task(socket_.receive())
            closing = await reading
            assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.GOING_AWAY)

    run(scenario)


def test_rest_parameters() -> None:
    async def scenario() -> None:
        async with simulator() as one, client(one) as user:
            get = user.rest
            assert (await get("/v5/market/time"))["result"] == {
                "timeSecond": str(START_NS // 10**9),
                "timeNano": str(START_NS),
            }
            for path, query in (
                ("orderbook", {"category": "linear", "symbol": "NOPE"}),
                ("orderbook", {"category": "linear", "symbol": "BTCUSDT", "limit": "1001"}),
                ("orderbook", {"category": "linear", "symbol": "BTCUSDT", "limit": "0"}),
                ("orderbook", {"symbol": "BTCUSDT"}),
                ("recent-trade", {"category": "spot", "symbol": "BTCUSDT", "limit": "61"}),
                ("kline", {"symbol": "BTCUSDT", "interval": "7"}),
                ("instruments-info", {"category": "linear", "cursor": "x"}),
                ("tickers", {"category": "moon"}),
            ):
                answer = await get(f"/v5/market/{path}", **query)
                assert answer["retCode"] == 10001, (path, query)
                assert answer["result"] == {}
            assert (await get("/v5/market/nothing"))["retCode"] == 10017
            one_row = await get("/v5/market/orderbook", category="spot", symbol="BTCUSDT")
            assert len(one_row["result"]["b"]) == 1
            rows = await get("/v5/market/orderbook", category="linear", symbol="BTCUSDT")
            assert len(rows["result"]["a"]) == 25
            tickers = await get("/v5/market/tickers", category="spot")
            assert [ticker["symbol"] for ticker in tickers["result"]["list"]] == ["BTCUSDT"]

    run(scenario)


def test_instruments_come_in_pages() -> None:
    async def scenario() -> None:
        async with simulator() as one, client(one) as user:
            found: list[str] = []
            cursor, pages = "", 0
            while True:
                query = {"category": "linear", "limit": 15, "cursor": cursor}
                result = (await user.rest("/v5/market/instruments-info", **query))["result"]
                found += [instrument["symbol"] for instrument in result["list"]]
                pages, cursor = pages + 1, result["nextPageCursor"]
                if not cursor:
                    break
            assert pages == 3
            assert len(set(found)) == len(found) == 41
            assert "NEWUSDT" not in found
            new = await user.rest("/v5/market/instruments-info", category="linear", status="PreLaunch")
            assert [instrument["symbol"] for instrument in new["result"]["list"]] == ["NEWUSDT"]
            reply = await user.ask(op="subscribe", args=["orderbook.50.NEWUSDT"])
            assert reply["ret_msg"] == "error:handler not found,topic:orderbook.50.NEWUSDT"

    run(scenario)


def test_klines_and_trades_over_rest() -> None:
    async def scenario() -> None:
        async with simulator(messages=3_000) as one, client(one) as user:
            await user.send(op="subscribe", args=["publicTrade.BTCUSDT"])
            await one.player
            trades = (
                await user.rest("/v5/market/recent-trade", category="linear", symbol="BTCUSDT", limit=10)
            )["result"]
            assert len(trades["list"]) == 10
            seqs = [int(trade["seq"]) for trade in trades["list"]]
            assert seqs == sorted(seqs, reverse=True)
            kline = (await user.rest("/v5/market/kline", symbol="BTCUSDT", interval="1"))["result"]
            assert {len(row) for row in kline["list"]} == {7}
            assert kline["list"][0][4] == trades["list"][0]["price"].rstrip("0").rstrip(".")

    run(scenario)


def test_only_loopback_and_free_ports() -> None:
    async def scenario() -> None:
        hub = Hub(None)
        source = Generated(listings("linear:BTCUSDT"), hub, Switches(), lambda: START_NS)
        for host in ("0.0.0.0", "192.168.0.1", "example.com"):
            with pytest.raises(SimulatorError, match="loopback"):
                async with serve(source, hub, Switches(), lambda: START_NS, host=host):
                    pass
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for option, name in (({"port": port}, "--port"), ({"rest_port": port}, "--rest-port")):
                with pytest.raises(SimulatorError, match=f"port {port} is taken; name another with {name}"):
                    async with serve(source, hub, Switches(), lambda: START_NS, **option):
                        pass

    run(scenario)


async def control(one: Simulator, *script: dict[str, Any]) -> dict[str, Any]:
    """Arm faults over HTTP."""
    url = f"{one.rest}/simulator/faults"
    async with aiohttp.ClientSession() as http, http.post(url, json=list(script)) as response:
        return {"status": response.status, **await response.json()}


async def rest(one: Simulator, path: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as http, http.get(f"{one.rest}{path}") as response:
        return response.status, await response.read()


def test_faults_are_armed_and_told_over_http() -> None:
    async def scenario() -> None:
        async with simulator(rate=200.0, clock=system_clock()) as one, client(one) as user:
            answer = await control(one, {"fault": "drop", "topic": "orderbook.50.*", "frame": 2})
            assert (answer["status"], answer["log"]) == (200, [])
            await user.ask(op="subscribe", args=["orderbook.50.BTCUSDT"])
            first = (await user.next())["data"]["u"]
            assert (await user.next())["data"]["u"] == first + 2
            told = orjson.loads((await rest(one, "/simulator/faults"))[1])
            assert [(fired["fault"], fired["u"]) for fired in told["log"]] == [("drop", first + 1)]
            assert [(entry["fired"], entry["spent"]) for entry in told["armed"]] == [(1, True)]
            bad = await control(one, {"fault": "dorp"})
            assert bad["status"] == 400
            assert "did you mean 'drop'" in bad["error"]
            url = f"{one.rest}/simulator/faults"
            async with aiohttp.ClientSession() as http, http.delete(url) as response:
                assert (await response.json())["armed"] == []

    run(scenario)


ENDINGS = [
    ("close_1000", 1000),
    ("close_1001", 1001),
    ("close_1006", 1006),
    ("close_1011", 1011),
    ("reset", 1006),
]


@pytest.mark.parametrize(("fault", "code"), ENDINGS)
def test_connections_end_as_the_script_says(fault: str, code: int) -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1) as one, client(one) as user:
            await user.ask(op="ping")
            await control(one, {"fault": fault})
            message = await user.socket.receive()
            assert (message.data if message.type == aiohttp.WSMsgType.CLOSE else 1006) == code

    run(scenario)


def test_a_half_open_connection_answers_nothing() -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1) as one, client(one) as user:
            await control(one, {"fault": "half_open"})
            one.venue.tick()
            await user.send(op="ping")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(user.socket.receive(), 0.05)

    run(scenario)


def test_frozen_late_fragmented_and_sliced_frames_arrive_whole() -> None:
    async def scenario() -> None:
        async with simulator(rate=400.0, clock=system_clock()) as one, client(one) as user:
            await control(
                one,
                {"fault": "fragmented", "frame": 5},
                {"fault": "late", "topic": "ping", "late_ms": 30},
                {"fault": "frozen", "frame": 3, "ms": 60},
                {"fault": "sliced", "frame": 7, "slice_bytes": 50},
            )
            await user.ask(op="subscribe", args=["orderbook.50.BTCUSDT"])
            await user.send(op="ping")
            numbers, pongs = [], 0
            while len(numbers) < 12 or not pongs:
                message = await user.next()
                pongs += message.get("ret_msg") == "pong"
                numbers += [message["data"]["u"]] if "data" in message else []
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    run(scenario)


@pytest.mark.parametrize(
    ("fault", "status"),
    [("handshake_403", 403), ("handshake_429", 429), ("handshake_502", 502), ("handshake_hangs", 504)],
)
def test_handshakes_that_are_refused(fault: str, status: int) -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1) as one:
            await control(one, {"fault": fault})
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with client(one):
                    pass
            assert caught.value.status == status
            async with client(one) as user:
                assert (await user.ask(op="ping"))["ret_msg"] == "pong"

    run(scenario)


def test_rest_answers_that_go_wrong() -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1) as one:
            await control(
                one,
                {"fault": "rest_503", "frame": 1},
                {"fault": "rest_truncated", "frame": 2},
                {"fault": "rest_slow", "frame": 3, "late_ms": 40},
                {"fault": "rest_cut", "frame": 4, "every": 1},
            )
            path = "/v5/market/time"
            assert (await rest(one, path))[0] == 503
            status, body = await rest(one, path)
            assert status == 200
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(body)
            began = asyncio.get_running_loop().time()
            assert (await rest(one, path))[0] == 200
            assert asyncio.get_running_loop().time() - began > 0.035
            with pytest.raises(aiohttp.ClientError):
                await rest(one, path)

    run(scenario)


def test_a_gateway_is_what_the_path_begins_with() -> None:
    async def scenario() -> None:
        async with simulator(rate=0.1) as one:
            await control(one, {"fault": "gateway_u", "gateway": "b", "by": 500})
            numbers = []
            for path in ("/v5/public/linear", "/b/v5/public/linear"):
                async with client(one, path) as user:
                    await user.ask(op="subscribe", args=["orderbook.50.BTCUSDT"])
                    numbers.append((await user.next())["data"]["u"])
            assert 500 <= numbers[1] - numbers[0] < 510

    run(scenario)
