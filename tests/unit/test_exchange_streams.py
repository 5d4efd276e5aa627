"""What accounts are told by REST, private streams and order entry; and what goes wrong."""

from typing import Any

import orjson
import pytest

from simulator.errors import SimulatorError
from simulator.exchange.control import Control
from simulator.exchange.faults import FAULTS
from tests.support.exchange import LINEAR, Trader, frames

MARKET = {"orderType": "Market"}


def statuses(found: list[dict[str, Any]], topic: str = "order") -> list[str]:
    return [row["orderStatus"] for frame in found if frame["topic"] == topic for row in frame["data"]]


def arm(trader: Trader, **fault: Any) -> None:
    trader.exchange.faults.arm([fault], trader.venue.now_ns)


def test_an_order_is_seen_on_its_streams_and_by_queries() -> None:
    trader = Trader()
    stream = trader.stream("order", "execution", "position", "wallet", "greeks")
    by_category = trader.stream("order.linear", "execution.fast.linear", "position.inverse", "order.spot")
    assert trader.place("one")["result"]["orderLinkId"] == "one"
    assert trader.found("one") == ["New"]
    body = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "one"}
    assert trader.post("/v5/order/amend", **body, price="85100")["retCode"] == 0
    assert trader.post("/v5/order/cancel", **body)["retCode"] == 0
    assert trader.post("/v5/order/cancel", **body)["retCode"] == 110001
    assert trader.found("one") == ["Cancelled", "Cancelled"]
    trader.place("two", **MARKET)
    found, categorised = frames(stream), frames(by_category)
    assert statuses(found) == ["New", "New", "Cancelled", "Filled"]
    assert statuses(categorised, "order.linear") == ["New", "New", "Cancelled", "Filled"]
    assert {frame["topic"] for frame in found} == {"order", "execution", "position", "wallet"}
    fast = [frame for frame in categorised if frame["topic"] == "execution.fast.linear"]
    (execution,) = [frame for frame in found if frame["topic"] == "execution"]
    assert "id" not in fast[0]
    assert fast[0]["data"][0]["execId"] == execution["data"][0]["execId"]
    assert fast[0]["data"][0]["orderLinkId"] == "two"
    position = trader.get("/v5/position/list", category="linear", symbol="BTCUSDT")["result"]["list"][0]
    streamed = next(frame for frame in reversed(found) if frame["topic"] == "position")["data"][0]
    assert (position["size"], position["avgPrice"]) == (streamed["size"], streamed["entryPrice"])


def test_subscriptions_are_held_to_their_rules() -> None:
    trader = Trader()
    socket = trader.socket("/v5/private")
    for args, word in (
        (["order", "order.linear"], "Params Error"),
        (["orderbook.1.BTCUSDT"], "handler not found,topic:orderbook.1.BTCUSDT"),
        (["position.spot"], "handler not found"),
        ([], "Params Error"),
    ):
        socket.send(orjson.dumps({"op": "subscribe", "args": args, "req_id": "s"}))
        (answer,) = frames(socket)
        assert (answer["success"], answer["req_id"]) == (False, "s")
        assert word in answer["ret_msg"]
    for op, success in (("subscribe", True), ("subscribe", False), ("unsubscribe", True)):
        socket.send(orjson.dumps({"op": op, "args": ["wallet"]}))
        assert frames(socket)[0]["success"] is success
    trader.place()
    assert frames(socket) == []


def test_orders_are_entered_by_socket() -> None:
    trader = Trader()
    socket = trader.socket("/v5/trade")
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    trader.enter(socket, "order.create", {**order, "price": "85000", "orderLinkId": "one"})
    (answer,) = frames(socket)
    assert (answer["reqId"], answer["retCode"], answer["data"]["orderLinkId"]) == ("r-1", 0, "one")
    assert answer["header"]["X-Bapi-Limit-Status"] == "9"
    name = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "one"}
    trader.enter(socket, "order.amend", {**name, "qty": "0.02"})
    trader.enter(socket, "order.cancel", name)
    batch = [{**order, "price": price} for price in ("85000", "85000.01")]
    trader.enter(socket, "order.create-batch", {"category": "linear", "request": batch})
    found = frames(socket)
    assert [one["retCode"] for one in found] == [0, 0, 0]
    assert [one["code"] for one in found[2]["retExtInfo"]["list"]] == [0, 10001]
    trader.enter(socket, "order.create", {**order, "price": "85000"}, reqId="r-1")
    trader.enter(socket, "order.fly", {})
    trader.enter(socket, "order.create", {"category": "spread"})
    trader.enter(socket, "order.create", order, header={})
    late = {"X-BAPI-TIMESTAMP": str(trader.now_ms - 6_000)}
    trader.enter(socket, "order.create", order, header=late)
    assert [one["retCode"] for one in frames(socket)] == [20006, 10404, 10404, 10001, 10002]


