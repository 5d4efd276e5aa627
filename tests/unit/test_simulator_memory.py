"""The whole simulator in memory and virtual time, with faults."""

from typing import Any

import orjson
import pytest

from simulator.faults import Binary, Close, Cut, Item, Ping, Plan, Refusal, Reset
from simulator.instruments import listings
from simulator.memory import START_NS, MemoryConnection, MemoryVenue

MS = 1_000_000
S = 1_000 * MS
BOOK = "orderbook.50.BTCUSDT"


def venue(
    *script: dict[str, Any], symbols: str = "linear:BTCUSDT,spot:BTCUSDT", rate: float = 50.0
) -> MemoryVenue:
    return MemoryVenue(listings(symbols), Plan(script, now_ns=START_NS), rate=rate, lap_steps=120)


def joined(one: MemoryVenue, *topics: str, path: str = "/v5/public/linear") -> MemoryConnection:
    client = one.connect(path)
    assert isinstance(client, MemoryConnection)
    ask(client, "subscribe", *topics)
    return client


def ask(client: MemoryConnection, op: str, *args: str) -> None:
    client.send(orjson.dumps({"op": op, "req_id": "r", "args": args}))


def received(client: MemoryConnection) -> list[Any]:
    """Return what arrived: dicts for JSON."""
    return [orjson.loads(item) if isinstance(item, bytes) else item for _, item in client.take()]


def books(messages: list[Any]) -> list[int]:
    return [one["data"]["u"] for one in messages if isinstance(one, dict) and "data" in one]


def test_time_moves_only_when_it_is_advanced() -> None:
    one = venue()
    client = joined(one, BOOK)
    first = client.take()
    assert [at_ns for at_ns, _ in first] == [START_NS, START_NS], "the ack and the snapshot"
    one.advance(START_NS + S)
    later = client.take()
    assert [at_ns for at_ns, _ in later] == [START_NS + k * 20 * MS for k in range(51)]
    assert one.now_ns == START_NS + S


def test_the_same_calls_give_the_same_bytes() -> None:
    def run() -> list[tuple[int, Item]]:
        one = venue({"fault": "drop", "chance": 0.2}, {"fault": "late", "chance": 0.1})
        client = joined(one, BOOK, "publicTrade.BTCUSDT", "tickers.BTCUSDT")
        one.advance(START_NS + 5 * S)
        return client.take()

    assert run() == run()


def test_a_dropped_frame_is_a_hole_in_u() -> None:
    one = venue({"fault": "drop", "frame": 4})
    client = joined(one, BOOK)
    one.advance(START_NS + S)
    first, *rest = books(received(client))
    assert rest == [first + k for k in range(1, 53) if k != 3][: len(rest)]
    assert [(fired["fault"], fired["u"]) for fired in one.hub.plan.log] == [("drop", first + 3)]


