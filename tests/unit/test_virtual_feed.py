"""A whole Feed in virtual time, over connections in memory."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import engine
from engine.clock import ManualClock
from ext.journal import Journal
from tests.support.spools import Segments
from tests.support.venue import delta
from tests.support.virtual import MemoryVenue, run_virtual
from tests.support.watch import Watch

BTC = "orderbook.50.BTCUSDT"


def make_feed(venue: MemoryVenue, watch: engine.Listener, **options: Any) -> engine.Feed:
    feed = engine.Feed(
        watch, url="ws://127.0.0.1:1", clock=venue.clock, opener=venue.open, random=lambda: 0.5, **options
    )
    feed.subscribe("linear", ["BTCUSDT"], book=50)
    return feed


def test_a_day_of_feed_takes_no_time() -> None:
    clock = ManualClock()
    venue, start_ns = MemoryVenue(clock), clock.now().mono_ns

    async def main() -> None:
        watch = Watch()
        async with make_feed(venue, watch) as feed:
            await watch.until(lambda: watch.books)
            await asyncio.sleep(86_400 / 2)
            assert feed.counters["pings"] == 2160
            venue.links[0].reply(delta(BTC, 101), delta(BTC, 102))
            await watch.until(lambda: (BTC, 102) in watch.books)
            assert feed.counters["frames_received"] == 2 + 2160 + 2

    run_virtual(main(), clock)
    assert clock.now().mono_ns - start_ns >= 43_200 * 10**9


def test_frames_are_stamped_by_the_clock_of_the_feed() -> None:
    clock = ManualClock()
    venue, stamps = MemoryVenue(clock), []

    class Stamps(Watch):
        def on_book(self, book: engine.OrderBook) -> None:
            stamps.append(book.recv_ns)
            super().on_book(book)

    async def main() -> None:
        watch = Stamps()
        async with make_feed(venue, watch):
            await watch.until(lambda: watch.books)

    start_ns = clock.now().wall_ns
    run_virtual(main(), clock)
    assert start_ns < stamps[0] <= clock.now().wall_ns


def test_a_refused_connection_is_tried_again_after_waits_that_double() -> None:
    clock = ManualClock()
    venue, tries = MemoryVenue(clock), []

    def refuse(url: str) -> bool:
        tries.append(clock.now().mono_ns / 1e9)
        return len(tries) < 8

    venue.refuse = refuse

    async def main() -> None:
        watch = Watch()
        async with make_feed(venue, watch):
            await watch.until(lambda: watch.books)

    run_virtual(main(), clock)
    waits = [round(after - before, 1) for before, after in itertools.pairwise(tries)]
    assert waits == [0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 22.5]


def test_a_closed_journal_leaves_no_book_as_it_was(tmp_path: Path) -> None:
    clock, segments = ManualClock(), Segments(tmp_path)
    venue, now = MemoryVenue(clock), clock.now()
    journal = Journal(segments, now.wall_ns, now.mono_ns)

    async def main() -> None:
        watch = Watch()
        async with make_feed(venue, watch, journal=journal) as feed:
            await watch.until(lambda: watch.books)
            journal.close()
            venue.links[0].reply(delta(BTC, 101), delta(BTC, 102))
            await watch.until(lambda: (BTC, 102) in watch.books)
            assert feed.counters["frames_unrecorded"] == 2
            venue.links[0].reply(delta(BTC, 105))
            await watch.until(lambda: watch.opened(BTC))

    run_virtual(main(), clock)
    segments.close()
