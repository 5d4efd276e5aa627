"""Connections that end again and again: how soon there is a book, and whether anything is left behind."""

import asyncio
import gc
import os
import statistics
from pathlib import Path
from typing import Final

from chaos.loop import run
from chaos.outcome import Outcome
from chaos.world import World
from engine import Event, Feed, Listener, OrderBook
from simulator.clock import system_clock
from simulator.generated import Generated
from simulator.hub import Hub
from simulator.instruments import listings
from simulator.server import Simulator, serve
from simulator.switches import Switches

__all__ = ["reconnects", "times_to_book"]

CUTS_A_RUN: Final = 20
STEADY_S: Final = 12.0
TO_BOOK_S: Final = 2.0
PER_FEED_MAX: Final = 400
"""Below what the venue allows in five minutes."""
SAMPLES: Final = 20
WARM_UP: Final = 0.3
GROWTH_BYTES_MAX: Final = 4 << 20
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def times_to_book(cuts: int, seed: int) -> Outcome:
    """Cut connections in virtual time, over many networks: from a cut to the first valid book."""
    outcome = Outcome("from cut to first valid book")
    times: list[float] = []
    while len(times) < cuts:
        world = World(seed + len(times))
        run(_cut_often(world, min(CUTS_A_RUN, cuts - len(times)), times), world.clock)
        for wrong in world.witness.wrong:
            outcome.fail(wrong)
    p99_s = statistics.quantiles(times, n=100)[-1]
    if p99_s > TO_BOOK_S:
        outcome.fail(f"p99 was {p99_s:.3f} s, the limit is {TO_BOOK_S} s")
    outcome.figures = {"cuts": len(times), "p99_s": round(p99_s, 3), "max_s": round(max(times), 3)}
    return outcome


async def _cut_often(world: World, cuts: int, times: list[float]) -> None:
    world.begin()
    async with world.feed:
        await world.until(world.is_in_step, STEADY_S)
        for _ in range(cuts):
            await world.sleep(STEADY_S + world.random.random())
            cut_s = world.log.now_s
            for link in world.links():
                link.cut()
            books = world.witness.books
            await world.until(lambda books=books: world.witness.books > books, 60)  # type: ignore[misc]
            times.append(world.log.now_s - cut_s)


class _FirstBook(Listener):
    """Tells of the end of a connection, and of the first book after it."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.gone = asyncio.Event()

    def on_book(self, book: OrderBook) -> None:
        """A book is there."""
        self.came.set()

    def on_event(self, event: Event) -> None:
        """A connection may be gone."""
        if event.kind == "disconnected":
            self.came.clear()
            self.gone.set()


def reconnects(count: int, seed: int) -> Outcome:
    """Cut real connections on loopback so often: memory, descriptors and tasks stay what they were."""
    return asyncio.run(_reconnect(count, seed))


async def _reconnect(count: int, seed: int) -> Outcome:
    outcome = Outcome("reconnections")
    hub, switches, clock = Hub(None), Switches(), system_clock()
    source = Generated(listings("linear:BTCUSDT"), hub, switches, clock, seed=seed, rate=200.0, lap_steps=120)
    states: list[dict[str, int]] = []
    async with serve(source, hub, switches, clock) as simulator:
        left = count
        while left:
            cuts = min(left, PER_FEED_MAX)
            left -= cuts
            await _cut_feed(simulator, cuts, states, max(1, count // SAMPLES))
    first, last = states[round(len(states) * WARM_UP)], states[-1]
    for name, limit in (("descriptors", 0), ("tasks", 0), ("memory_bytes", GROWTH_BYTES_MAX)):
        if last[name] - first[name] > limit:
            outcome.fail(f"{name} grew from {first[name]} to {last[name]} over {count} reconnections")
    outcome.figures = {"reconnections": count, "first": first, "last": last}
    return outcome


async def _cut_feed(simulator: Simulator, cuts: int, states: list[dict[str, int]], every: int) -> None:
    first_book = _FirstBook()
    feed = Feed(first_book, url=simulator.ws, reconnect_delay_s=0.001, reconnect_delay_max_s=0.001)
    feed.subscribe("linear", ["BTCUSDT"], book=(1, 50), trades=True, ticker=True)
    async with feed:
        for number in range(cuts):
            await first_book.came.wait()
            if number % every == 0:
                states.append(_state())
            for connection in list(simulator.door.connections):
                connection.cut()
            await first_book.gone.wait()
            first_book.gone.clear()
        await first_book.came.wait()


def _state() -> dict[str, int]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "tasks": len(asyncio.all_tasks()),
        "memory_bytes": pages * PAGE_BYTES,
    }