def test_a_late_frame_comes_at_its_time() -> None:
    one = venue({"fault": "ack_late", "late_ms": 70})
    client = joined(one, BOOK)
    one.advance(START_NS + S)
    arrived = [(at_ns - START_NS) // MS for at_ns, item in client.take() if b'"op"' in item]  # type: ignore[operator]  # all are bytes here
    assert arrived == [70]


def test_a_topic_dies_while_pongs_go_on() -> None:
    one = venue({"fault": "topic_dies", "topic": BOOK, "at_ms": 500})
    client = joined(one, BOOK, "orderbook.1.BTCUSDT")
    one.advance(START_NS + 600 * MS)
    client.take()
    ask(client, "ping")
    one.advance(START_NS + 5 * S)
    topics = {message.get("topic", message.get("ret_msg")) for message in received(client)}
    assert topics == {"orderbook.1.BTCUSDT", "pong"}


@pytest.mark.parametrize(
    ("fault", "end"),
    [("close_1000", Close(1000)), ("close_1011", Close(1011)), ("close_1006", Cut()), ("reset", Reset())],
)
def test_connections_end(fault: str, end: Item) -> None:
    one = venue({"fault": fault, "at_ms": 300, "connection": 1})
    client, other = joined(one, BOOK), joined(one, BOOK)
    one.advance(START_NS + S)
    taken = client.take()
    assert taken[-1] == (START_NS + 300 * MS, end)
    assert not client.is_open
    assert other.is_open
    assert len(one.hub.sendings) == 1


def test_half_open_says_and_hears_nothing() -> None:
    one = venue({"fault": "half_open", "at_ms": 300})
    client = joined(one, BOOK)
    one.advance(START_NS + 300 * MS)
    client.take()
    ask(client, "ping")
    one.advance(START_NS + 9 * S)
    one.hub.plan.clear()
    one.advance(START_NS + 10 * S)
    assert client.take() == []
    assert client.is_open


def test_frozen_and_then_all_at_once() -> None:
    one = venue({"fault": "frozen", "at_ms": 300, "ms": 1_000})
    client = joined(one, BOOK)
    one.advance(START_NS + 300 * MS)
    client.take()
    one.advance(START_NS + 1_299 * MS)
    assert client.take() == []
    one.advance(START_NS + 1_300 * MS)
    flood = books(received(client))
    assert len(flood) > 40
    assert flood == list(range(flood[0], flood[0] + len(flood)))


def test_latency_slices_and_bandwidth_keep_the_order() -> None:
    for fault in (
        {"fault": "latency", "latency_ms": 30, "jitter_ms": 25},
        {"fault": "sliced", "slice_bytes": 100},
        {"fault": "slow", "bytes_per_s": 100_000},
    ):
        one = venue(fault)
        client = joined(one, BOOK)
        one.advance(START_NS + 2 * S)
        numbers = books(received(client))
        assert len(numbers) > 50
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_connection_of_limited_bytes_is_reset() -> None:
    one = venue({"fault": "limited", "limit_bytes": 20_000})
    client = joined(one, BOOK)
    one.advance(START_NS + 20 * S)
    assert client.take()[-1][1] == Reset()


def test_fragments_binaries_and_pings_arrive_as_what_they_are() -> None:
    one = venue(
        {"fault": "fragmented", "frame": 2, "parts": 4},
        {"fault": "binary_frame", "frame": 4},
        {"fault": "server_ping"},
    )
    client = joined(one, BOOK)
    one.advance(START_NS + S)
    items = [item for _, item in client.take()]
    assert sum(isinstance(item, Ping) for item in items) == 1
    assert sum(isinstance(item, Binary) for item in items) == 1
    numbers = books([orjson.loads(item) for item in items if isinstance(item, bytes)])
    assert numbers[:4] == [numbers[0], numbers[0] + 1, numbers[0] + 2, numbers[0] + 4]


def test_requests_are_lost_refused_or_only_pretended() -> None:
    one = venue(
        {"fault": "request_lost"}, {"fault": "request_refused", "frame": 1}, {"fault": "request_pretended"}
    )
    client = joined(one, BOOK)
    assert received(client) == []
    ask(client, "subscribe", BOOK)
    assert [one["ret_msg"] for one in received(client)] == ["args size >10"]
    ask(client, "subscribe", BOOK)
    assert [one["success"] for one in received(client)] == [True]
    one.advance(START_NS + S)
    assert received(client) == []
    ask(client, "subscribe", BOOK)
    assert len(received(client)) == 2


def test_handshakes_and_paths() -> None:
    one = venue({"fault": "handshake_429"})
    assert one.connect("/v5/public/linear") == Refusal(429, {"Retry-After": "1"})
    assert isinstance(one.connect("/v5/public/linear"), MemoryConnection)
    assert one.connect("/v5/public/futures") == Refusal(404)


def test_gateways_count_alike_or_by_themselves() -> None:
    one = venue({"fault": "gateway_u", "gateway": "b"})
    legs = [joined(one, BOOK, path=f"{gateway}/v5/public/linear") for gateway in ("", "/a", "/b")]
    one.advance(START_NS + S)
    first, second, third = (books(received(leg)) for leg in legs)
    assert first == second
    assert third == [u + 1_000_000 for u in first]


def test_rest_in_memory() -> None:
    one = venue({"fault": "rest_wrong_u", "frame": 2}, {"fault": "rest_503", "path": "*/time"})
    client = joined(one, "orderbook.1000.BTCUSDT")
    one.advance(START_NS + S)
    last = books(received(client))[-1]
    query = {"category": "linear", "symbol": "BTCUSDT", "limit": "1000"}
    answers = [orjson.loads(one.get("/v5/market/orderbook", **query).body)["result"]["u"] for _ in range(3)]
    assert answers == [last, last + 1, last]
    assert one.get("/v5/market/time").status == 503


def test_a_connection_that_the_client_closes_gets_nothing_more() -> None:
    one = venue({"fault": "late", "late_ms": 300, "chance": 1.0})
    client = joined(one, BOOK)
    one.advance(START_NS + 100 * MS)
    client.close()
    one.advance(START_NS + S)
    assert [message.get("op") for message in received(client)] == ["subscribe"]
    assert not one.hub.sendings
