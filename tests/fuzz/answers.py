"""Control messages into a session: whatever they are, it goes on, bounded, and comes to an end."""

import json
from random import Random
from typing import Any

import orjson

from engine.subscriptions import TopicState
from tests.support.frames import ODD_VALUES
from tests.support.sessions import Bench
from tests.support.spelling import mutate

STEPS = 60
REQUESTS_MAX = 400
TOPICS = ("orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT", "publicTrade.BTCUSDT", "tickers.ETHUSDT")
REASONS = (
    "error:handler not found,topic:{topic}",
    "error:already subscribed,topic:{topic}",
    "args size >10",
    "Params Error",
    "Invalid symbol :[{topic}]",
    "pong",
    "",
)


def session(random: Random) -> None:
    """Answers of every form, true, foreign, repeated, damaged; topics that break and heal between them."""
    category = random.choice(("linear", "spot", "inverse"))
    bench = Bench(category, *TOPICS, ack_timeout_s=2, snapshot_timeout_s=2, rejected_retry_s=5)
    bench.connect()
    asked: list[dict[str, Any]] = [{"req_id": "x", "op": "subscribe", "args": list(TOPICS)}]
    for _ in range(STEPS):
        asked += bench.take()
        step(random, bench, asked)
        if bench.session.reconnect_cause is not None:
            bench.disconnect(bench.session.reconnect_cause)
            bench.connect()
        assert bench.session.deadline_ns is not None
        assert set(bench.session.states()) == set(TOPICS)
        assert all(isinstance(state, TopicState) for state in bench.session.states().values())
    assert len(asked) < REQUESTS_MAX


def step(random: Random, bench: Bench, asked: list[dict[str, Any]]) -> None:
    """Let one thing happen."""
    match random.randrange(8):
        case 0:
            bench.wait(random.choice((0.1, 1, 5, 40)))
        case 1:
            bench.desync(random.choice(TOPICS))
        case 2:
            bench.sync(random.choice(TOPICS))
        case _:
            bench.hear(answer(random, random.choice(asked[-3:])))


def answer(random: Random, request: dict[str, Any]) -> object:
    """An answer to a request, or something like one."""
    reason = random.choice(REASONS).format(topic=random.choice((*TOPICS, "orderbook.500.X")))
    message: dict[str, Any] = {
        "success": random.random() < 0.5,
        "ret_msg": reason,
        "conn_id": "c",
        "req_id": request["req_id"],
        "op": request["op"],
    }
    if random.random() < 0.2:
        topics = random.sample(TOPICS, 2)
        data = {"successTopics": topics[:1], "failTopics": topics[1:]}
        message = {"success": True, "conn_id": "c", "data": data, "type": "COMMAND_RESP"}
    if random.random() < 0.4:
        message[random.choice(sorted(message))] = random.choice(ODD_VALUES)
    if random.random() < 0.3:
        del message[random.choice(sorted(message))]
    if random.random() < 0.3:
        try:
            return orjson.loads(mutate(random, json.dumps(message).encode()))
        except ValueError:
            return random.choice(ODD_VALUES)
    return message
