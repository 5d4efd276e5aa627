"""Sessions against a venue that answers late, out of order, not at all, or with a refusal, at random."""

import heapq
import random
from collections.abc import Callable
from typing import Any

import pytest

from ext.journal import RecordKind
from tests.support.sessions import Bench

SEEDS = range(40)


class RandomVenue:
    """Keeps subscriptions as protocol says, atomically; `at` puts its answers into the future."""

    def __init__(self, bench: Bench, random: random.Random, bad: set[str], loss: float) -> None:
        self.bench = bench
        self.random = random
        self.bad = bad
        self.loss = loss
        self.subscribed: set[str] = set()
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.count = 0

    def at(self, delay_s: float, action: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(
            self.queue, (self.bench.clock.now().mono_ns + round(delay_s * 1e9), self.count, action)
        )

    def take_requests(self) -> None:
        for request in self.bench.take():
            assert self.bench.session.category != "spot" or len(request["args"]) <= 10
            self.at(self.random.uniform(0, 0.2), lambda request=request: self.serve(request))

    def serve(self, request: dict[str, Any]) -> None:
        topics = set(request["args"])
        reason = ""
        if request["op"] == "unsubscribe":
            self.subscribed -= topics
        elif culprit := next((topic for topic in request["args"] if topic in self.bad), None):
            reason = f"error:handler not found,topic:{culprit}"
        elif culprit := next((topic for topic in request["args"] if topic in self.subscribed), None):
            reason = f"error:already subscribed,topic:{culprit}"
        else:
            self.subscribed |= topics
            for topic in request["args"]:
                if topic.startswith("orderbook") and self.random.random() >= self.loss:
                    self.at(self.random.uniform(0, 0.4), lambda topic=topic: self.bench.sync(topic))
        if self.random.random() >= self.loss:
            self.at(self.random.uniform(0, 0.4), lambda: self.bench.ack(request, reason))

    def run(self, seconds: float) -> None:
        end_ns = self.bench.clock.now().mono_ns + round(seconds * 1e9)
        while self.bench.session.reconnect_cause is None:
            self.take_requests()
            due_ns = self.queue[0][0] if self.queue else end_ns
            step_ns = min(due_ns, self.bench.session.deadline_ns or end_ns, end_ns)
            self.bench.wait(max(0, step_ns - self.bench.clock.now().mono_ns) / 1e9)
            while self.queue and self.queue[0][0] <= self.bench.clock.now().mono_ns:
                heapq.heappop(self.queue)[2]()
            if self.bench.clock.now().mono_ns >= end_ns and not self.bench.requests:
                return

    def reset(self) -> None:
        self.subscribed.clear()
        self.queue.clear()


def make(seed: int, loss: float) -> tuple[Bench, RandomVenue, list[str]]:
    chance = random.Random(seed)
    category = chance.choice(["spot", "linear", "inverse"])
    kinds = ["orderbook.1", "orderbook.50", "orderbook.1000", "publicTrade", "kline.5"]
    symbols = [f"COIN{number}USDT" for number in range(chance.randint(1, 40))]
    topics = [f"{kind}.{symbol}" for symbol in symbols for kind in kinds if chance.random() < 0.7]
    topics = topics or ["publicTrade.BTCUSDT"]
    bad = {topic for topic in topics if chance.random() < 0.1}
    bench = Bench(category, *topics, rejected_retry_s=600, ack_timeout_s=2, snapshot_timeout_s=2)
    return bench, RandomVenue(bench, chance, bad, loss), topics


def check(bench: Bench, venue: RandomVenue, topics: list[str]) -> None:
    states = bench.session.states()
    assert {topic for topic in topics if states[topic].value == "parked"} == venue.bad
    good = set(topics) - venue.bad
    assert {states[topic].value for topic in good} <= {"confirmed"}
    assert venue.subscribed == good


@pytest.mark.parametrize("seed", SEEDS)
def test_in_whatever_order_answers_come_all_good_topics_are_confirmed(seed: int) -> None:
    bench, venue, topics = make(seed, loss=0.0)
    bench.connect()
    venue.run(30)
    check(bench, venue, topics)
    assert bench.session.reconnect_cause is None
    assert bench.decided(RecordKind.STALLED) == []
    assert {topic for lost in bench.decided(RecordKind.REJECTED) for topic in lost["topics"]} == venue.bad


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_and_snapshots_that_get_lost_only_cost_time(seed: int) -> None:
    bench, venue, topics = make(seed, loss=0.15)
    for _ in range(30):
        venue.reset()
        bench.connect()
        venue.run(120)
        if bench.session.reconnect_cause is None:
            break
        bench.disconnect(bench.session.reconnect_cause)
    check(bench, venue, topics)


@pytest.mark.parametrize("seed", SEEDS)
def test_books_that_break_at_random_come_back(seed: int) -> None:
    bench, venue, topics = make(seed, loss=0.0)
    bench.connect()
    venue.run(30)
    books = [topic for topic in topics if topic.startswith("orderbook") and topic not in venue.bad]
    for _ in range(10):
        for topic in venue.random.sample(books, min(len(books), 3)):
            bench.desync(topic)
        venue.run(venue.random.uniform(0, 40))
    venue.run(60)
    check(bench, venue, topics)
    assert bench.session.reconnect_cause is None
