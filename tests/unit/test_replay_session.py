"""The served side of a connection answers as the simulator does, which knows the venue from elsewhere."""

import itertools
import json
from typing import Any

import pytest

from recorder.replay.session import Session
from simulator.session import Session as SimulatedSession
from simulator.switches import Switches

TOPICS = (
    "orderbook.50.AUSDT",
    "publicTrade.AUSDT",
    "tickers.AUSDT",
    *(f"kline.{one}.AUSDT" for one in range(9)),
)
REQUESTS: tuple[Any, ...] = (
    {"op": "ping"},
    {"op": "ping", "req_id": "p1"},
    {"op": "subscribe", "args": [TOPICS[0]], "req_id": "s1"},
    {"op": "subscribe", "args": [TOPICS[0]]},
    {"op": "subscribe", "args": [TOPICS[1], "orderbook.500.AUSDT", TOPICS[2]], "req_id": "s2"},
    {"op": "subscribe", "args": [TOPICS[1], TOPICS[1]]},
    {"op": "subscribe", "args": list(TOPICS[1:12]), "req_id": "s3"},
    {"op": "unsubscribe", "args": [TOPICS[0], "nothing"], "req_id": "u1"},
    {"op": "unsubscribe", "args": [TOPICS[0], TOPICS[2]], "req_id": "u2"},
    {"op": "subscribe", "args": [TOPICS[2], TOPICS[0]], "req_id": 5},
    {"op": "subscribe", "args": []},
    {"op": "subscribe", "args": "orderbook.50.AUSDT"},
    {"op": "subscribe"},
    {"op": "auth", "args": ["x"]},
    {"op": 7},
    [],
    "text",
)


def sessions(category: str) -> tuple[Session, SimulatedSession]:
    known = frozenset(TOPICS).__contains__
    ours = Session(category, "c1", known, lambda: 5)
    return ours, SimulatedSession(category, "c1", Switches(), known, lambda _: True, lambda: 5)


@pytest.mark.parametrize("category", ["linear", "inverse", "spot", "option", "spread"])
def test_answers_and_subscriptions_are_equal(category: str) -> None:
    for start in range(len(REQUESTS)):
        ours, theirs = sessions(category)
        for request in itertools.islice(itertools.cycle(REQUESTS), start, start + len(REQUESTS)):
            text = json.dumps(request)
            answer, expected = ours.handle(text), theirs.handle(text.encode())
            assert answer.reply == expected.reply, request
            assert (answer.added, answer.removed) == (expected.added, expected.removed), request
            assert list(ours.topics) == list(theirs.topics)


def test_what_is_no_json_is_answered() -> None:
    ours, _ = sessions("linear")
    answer = json.loads(ours.handle("{").reply)
    assert answer["success"] is False
    assert answer["ret_msg"].startswith("Failed to decode incoming data:")
