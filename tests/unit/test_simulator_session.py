"""The rules of a public connection, word by word as each path has them."""

from typing import Any

import orjson
import pytest

from simulator.session import ARGS_CHARACTERS_MAX, Answer, Session
from simulator.switches import Switches

SYMBOLS = ("BTCUSDT", "ETHUSDT", *(f"S{number}USDT" for number in range(1_500)))
KNOWN = {f"{kind}.{symbol}" for symbol in SYMBOLS for kind in ("orderbook.50", "publicTrade", "tickers")}


def session(category: str = "linear", **switches: str) -> Session:
    return Session(category, "c1", Switches(**switches), KNOWN.__contains__, SYMBOLS.__contains__)


def send(to: Session, **request: Any) -> tuple[dict[str, Any], Answer]:
    answer = to.handle(orjson.dumps(request))
    return orjson.loads(answer.reply), answer


def text(reply: dict[str, Any]) -> str:
    return orjson.dumps(reply).decode()


@pytest.mark.parametrize(
    ("category", "request_", "reply"),
    [
        (
            "linear",
            {"req_id": "s1", "op": "subscribe", "args": ["orderbook.50.BTCUSDT"]},
            '{"success":true,"ret_msg":"","conn_id":"c1","req_id":"s1","op":"subscribe"}',
        ),
        (
            "linear",
            {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]},
            '{"success":true,"ret_msg":"","conn_id":"c1","req_id":"","op":"subscribe"}',
        ),
        (
            "spot",
            {"req_id": "s1", "op": "subscribe", "args": ["orderbook.50.BTCUSDT"]},
            '{"success":true,"ret_msg":"subscribe","conn_id":"c1","req_id":"s1","op":"subscribe"}',
        ),
        (
            "spot",
            {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]},
            '{"success":true,"ret_msg":"subscribe","conn_id":"c1","op":"subscribe"}',
        ),
        (
            "linear",
            {"req_id": "s2", "op": "subscribe", "args": ["orderbook.500.BTCUSDT"]},
            '{"success":false,"ret_msg":"error:handler not found,topic:orderbook.500.BTCUSDT","conn_id":"c1",'
            '"req_id":"s2","op":"subscribe"}',
        ),
        (
            "spot",
            {"req_id": "s2", "op": "subscribe", "args": ["tickers.BTCUSDT"] * 11},
            '{"success":false,"ret_msg":"args size >10","conn_id":"c1","op":"subscribe"}',
        ),
        (
            "linear",
            {"op": "ping"},
            '{"success":true,"ret_msg":"pong","conn_id":"c1","req_id":"","op":"ping"}',
        ),
        (
            "linear",
            {"op": "ping", "req_id": "7"},
            '{"success":true,"ret_msg":"pong","conn_id":"c1","req_id":"7","op":"ping"}',
        ),
        ("spot", {"op": "ping"}, '{"success":true,"ret_msg":"pong","conn_id":"c1","op":"ping"}'),
        (
            "linear",
            {"op": "order"},
            '{"success":false,"ret_msg":"error:invalid op","conn_id":"c1","req_id":"","op":"order"}',
        ),
        (
            "linear",
            {"op": "subscribe"},
            '{"success":false,"ret_msg":"Params Error","conn_id":"c1","req_id":"","op":"subscribe"}',
        ),
        (
            "linear",
            {"op": "subscribe", "args": [1]},
            '{"success":false,"ret_msg":"Params Error","conn_id":"c1","req_id":"","op":"subscribe"}',
        ),
        (
            "linear",
            {"op": "unsubscribe", "args": ["tickers.BTCUSDT"]},
            '{"success":true,"ret_msg":"","conn_id":"c1","req_id":"","op":"unsubscribe"}',
        ),
    ],
)
def test_reply(category: str, request_: dict[str, Any], reply: str) -> None:
    assert session(category).handle(orjson.dumps(request_)).reply.decode() == reply


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff\xfe", b"[1]", b'"ping"', b"null"])
def test_what_cannot_be_decoded_is_refused_and_changes_nothing(garbage: bytes) -> None:
    one = session()
    answer = one.handle(garbage)
    assert not answer.success
    assert not answer.close
    assert orjson.loads(answer.reply)["ret_msg"].startswith("Failed to decode incoming data:")


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_one_bad_topic_refuses_the_whole_request(category: str) -> None:
    one = session(category)
    good = ["tickers.BTCUSDT", "publicTrade.BTCUSDT"]
    reply, answer = send(
        one, op="subscribe", args=[good[0], "orderbook.500.BTCUSDT", "tickers.NOPE", good[1]]
    )
    assert reply["ret_msg"] == "error:handler not found,topic:orderbook.500.BTCUSDT"
    assert not answer.added
    assert not one.topics
    _, answer = send(one, op="subscribe", args=good)
    assert answer.added == good