def test_pages_end_and_cursors_are_signed_as_sent() -> None:
    trader = Trader()
    trader.account.limit = 100
    for number in range(5):
        trader.place(f"n{number}")
    found, cursor = [], ""
    while True:
        query = {"category": "linear", "symbol": "BTCUSDT", "limit": "2"}
        payload = "&".join(f"{name}={value}" for name, value in query.items())
        payload += f"&cursor={cursor}" if cursor else ""
        (reply,) = trader.venue.signed("GET", f"/v5/order/realtime?{payload}", trader.headers(payload))
        result = orjson.loads(reply.body)["result"]
        found += [row["orderLinkId"] for row in result["list"]]
        cursor = result["nextPageCursor"]
        if not cursor:
            break
    assert found == ["n4", "n3", "n2", "n1", "n0"]


def test_the_market_fills_what_rests_and_the_same_seed_gives_the_same() -> None:
    def run() -> list[dict[str, Any]]:
        trader = Trader()
        highest = trader.exchange.market("linear", "BTCUSDT")
        assert highest is not None
        best = highest.levels(asks=False)[0][0]
        trader.place("bid", price=str(best))
        trader.wait(20_000)
        assert trader.found("bid")[0] == "Filled"
        return list(trader.exchange.journal.lines)

    assert run() == run()


@pytest.mark.parametrize(
    ("name", "codes", "states"),
    [
        ("ack_lost", [], ["New"]),
        ("request_lost", [], []),
        ("error_after", [10016], ["New"]),
        ("error_before", [10016], []),
        ("http_after", [502], ["New"]),
        ("http_before", [502], []),
        ("cut_after", ["cut"], ["New"]),
        ("cut_before", ["cut"], []),
    ],
)
def test_an_answer_may_say_nothing_about_the_order(name: str, codes: list[Any], states: list[str]) -> None:
    trader = Trader()
    arm(trader, fault=name)
    body = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    replies = trader.send("/v5/order/create", **body, price="85000", orderLinkId="one")
    trader.wait(10_000)
    told = [
        "cut" if one.cut else one.status if one.status != 200 else orjson.loads(one.body)["retCode"]
        for one in replies
    ]
    assert told == codes
    assert trader.found("one") == states
    assert trader.place("next")["retCode"] == 0


@pytest.mark.parametrize(("name", "told"), [("accepted_late", []), ("accepted_late_error", [10016])])
def test_an_order_is_accepted_after_queries_found_nothing(name: str, told: list[int]) -> None:
    trader = Trader()
    stream = trader.stream("order")
    arm(trader, fault=name, late_ms=1_500)
    body = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    replies = trader.send("/v5/order/create", **body, price="85000", orderLinkId="one")
    trader.wait(1_499)
    assert [orjson.loads(one.body)["retCode"] for one in replies] == told
    assert (trader.found("one"), frames(stream)) == ([], [])
    trader.wait(1)
    assert trader.found("one") == ["New"]
    assert statuses(frames(stream)) == ["New"]
    assert trader.place("one")["retCode"] == 110072


def test_an_acknowledged_order_is_placed_later() -> None:
    trader = Trader()
    arm(trader, fault="placed_late", late_ms=300)
    assert trader.place("one")["retCode"] == 0
    cancel = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "one"}
    assert trader.found("one") == []
    assert trader.post("/v5/order/cancel", **cancel)["retCode"] == 110001
    trader.wait(300)
    assert trader.found("one") == ["New"]


def test_a_fill_comes_before_its_acknowledgement() -> None:
    trader = Trader()
    stream, socket = trader.stream("order"), trader.socket("/v5/trade")
    arm(trader, fault="fill_before_ack", late_ms=400)
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01"}
    trader.enter(socket, "order.create", order)
    assert statuses(frames(stream)) == ["Filled"]
    assert frames(socket) == []
    trader.wait(400)
    assert frames(socket)[0]["retCode"] == 0


def test_a_cancel_races_a_fill() -> None:
    trader = Trader()
    stream = trader.stream("order")
    trader.place("one")
    arm(trader, fault="raced_cancel")
    answer = trader.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderLinkId="one")
    assert answer["retCode"] == 0
    rows = [row for frame in frames(stream) for row in frame["data"]]
    assert [(row["orderStatus"], row["cancelType"], row["rejectReason"]) for row in rows] == [
        ("New", "UNKNOWN", "EC_NoError"),
        ("Filled", "UNKNOWN", "EC_NoError"),
        ("Filled", "CancelByUser", "EC_OrigClOrdIDDoesNotExist"),
    ]


def test_streams_come_late_again_or_never() -> None:
    trader = Trader()
    stream = trader.stream("order")
    for name, now, later in (("stream_late", 0, 1), ("stream_again", 1, 1), ("stream_lost", 0, 0)):
        arm(trader, fault=name, topic="order")
        trader.place()
        assert len(frames(stream)) == now
        trader.wait(1_000)
        assert len(frames(stream)) == later
    assert [one["fault"] for one in trader.exchange.faults.log] == [
        "stream_late",
        "stream_again",
        "stream_lost",
    ]


