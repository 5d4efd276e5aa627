"""A feed that watches itself, in virtual time over connections in memory."""

import asyncio
from typing import Any

import engine
from engine.clock import ManualClock
from tests.support.market import ticker_frame
from tests.support.venue import Asked, book_frame
from tests.support.virtual import Link, MemoryVenue, run_virtual
from tests.support.watch import Watch

LEVEL1 = "orderbook.1.BTCUSDT"
BOOK = "orderbook.50.BTCUSDT"


def snapshot(topic: str) -> str:
    return book_frame(topic, "snapshot", 100, [["100.1", "1"]], [["100.2", "3"]])


class Repeating:
    """A venue that confirms everything and repeats level 1 every 3 s, unless it is dead."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.venue = MemoryVenue(self.clock, self.answer)
        self.is_dead = False
        self.repeating: set[Link] = set()

    def answer(self, peer: Asked, request: dict[str, Any]) -> None:
        assert isinstance(peer, Link)
        peer.ack(request)
        if request["op"] != "subscribe":
            return
        for topic in request["args"]:
            if topic.startswith("orderbook"):
                peer.reply(snapshot(topic))
            elif topic.startswith("tickers"):
                peer.reply(ticker_frame("BTCUSDT", "snapshot", volume24h="5").decode())
        self.is_dead = False
        if peer not in self.repeating:
            self.repeating.add(peer)
            self.repeat(peer)

    def repeat(self, peer: Link) -> None:
        if not self.is_dead:
            peer.reply(snapshot(LEVEL1))
        if peer.is_open:
            asyncio.get_running_loop().call_later(3, self.repeat, peer)

    def feed(self, watch: engine.Listener, **options: Any) -> engine.Feed:
        feed = engine.Feed(
            watch,
            url="ws://127.0.0.1:1",
            clock=self.clock,
            opener=self.venue.open,
            random=lambda: 0.5,
            **options,
        )
        feed.subscribe("linear", ["BTCUSDT"], book=(1, 50), trades=True, ticker=True)
        return feed


def test_hours_of_a_quiet_market_are_left_alone() -> None:
    venue = Repeating()

    async def main() -> None:
        watch = Watch()
        async with venue.feed(watch) as feed:
            await asyncio.sleep(2 * 3600)
            assert watch.gaps == []
            assert feed.counters["verdicts"] == feed.counters["watch_faults"] == 0
            assert feed.proofs()["linear"][LEVEL1].startswith("the venue repeats")
            assert len(venue.venue.links) == 1

    run_virtual(main(), venue.clock)


def test_a_dead_topic_is_a_gap_and_is_subscribed_anew() -> None:
    venue = Repeating()

    async def main() -> None:
        watch = Watch()
        async with venue.feed(watch) as feed:
            await asyncio.sleep(10)
            before_ns = feed.dispatcher("linear").last_recv_ns(LEVEL1)
            venue.is_dead = True
            await watch.until(lambda: watch.gaps)
            (gap,) = watch.gaps
            assert (gap.topic, gap.cause, gap.start_ns) == (LEVEL1, "stalled", before_ns)
            assert "repeats an unchanged level 1" in gap.detail
            assert venue.clock.now().wall_ns - before_ns < 6 * 10**9
            await watch.until(lambda: watch.closed(LEVEL1) == ["stalled"])
            await asyncio.sleep(600)
            assert len(watch.gaps) == 2
            assert feed.counters["verdicts"] == 1

    run_virtual(main(), venue.clock)


def test_nobody_is_judged_where_that_is_not_wanted() -> None:
    venue = Repeating()

    async def main() -> None:
        watch = Watch()
        async with venue.feed(watch, liveness=False) as feed:
            await asyncio.sleep(10)
            venue.is_dead = True
            await asyncio.sleep(600)
            assert watch.gaps == []
            assert feed.counters["verdicts"] == 0

    run_virtual(main(), venue.clock)


def test_a_connection_that_is_silent_altogether_is_replaced_sooner_than_its_pings_would_tell() -> None:
    venue = Repeating()

    async def main() -> None:
        watch = Watch()
        async with venue.feed(watch):
            await asyncio.sleep(10)
            (link,) = venue.venue.links
            silent_ns = venue.clock.now().mono_ns
            link.reply = lambda *messages: None  # type: ignore[method-assign]  # half open
            await watch.until(lambda: watch.said("disconnected"))
            assert venue.clock.now().mono_ns - silent_ns < 17 * 10**9
            await watch.until(lambda: watch.closed(LEVEL1))
            assert len(venue.venue.links) == 2

    run_virtual(main(), venue.clock)


def test_a_process_that_was_stopped_is_an_event_and_no_verdict() -> None:
    venue = Repeating()

    async def main() -> None:
        watch = Watch()
        async with venue.feed(watch) as feed:
            await asyncio.sleep(10)
            venue.clock.advance(30)
            await watch.until(lambda: watch.said("paused"))
            assert watch.said("paused")[0].startswith("this process did not run for 30")
            await asyncio.sleep(60)
            assert watch.gaps == []
            assert feed.counters["pauses"] == 1
            assert feed.gauges()["loop_lag"]["max_ms"] > 29_000

    run_virtual(main(), venue.clock)


def test_what_is_measured_can_be_read() -> None:
    venue = Repeating()

    async def main() -> None:
        async with venue.feed(Watch()) as feed:
            await asyncio.sleep(10.2)
            gauges = feed.gauges()
            assert gauges["connections"].keys() == {1}
            assert 0 < gauges["connections"][1]["silence_s"] < 3
            assert gauges["market_lag"]["count"] > 0

    run_virtual(main(), venue.clock)


def test_a_fault_of_the_watch_is_counted_and_ends_nothing(caplog: Any) -> None:
    venue = Repeating()

    async def main() -> None:
        async with venue.feed(Watch()) as feed:
            await asyncio.sleep(2)
            feed._watch._measure = None  # type: ignore[assignment,method-assign]  # breaks each sample
            await asyncio.sleep(5)
            assert feed.counters["watch_faults"] == 10

    run_virtual(main(), venue.clock)
    assert [record.message for record in caplog.records] == ["a fault of the watch"]
