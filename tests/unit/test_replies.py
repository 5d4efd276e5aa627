"""Every shape of answer that the venue's own fixtures show, brought to one form."""

import json

import pytest

from engine.bybit import replies


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            '{"success":true,"ret_msg":"","conn_id":"c1","req_id":"s1","op":"subscribe"}',
            replies.Reply("answer", "subscribe", "s1", True),
        ),
        (
            '{"success":true,"ret_msg":"subscribe","conn_id":"c1","op":"subscribe"}',
            replies.Reply("answer", "subscribe", "", True, "subscribe"),
        ),
        (
            '{"success":true,"conn_id":"c1","data":{"failTopics":["a"],"successTopics":["b"]},"type":"COMMAND_RESP"}',
            replies.Reply("answer", "", "", True, "refused", ("b",), ("a",)),
        ),
        (
            '{"success":false,"ret_msg":"args size >10","conn_id":"c1","op":"subscribe"}',
            replies.Reply("answer", "subscribe", "", False, "args size >10"),
        ),
        (
            '{"success":false,"ret_msg":"Params Error","conn_id":"c1"}',
            replies.Reply("answer", "", "", False, "Params Error"),
        ),
        ('{"success":true,"ret_msg":"pong","conn_id":"c1","req_id":"","op":"ping"}', replies.Reply("pong")),
        ('{"args":["1790000000000"],"op":"pong"}', replies.Reply("pong")),
        ('{"op":"auth","success":true,"ret_msg":""}', replies.Reply("other", "auth", reason="")),
    ],
)
def test_shapes(frame: str, expected: replies.Reply) -> None:
    found = replies.read(json.loads(frame))
    if expected.kind == "other":
        assert (found.kind, found.op) == (expected.kind, expected.op)
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        ("error:handler not found,topic:orderbook.500.BTCUSDT", ("orderbook.500.BTCUSDT",)),
        ("error:already subscribed,topic:publicTrade.BTCUSDT", ("publicTrade.BTCUSDT",)),
        ("Invalid symbol :[BTCUSDT]", ("orderbook.500.BTCUSDT", "publicTrade.BTCUSDT")),
        ("error:handler not found,topic:publicTrade.ETHUSDT", ()),
        ("error:handler not found,topic:", ()),
        ("Invalid symbol :[]", ()),
        ("Params Error", ()),
    ],
)
def test_only_topics_of_the_request_are_blamed(reason: str, named: tuple[str, ...]) -> None:
    assert replies.named_topics(reason, ("orderbook.500.BTCUSDT", "publicTrade.BTCUSDT")) == named


def test_what_the_venue_sends_is_kept_short() -> None:
    assert len(replies.read({"success": False, "ret_msg": "x" * 10_000, "op": "subscribe"}).reason) == 256