def test_a_socket_is_cut_after_its_order() -> None:
    trader = Trader()
    socket = trader.socket("/v5/trade")
    arm(trader, fault="cut_after")
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01"}
    trader.enter(socket, "order.create", {**order, "orderLinkId": "one"})
    assert not socket.is_open
    assert trader.found("one") == ["Filled", "Filled", "Trade"]


def test_what_is_late_finds_no_connection_and_does_no_harm() -> None:
    trader = Trader()
    stream, socket = trader.stream("order"), trader.socket("/v5/trade")
    arm(trader, fault="fill_before_ack")
    arm(trader, fault="stream_late")
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01"}
    trader.enter(socket, "order.create", order)
    for one in (stream, socket):
        one.close()
    trader.wait(5_000)
    assert trader.place()["retCode"] == 0


def test_disconnect_cancel_all_waits_for_its_window() -> None:
    trader = Trader()
    body = {"product": "DERIVATIVES", "timeWindow": 10}
    assert trader.post("/v5/order/disconnected-cancel-all", **body)["retCode"] == 0
    one, two = trader.stream("dcp.future"), trader.stream("dcp.future")
    trader.place("one")
    one.close()
    trader.wait(20_000)
    assert trader.found("one") == ["New"]
    two.close()
    trader.wait(9_999)
    assert trader.found("one") == ["New"]
    trader.wait(1)
    row = trader.get("/v5/order/history", category="linear")["result"]["list"][0]
    assert row["cancelType"] == "CancelByDCP"


def test_funding_comes_at_its_hour() -> None:
    trader = Trader()
    trader.place("one", **MARKET)
    trader.venue.source.market("linear", "BTCUSDT").observer = None  # the market stands still meanwhile
    trader.venue.hub.changed.set()
    trader.wait(8 * 3_600_000)
    query = {"category": "linear", "execType": "Funding"}
    rows = trader.get("/v5/execution/list", **query)["result"]["list"]
    assert [row["execType"] for row in rows] == ["Funding"]


def test_spread_orders_have_their_own_words() -> None:
    trader = Trader("spread:SOLUSDT_SOL/USDT")
    stream = trader.stream("spread.order", "spread.execution")
    body = {"symbol": "SOLUSDT_SOL/USDT", "side": "Buy", "orderType": "Limit", "qty": "1", "price": "-0.1"}
    assert trader.post("/v5/spread/order/create", **body)["retCode"] == 0
    assert len(trader.get("/v5/spread/order/realtime")["result"]["list"]) == 1
    assert len(trader.post("/v5/spread/order/cancel-all", cancelAll=True)["result"]["list"]) == 1
    assert statuses(frames(stream), "spread.order") == ["New", "Cancelled"]


def test_a_pre_check_places_nothing() -> None:
    trader = Trader()
    body = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "1"}
    found = trader.post("/v5/order/pre-check", **body, price="85000")["result"]
    assert found["postImrE4"] > found["preImrE4"] == 0
    assert not trader.account.orders


def test_the_control_endpoints_look_and_move() -> None:
    trader = Trader(LINEAR)
    control = Control(trader.exchange)
    trader.place("one", price="85000")
    control.post(
        "trade", {"category": "linear", "symbol": "BTCUSDT", "price": "85000", "qty": "1", "side": "Sell"}
    )
    assert trader.found("one")[0] == "Filled"
    lines = control.get("log", {})["lines"]
    assert [line["what"] for line in lines] == ["order", "fill", "order"]
    assert control.get("log", {"from": "2"})["lines"] == lines[2:]
    (account,) = control.get("accounts", {})["accounts"]
    assert account["positions"][0]["size"] == "0.01"
    control.post("faults", [{"fault": "ack_lost"}])
    assert control.get("faults", {})["armed"][0]["fault"] == "ack_lost"
    assert control.delete("faults")["armed"] == []
    control.post("fund", {})
    control.post("expire", {"key": trader.key})
    assert trader.place()["retCode"] == 33004
    control.post("accounts", {"account": "k9:s9:1"})
    control.post("ban", {})
    assert trader.exchange.addresses.is_banned("127.0.0.1", trader.now_ms)
    assert not trader.exchange.addresses.is_banned("127.0.0.1", trader.now_ms + 600_000)
    for name, body in (
        ("fly", {}),
        ("expire", {}),
        ("trade", {}),
        ("faults", [{"fault": "none"}]),
        ("ban", []),
    ):
        with pytest.raises(SimulatorError):
            control.post(name, body)


def test_every_fault_says_what_it_does() -> None:
    assert all(kind.does for kind in FAULTS.values())
