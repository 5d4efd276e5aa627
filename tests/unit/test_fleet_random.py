"""Topics that come and go at random, on connections that are cut and exchanged, and a bad venue."""

import asyncio
import gc
from collections import Counter
from random import Random
from typing import Any

import pytest

import engine
from engine.bybit import limits
from engine.clock import ManualClock
from tests.support.venue import Asked, book_frame, delta
from tests.support.virtual import Link, MemoryVenue, run_virtual
from tests.support.watch import Watch

SYMBOLS = [f"COIN{number}USDT" for number in range(24)]
UNTOUCHED = "SAFEUSDT"
BAD = "BADUSDT"


class Venue(MemoryVenue):
    """One bad topic fails a whole request; answers are late, missing or doubled while `is_bad`; what breaks a
    rule is kept in ``broken``.
    """

    def __init__(self, clock: ManualClock, random: Random) -> None:
        super().__init__(clock, self.reply)
        self.random = random
        self.is_bad = False
        self.move_s = 0.2
        self.bad_topics = {f"orderbook.50.{BAD}"}
        self.update_ids: Counter[str] = Counter()
        self.broken: list[str] = []
        self.refuse = lambda url: self.is_bad and random.random() < 0.3

    def of(self, link: Link) -> set[str]:
        topics: set[str] = link.__dict__.setdefault("subscribed", set())
        return topics

    def reply(self, asked: Asked, request: dict[str, Any]) -> None:
        link, topics = asked, request["args"]
        assert isinstance(link, Link)
        if link.url.endswith("spot") and len(topics) > 10:
            self.broken.append(f"{len(topics)} arguments")
        if len(set(topics)) != len(topics):
            self.broken.append(f"twice in one request: {topics}")
        if self.is_bad and self.random.random() < 0.1:
            return
        if request["op"] == "subscribe":
            self.subscribe(link, request)
        else:
            self.of(link).difference_update(topics)
            self.answer_later(link, request)

    def subscribe(self, link: Link, request: dict[str, Any]) -> None:
        topics, subscribed = request["args"], self.of(link)
        bad = [f"error:handler not found,topic:{topic}" for topic in topics if topic in self.bad_topics]
        bad += [f"error:already subscribed,topic:{topic}" for topic in topics if topic in subscribed]
        self.answer_later(link, request, *bad[:1])
        if bad:
            return
        subscribed.update(topics)
        if sum(map(limits.argument_bytes, subscribed)) > limits.ARGS_BYTES_PER_CONNECTION_MAX:
            self.broken.append("too many bytes")
        for topic in topics:
            if topic.startswith("orderbook"):
                update_id = self.update_ids[topic] = self.update_ids[topic] or 100
                bids = [["100.1", str(update_id)], ["100.0", "2"]]
                link.reply(book_frame(topic, "snapshot", update_id, bids, [["100.2", "3"]]))

    def answer_later(self, link: Link, request: dict[str, Any], reason: str = "") -> None:
        times = self.random.choice((0, 1, 1, 1, 2)) if self.is_bad else 1
        for _ in range(times):
            wait_s = self.random.choice((0.0, 0.0, 0.5, 4.0, 12.0)) if self.is_bad else 0.0
            asyncio.get_running_loop().call_later(wait_s, link.ack, request, not reason, reason)

    async def move(self) -> None:
        while True:
            for topic in list(self.update_ids):
                self.update_ids[topic] += 1
                for link in self.open_links:
                    if topic in self.of(link):
                        link.reply(delta(topic, self.update_ids[topic], str(self.update_ids[topic])))
            await asyncio.sleep(self.move_s)


class Changing(Watch):
    """Adds and removes from inside its callbacks, and fails in some."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.change: Any = None

    def on_book(self, book: engine.OrderBook) -> None:
        if self.change is not None and self.random.random() < 0.002:
            self.change()
        if self.random.random() < 0.001:
            raise RuntimeError("a listener that fails")


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_whatever_happens_what_is_wanted_gets_in_step(category: str, random: Random) -> None:
    clock = ManualClock()
    venue = Venue(clock, random)

    async def main() -> None:
        watch = Changing(random)
        feed = engine.Feed(
            watch,
            url="ws://127.0.0.1:1",
            second_url="ws://127.0.0.1:2",
            clock=clock,
            opener=venue.open,
            random=random.random,
            rejected_retry_s=5,
        )

        def add() -> None:
            symbols = random.sample(SYMBOLS, random.randrange(1, 12))
            legs = random.choice((1, 1, 2))
            hot = random.sample(symbols, 1) if random.random() < 0.2 else []
            feed.add(category, symbols, trades=random.random() < 0.5, legs=legs, hot=hot)

        def remove() -> None:
            feed.remove(category, random.sample(SYMBOLS, random.randrange(1, 12)))

        def change() -> None:
            random.choice((add, remove))()

        def cut() -> None:
            links = [link for link in venue.open_links if f"orderbook.50.{UNTOUCHED}" not in venue.of(link)]
            if links:
                random.choice(links).cut()

        def rotate() -> None:
            feed.rotate()

        feed.subscribe(category, [UNTOUCHED], hot=[UNTOUCHED])
        feed.subscribe(category, [BAD])
        async with feed:
            moving = asyncio.create_task(venue.move())
            await watch.until(lambda: feed.counters["rejected"])
            await asyncio.sleep(1)
            watch.change = change
            for _ in range(60):
                venue.is_bad = random.random() < 0.5
                random.choice((add, add, remove, cut, cut, rotate))()
                check(feed)
                await asyncio.sleep(random.choice((0.0, 0.01, 0.3, 2.0, 8.0)))
            watch.change = None
            venue.is_bad = False
            await asyncio.sleep(60)
            venue.bad_topics.clear()
            venue.move_s = 20
            await asyncio.sleep(3700)
            for status in feed.subscriptions():
                assert status.is_in_step, status
            wanted = Counter(status.topic for status in feed.subscriptions())
            assert not feed.dispatcher(category).open_gaps()
            at_venue = Counter(topic for link in venue.open_links for topic in venue.of(link))
            assert at_venue == wanted
            assert venue.broken == []
            assert [gap for gap in watch.gaps if gap.topic.endswith(UNTOUCHED)] == []
            assert feed.counters["faults"] == 0
            assert feed.counters["watch_faults"] == 0
            legs = [connection.session.leg for connection in feed.connections]
            assert len(set(legs)) == len(legs) == len(venue.open_links)
            # whoever removes all, keeps nothing
            feed.remove(category, [*SYMBOLS, BAD])
            await asyncio.sleep(60)
            assert {status.topic for status in feed.subscriptions()} == {f"orderbook.50.{UNTOUCHED}"}
            assert len(feed.connections) == len(venue.open_links) == 1
            gc.collect()
            assert len(asyncio.all_tasks()) < 8
            moving.cancel()

    def check(feed: engine.Feed) -> None:
        for connection in feed.connections:
            topics = list(connection.session.states())
            assert sum(map(limits.argument_bytes, topics)) <= limits.ARGS_BYTES_PER_CONNECTION_MAX

    run_virtual(main(), clock)
