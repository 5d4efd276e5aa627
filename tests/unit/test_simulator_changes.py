"""What happens to markets by script: restarts, leaps, listings, other grids; everybody sees the same."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from simulator.faults import Plan
from simulator.instruments import listings
from simulator.memory import START_NS, MemoryConnection, MemoryVenue

S = 1_000_000_000
BOOK = "orderbook.50.BTCUSDT"
MARKET = {"category": "linear", "symbol": "BTCUSDT"}


class Stage:
    """A venue, a connection, and everything that arrived."""

    def __init__(self, *script: dict[str, Any], category: str = "linear") -> None:
        plan = Plan(script, now_ns=START_NS)
        self.venue = MemoryVenue(listings("linear:BTCUSDT,spot:BTCUSDT"), plan, rate=50.0, lap_steps=120)
        connection = self.venue.connect(f"/v5/public/{category}")
        assert isinstance(connection, MemoryConnection)
        self.connection = connection
        self.messages: list[dict[str, Any]] = []

    def ask(self, op: str, *topics: str) -> None:
        self.connection.send(orjson.dumps({"op": op, "args": topics}))

    def advance(self, seconds: float) -> None:
        self.venue.advance(self.venue.now_ns + round(seconds * S))
        self.messages += [orjson.loads(item) for _, item in self.connection.take() if isinstance(item, bytes)]

    def of(self, topic: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message.get("topic") == topic]

    def book(self, topic: str = BOOK) -> dict[str, dict[str, str]]:
        """Return the sides that the messages lead to."""
        sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
        for message in self.of(topic):
            if message["type"] == "snapshot":
                sides = {"b": {}, "a": {}}
            for side, levels in sides.items():
                for price, size in message["data"][side]:
                    levels.pop(price, None)
                    if Decimal(size):
                        levels[price] = size
        return sides

    def get(self, path: str, **query: str) -> Any:
        return orjson.loads(self.venue.get(path, **query).body)

    def check_book(self) -> None:
        """The messages lead to the book that the simulator says was sent."""
        sent = self.get("/simulator/book", **MARKET, depth="50")
        assert sent["u"] == self.of(BOOK)[-1]["data"]["u"]
        sides = self.book()
        assert sides["b"] == dict(sent["bids"])
        assert sides["a"] == dict(sent["asks"])


def steps(messages: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return each message that is no delta with the next u, as (type, u - u before)."""
    found, last = [], None
    for message in messages:
        u = message["data"]["u"]
        if last is not None and (message["type"], u - last) != ("delta", 1):
            found.append((message["type"], u - last))
        last = u
    return found


def test_a_restart_begins_with_a_snapshot_of_u_1() -> None:
    stage = Stage({"fault": "restart", "at_ms": 1_000, **MARKET})
    stage.ask("subscribe", BOOK, "orderbook.1.BTCUSDT")
    stage.advance(2)
    (step,) = steps(stage.of(BOOK))
    assert step[0] == "snapshot"
    assert [message["data"]["u"] for message in stage.of(BOOK)].count(1) == 1
    assert [message["data"]["u"] for message in stage.of("orderbook.1.BTCUSDT")].count(1) == 1
    seqs = [message["data"]["seq"] for message in stage.of(BOOK)]
    assert seqs == sorted(seqs)
    stage.check_book()


def test_a_restart_without_u_1_goes_back() -> None:
    stage = Stage({"fault": "restart_without_u1", "at_ms": 1_000, **MARKET})
    stage.ask("subscribe", BOOK)
    stage.advance(2)
    ((kind, leap),) = steps(stage.of(BOOK))
    assert kind == "snapshot"
    assert leap < -1
    assert min(message["data"]["u"] for message in stage.of(BOOK)) > 1
    stage.check_book()


def test_a_legal_leap_misses_no_change() -> None:
    stage = Stage({"fault": "u_jump", "at_ms": 500, "every_ms": 500, "times": 2, "by": 40, **MARKET})
    stage.ask("subscribe", BOOK)
    stage.advance(2)
    assert steps(stage.of(BOOK)) == [("delta", 41), ("delta", 41)]
    stage.check_book()


def test_a_snapshot_in_the_middle() -> None:
    stage = Stage({"fault": "snapshot_midstream", "at_ms": 1_000, **MARKET})
    stage.ask("subscribe", BOOK)
    stage.advance(2)
    assert steps(stage.of(BOOK)) == [("snapshot", 1)]
    stage.check_book()


def test_a_quiet_market_repeats_level_1_only() -> None:
    stage = Stage({"fault": "quiet", "at_ms": 1_000, "ms": 7_000, **MARKET})
    stage.ask("subscribe", BOOK, "orderbook.1.BTCUSDT")
    stage.advance(1)
    before = len(stage.of(BOOK))
    stage.messages.clear()
    stage.advance(6.9)
    assert before > 20
    assert len(stage.of(BOOK)) <= 1
    repeats = stage.of("orderbook.1.BTCUSDT")[-2:]
    assert [one["data"]["u"] for one in repeats] == [repeats[0]["data"]["u"]] * 2
    assert repeats[1]["ts"] - repeats[0]["ts"] == 3_000
    stage.advance(2)
    assert len(stage.of(BOOK)) > 20


