"""The session of the account's streams: topics, acknowledgements, pushes."""

import orjson
import pytest

from engine.bybit.credentials import Credentials
from engine.clock import ManualClock
from engine.errors import ConfigError
from engine.orders.private import PrivateSession, Push, topics

WANTED = ("order", "execution", "wallet")


def ready(clock: ManualClock) -> PrivateSession:
    session = PrivateSession(Credentials("testnet", "key", "secret"), WANTED)
    session.connected(clock.now(), 1_790_000_000_000)
    session.take_sends()
    session.message({"success": True, "ret_msg": "", "op": "auth", "conn_id": "c"}, clock.now())
    return session


def requests(session: PrivateSession) -> dict[str, str]:
    """Return the ids of the requests that are to be sent, by topic."""
    sent = [orjson.loads(one) for one in session.take_sends()]
    return {one["args"][0]: one["req_id"] for one in sent if one["op"] == "subscribe"}


def ack(request_id: str, reason: str = "") -> dict[str, object]:
    return {"success": not reason, "ret_msg": reason, "op": "subscribe", "req_id": request_id, "conn_id": "c"}


def test_topics_are_subscribed_one_by_one_after_the_login() -> None:
    clock = ManualClock()
    session = ready(clock)
    asked = requests(session)
    assert tuple(asked) == WANTED
    for request_id in asked.values():
        assert not session.is_subscribed
        session.message(ack(request_id), clock.now())
    assert session.is_subscribed
    assert session.confirmed == set(WANTED)


def test_a_refused_topic_takes_no_other_with_it() -> None:
    clock = ManualClock()
    session = ready(clock)
    asked = requests(session)
    session.message(ack(asked["order"]), clock.now())
    session.message(ack(asked["execution"], "error:handler not found,topic:execution"), clock.now())
    session.message(ack(asked["wallet"], "error:already subscribed,topic:wallet"), clock.now())
    assert session.is_subscribed
    assert session.confirmed == {"order", "wallet"}
    assert session.refused == {"execution": "error:handler not found,topic:execution"}


def test_an_ack_that_does_not_come_replaces_the_connection_which_subscribes_again() -> None:
    clock = ManualClock()
    session = ready(clock)
    session.take_sends()
    clock.advance(10)
    session.tick(clock.now())
    assert session.reconnect_cause == "ack_timeout"
    session.disconnected(clock.now())
    session.connected(clock.now(), 1)
    assert [orjson.loads(one)["op"] for one in session.take_sends()] == ["auth"]
    session.message({"success": True, "op": "auth"}, clock.now())
    assert tuple(requests(session)) == WANTED


@pytest.mark.parametrize(
    ("name", "topic", "category"),
    [
        ("order", "order", ""),
        ("order.linear", "order", "linear"),
        ("execution.fast", "execution.fast", ""),
        ("execution.fast.inverse", "execution.fast", "inverse"),
        ("spread.order", "spread.order", ""),
        ("wallet", "wallet", ""),
    ],
)
def test_a_push_names_topic_and_category(name: str, topic: str, category: str) -> None:
    clock = ManualClock()
    session = ready(clock)
    session.message({"topic": name, "creationTime": 5, "data": [{"a": "1"}, {}]}, clock.now())
    assert session.take_pushes() == [Push(topic, category, ({"a": "1"}, {}), 5)]
    assert session.take_pushes() == []


@pytest.mark.parametrize("data", [None, {}, [1], "text"])
def test_a_push_without_rows_is_counted(data: object) -> None:
    clock = ManualClock()
    session = ready(clock)
    session.message({"topic": "order", "data": data}, clock.now())
    assert (session.take_pushes(), session.strays) == ([], 1)


def test_topics_of_an_account() -> None:
    plain = topics(["linear", "spot"], environment="testnet")
    assert plain == ("order", "execution", "position", "wallet")
    each = topics(["linear", "spot"], environment="testnet", is_per_category=True, with_fast=True)
    assert each == (
        "order.linear",
        "order.spot",
        "execution.linear",
        "execution.spot",
        "position.linear",
        "execution.fast.linear",
        "execution.fast.spot",
        "wallet",
    )
    assert "greeks" in topics(["option"], environment="testnet")
    assert topics(["spread"], environment="testnet") == ("wallet", "spread.order", "spread.execution")
    many = topics(["linear", "inverse", "option"], environment="testnet", with_dcp=True)
    assert many[-2:] == ("dcp.future", "dcp.option")


def test_demo_has_fewer_topics() -> None:
    found = topics(["linear", "option", "spread"], environment="demo", with_fast=True, with_dcp=True)
    assert found == ("order", "execution", "position", "wallet", "greeks")


def test_a_category_without_orders_is_refused() -> None:
    with pytest.raises(ConfigError, match="category was 'liner'; has no orders: use one of linear"):
        topics(["liner"], environment="testnet")