def test_a_topic_already_subscribed_refuses_the_whole_request_and_lives_on() -> None:
    one = session()
    send(one, op="subscribe", args=["tickers.BTCUSDT"])
    reply, answer = send(one, op="subscribe", args=["publicTrade.BTCUSDT", "tickers.BTCUSDT"])
    assert reply["success"] is False
    assert reply["ret_msg"] == "error:already subscribed,topic:tickers.BTCUSDT"
    assert not answer.added
    assert list(one.topics) == ["tickers.BTCUSDT"]


def test_a_topic_twice_in_a_request_is_already_subscribed() -> None:
    reply, _ = send(session(), op="subscribe", args=["tickers.BTCUSDT", "tickers.BTCUSDT"])
    assert reply["ret_msg"] == "error:already subscribed,topic:tickers.BTCUSDT"


def test_unsubscribe_then_subscribe_adds_anew() -> None:
    one = session()
    send(one, op="subscribe", args=["tickers.BTCUSDT"])
    _, answer = send(one, op="unsubscribe", args=["tickers.BTCUSDT", "publicTrade.BTCUSDT"])
    assert answer.removed == ["tickers.BTCUSDT"]
    _, answer = send(one, op="subscribe", args=["tickers.BTCUSDT"])
    assert answer.added == ["tickers.BTCUSDT"]


def test_linear_takes_more_than_ten_args() -> None:
    args = [f"tickers.{symbol}" for symbol in SYMBOLS[:11]]
    assert send(session(), op="subscribe", args=args)[1].success
    assert not send(session("spot"), op="subscribe", args=args)[1].success


@pytest.mark.parametrize(("counted", "second_succeeds"), [("connection", False), ("request", True)])
def test_21000_characters(counted: str, second_succeeds: bool) -> None:
    one = session(args_characters=counted)
    topics = [f"tickers.{symbol}" for symbol in SYMBOLS]
    fitting = max(n for n in range(len(topics)) if len(orjson.dumps(topics[:n])) <= ARGS_CHARACTERS_MAX)
    assert not send(one, op="subscribe", args=topics[: fitting + 1])[1].success
    assert send(one, op="subscribe", args=topics[:fitting])[1].success
    assert send(one, op="subscribe", args=topics[fitting:])[1].success == second_succeeds


def test_21000_characters_may_close_the_connection() -> None:
    topics = [f"tickers.{symbol}" for symbol in SYMBOLS]
    assert send(session(args_characters_over="close"), op="subscribe", args=topics)[1].close
    assert not send(session(), op="subscribe", args=topics)[1].close


def test_switches_of_refusals() -> None:
    unknown = {"op": "subscribe", "req_id": "r", "args": ["tickers.NOPE"]}
    reply, answer = send(
        session("spot", spot_error_req_id="on", spot_unknown_symbol="invalid_symbol"), **unknown
    )
    assert reply["req_id"] == "r"
    assert reply["ret_msg"] == "Invalid symbol :[NOPE]"
    assert not answer.poisoned
    reply, answer = send(session("spot", unknown_topic="poisons"), **unknown)
    assert "req_id" not in reply
    assert answer.poisoned
