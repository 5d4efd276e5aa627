"""One run: a feed, the network, the venue and the witness on one virtual clock, all from one seed."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from chaos.log import Log
from chaos.network import SECOND_PORT, Link, Network
from chaos.truth import topic_of
from chaos.venue import Venue
from chaos.witness import Witness
from engine import Feed, OrderBook
from engine.clock import NS_PER_S, ManualClock
from ext.book import BookState

__all__ = ["World"]

URL: Final = "ws://127.0.0.1:1"
SECOND_URL: Final = f"ws://127.0.0.1:{SECOND_PORT}"
RATE: Final = 6.0
"""Book messages a second and symbol; every other one has trades and tickers beside it."""
DEEP: Final = (50, 200, 1000)
POLL_S: Final = 0.05
START_NS: Final = 1_790_000_000 * NS_PER_S


class World:
    """Everything of a run. `symbols` are followed with level 1, one deeper book and all other topics."""

    def __init__(
        self,
        seed: int,
        *,
        symbols: int = 2,
        rate: float = RATE,
        categories: Sequence[str] = ("linear", "spot"),
        legs: int = 1,
        spare: int = 0,
        **options: Any,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 (a market, not a secret)
        self.clock = ManualClock(START_NS)
        self.log = Log(self.clock)
        self.category = self.random.choice(categories)
        self.symbols = ["BTCUSDT", "ETHUSDT", *(f"X{number}USDT" for number in range(symbols - 2))][:symbols]
        self.spare = [f"Y{number}USDT" for number in range(spare)]
        self.legs = legs
        self.venue = Venue(
            self.category,
            [*self.symbols, *self.spare],
            self.clock,
            self.log,
            seed=seed,
            rate=rate * (symbols + spare),
        )
        self.network = Network(self.clock, self.random, self.log, self.venue.accept)
        self.network.conditions.latency_s = self.random.uniform(0.002, 0.08)
        self.network.conditions.jitter_s = self.random.uniform(0.0, 0.04)
        self.network.on_delivered = self._delivered
        self.witness = Witness(self.venue.truth, self.log)
        self.feed = Feed(
            self.witness,
            url=URL,
            second_url=SECOND_URL,
            clock=self.clock,
            random=self.random.random,
            opener=self.network.open,
            **options,
        )
        self.deep = {symbol: self.random.choice(DEEP) for symbol in [*self.symbols, *self.spare]}
        self.topics = [topic for symbol in self.symbols for topic in self.topics_of(symbol)]
        self.delivered: dict[str, set[bytes]] = {topic: set() for topic in self.topics}
        self.counted_from: dict[str, int] = {}

    def topics_of(self, symbol: str) -> list[str]:
        """Return the topics that are followed of a symbol."""
        names = [f"orderbook.1.{symbol}", f"orderbook.{self.deep[symbol]}.{symbol}"]
        names += [f"publicTrade.{symbol}", f"tickers.{symbol}", f"kline.1.{symbol}"]
        return [*names, f"allLiquidation.{symbol}"] if self.category == "linear" else names

    def begin(self) -> None:
        """Let the venue move, and want every topic."""
        self.venue.watch([*self.topics, *(topic for one in self.spare for topic in self.topics_of(one))])
        self.venue.step()
        self.subscribe(self.symbols)

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Want the topics of symbols."""
        for symbol in symbols:
            self.feed.subscribe(
                self.category,
                [symbol],
                book=(1, self.deep[symbol]),
                trades=True,
                ticker=True,
                kline="1",
                liquidations=self.category == "linear",
                legs=self.legs,
            )

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    async def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Wait for a condition, at most so long; return whether it came."""
        end_s = self.log.now_s + limit_s
        while not condition():
            if self.log.now_s >= end_s:
                return False
            await asyncio.sleep(POLL_S)
        return True

    def is_in_step(self) -> bool:
        """Return whether every topic is in step on every leg, every book LIVE, and no gap open."""
        statuses = self.feed.subscriptions()
        return (
            len(statuses) >= self.legs * len(self.topics)
            and {status.topic for status in statuses} >= set(self.topics)
            and all(status.is_in_step for status in statuses)
            and not self._stale()
            and not self.open_gaps()
        )

    def open_gaps(self) -> list[str]:
        """Return the topics that are in a gap now."""
        return [gap.topic for gap in self.feed.dispatcher(self.category).open_gaps()]

    def out_of_step(self) -> str:
        """Return what keeps the feed from being in step, for a message."""
        waiting = [
            f"{status.topic} on leg {status.leg} {status.state.value}"
            for status in self.feed.subscriptions()
            if not status.is_in_step
        ]
        return ", ".join([*waiting, *self._stale(), *(f"{topic} in a gap" for topic in self.open_gaps())][:6])

    def books(self) -> list[OrderBook]:
        """Return the books that are wanted."""
        wanted = self.feed.topics.get(self.category, {})
        return [book for book in self.feed.dispatcher(self.category).books() if book.topic in wanted]

    def _stale(self) -> list[str]:
        return [f"{book.topic} {book.state.name}" for book in self.books() if book.state != BookState.LIVE]

    def network_s(self) -> float:
        """Return for how long a message travels at most, there and back."""
        now = self.network.conditions
        return 2 * (now.latency_s + now.jitter_s) + 2 * POLL_S

    def links(self) -> list[Link]:
        """Return the open connections."""
        return list(self.network.links)

    def _delivered(self, link: Link, batch: list[bytes]) -> None:
        for payload in batch:
            topic = topic_of(payload)
            if topic in self.delivered:
                self.delivered[topic].add(payload)