def test_a_symbol_is_listed_and_delisted() -> None:
    new = {"category": "linear", "symbol": "NEWUSDT"}
    stage = Stage({"fault": "listing", "at_ms": 1_000, **new}, {"fault": "delisting", "at_ms": 3_000, **new})
    topic = "orderbook.50.NEWUSDT"
    stage.ask("subscribe", topic)
    stage.advance(1.5)
    assert not stage.of(topic)
    listed = stage.get("/v5/market/instruments-info", category="linear")["result"]["list"]
    assert [one["symbol"] for one in listed] == ["BTCUSDT", "NEWUSDT"]
    stage.ask("subscribe", topic)
    stage.advance(3.5)
    last = stage.of(topic)[-1]
    assert (last["type"], last["data"]["u"], last["data"]["b"], last["data"]["a"]) == ("snapshot", 1, [], [])
    assert last["ts"] < START_NS // 1_000_000 + 3_100
    closed = stage.get("/v5/market/instruments-info", category="linear", status="Closed")["result"]["list"]
    assert [one["symbol"] for one in closed] == ["NEWUSDT"]
    assert stage.get("/v5/market/orderbook", **new)["retCode"] == 10001


@pytest.mark.parametrize(
    ("fault", "place", "field", "was", "becomes"),
    [
        ("tick_change", "priceFilter", "tickSize", "0.10", "1.00"),
        ("lot_change", "lotSizeFilter", "qtyStep", "0.001", "0.01"),
    ],
)
def test_another_grid(fault: str, place: str, field: str, was: str, becomes: str) -> None:
    stage = Stage({"fault": fault, "at_ms": 1_000, **MARKET})
    stage.ask("subscribe", BOOK)

    def said() -> str:
        listed = stage.get("/v5/market/instruments-info", **MARKET)["result"]["list"]
        return str(listed[0][place][field])

    assert said() == was
    stage.advance(2)
    assert said() == becomes
    ((kind, _),) = steps(stage.of(BOOK))
    assert kind == "snapshot"
    assert 1 in [message["data"]["u"] for message in stage.of(BOOK)]
    seqs = [message["data"]["seq"] for message in stage.of(BOOK)]
    assert seqs == sorted(seqs)
    column = 0 if fault == "tick_change" else 1
    rows = [
        row for row in stage.of(BOOK)[-1]["data"]["b"] + stage.of(BOOK)[-1]["data"]["a"] if Decimal(row[1])
    ]
    assert all(Decimal(row[column]) % Decimal(becomes) == 0 for row in rows)
    stage.check_book()


def test_a_full_book_is_fetched_and_followed() -> None:
    spot = {"category": "spot", "symbol": "BTCUSDT"}
    stage = Stage({"fault": "restart", "at_ms": 4_000, **spot}, category="spot")
    topic = "orderbook.full.BTCUSDT"
    stage.ask("subscribe", topic)
    stage.advance(1)
    fetched = stage.get("/v5/market/full_orderbook", **spot)["result"]
    stage.advance(2)
    assert {message["type"] for message in stage.of(topic)} == {"delta"}
    sides = {side: dict(fetched[side]) for side in "ba"}
    for message in stage.of(topic):
        if message["data"]["u"] <= fetched["u"]:
            continue
        assert message["data"]["u"] == fetched["u"] + 1
        fetched["u"] += 1
        for side, levels in sides.items():
            for price, size in message["data"][side]:
                levels.pop(price, None)
                if Decimal(size):
                    levels[price] = size
    again = stage.get("/v5/market/full_orderbook", **spot)["result"]
    assert again["u"] == fetched["u"]
    assert sides == {side: dict(again[side]) for side in "ba"}
    assert len(again["b"]) > 1_000
    stage.advance(2)
    anew = [message["data"] for message in stage.of(topic) if message["data"]["u"] == 1]
    assert [(data["b"], data["a"]) for data in anew] == [([], [])]


def test_a_maintenance_is_announced() -> None:
    stage = Stage({"fault": "maintenance", "at_ms": 1_000, "state": "ongoing"})
    status = stage.venue.connect("/v5/public/misc/status")
    assert isinstance(status, MemoryConnection)
    status.send(b'{"op":"subscribe","args":["system.status"]}')
    stage.advance(2)
    frames = [orjson.loads(item) for _, item in status.take() if isinstance(item, bytes)]
    assert [frame["data"][0]["state"] for frame in frames if "topic" in frame] == ["ongoing"]
    assert [one["state"] for one in stage.get("/v5/system/status")["result"]["list"]] == ["ongoing"]


def test_the_1000_levels_of_rest_are_those_of_the_topic() -> None:
    stage = Stage()
    topic = "orderbook.1000.BTCUSDT"
    stage.ask("subscribe", topic)
    for _ in range(5):
        stage.advance(0.7)
        answer = stage.get("/v5/market/orderbook", **MARKET, limit="1000")["result"]
        assert answer["u"] == stage.of(topic)[-1]["data"]["u"]
        assert stage.book(topic) == {side: dict(answer[side]) for side in "ba"}


def test_coin_topics_and_limits_come_at_their_pace() -> None:
    stage = Stage()
    topics = ("insurance.USDT", "adlAlert.USDT", "priceLimit.BTCUSDT")
    stage.ask("subscribe", *topics, "insurance.USDC")
    stage.advance(10)
    counts = [len(stage.of(topic)) for topic in topics]
    assert counts[:2] == [12, 12]
    assert 30 <= counts[2] <= 36
    limit = stage.of("priceLimit.BTCUSDT")[-1]["data"]
    assert Decimal(limit["sellLmt"]) < Decimal(limit["buyLmt"])
    stage.ask("subscribe", "insurance.inverse")
    stage.advance(0)
    assert stage.messages[-1]["ret_msg"] == "error:handler not found,topic:insurance.inverse"
