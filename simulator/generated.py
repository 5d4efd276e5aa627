"""The generated source: a market a symbol, moved in turn, at a rate, as long as somebody is subscribed."""

from collections.abc import Callable
from random import Random
from typing import Any

from simulator.changes import CHANGES
from simulator.clock import Clock
from simulator.faults import Change
from simulator.hub import Hub
from simulator.instruments import Instrument, Listing
from simulator.live import LiveMarket
from simulator.market import Trade
from simulator.notices import Notices
from simulator.pacing import Pacer
from simulator.source import IDLE
from simulator.switches import Switches
from simulator.tape import LAP_STEPS_MAX, LAP_STEPS_MIN, Tape, Window
from simulator.topics import COIN_KINDS, DEPTHS, STATUS, STATUS_TOPIC, Depth, split

BATCH_STEPS = 128
LAP_STEPS_ALL = 4_092
"""Steps of all laps together, so that many symbols do not take long to make."""
NOTICES_S = 1.0
WAIT_NS_MIN = 1_000_000
"""Shorter waits are not worth a turn of the loop: what falls due meanwhile goes out together."""


class Generated:
    """The markets of some listings, each made at its first use. The same seed makes the same markets."""

    def __init__(
        self,
        listings: list[Listing],
        hub: Hub,
        switches: Switches,
        clock: Clock,
        *,
        seed: int = 1,
        rate: float | None = 100.0,
        messages: int | None = None,
        lap_steps: int | None = None,
    ) -> None:
        self.lossless = rate is None
        self.listings = {(one.instrument.category, one.instrument.symbol): one for one in listings}
        shared = max(LAP_STEPS_MIN, min(LAP_STEPS_MAX, LAP_STEPS_ALL // len(listings)))
        self._lap_steps = lap_steps or shared
        self._hub = hub
        self._switches = switches
        self._seed = seed
        self._messages = messages
        self._clock = clock
        self._pacer = Pacer(rate, clock())
        self.markets: dict[tuple[str, str], LiveMarket] = {}
        self.notices = Notices(hub, clock() // 1_000_000)
        self._watched: list[LiveMarket] = []
        self._notices_watched = False
        self._turn = 0

    def market(self, category: str, symbol: str) -> LiveMarket:
        """Return the market of a listed symbol."""
        key = (category, symbol)
        if key not in self.markets:
            self.markets[key] = self.make_market(self.listings[key])
        return self.markets[key]

    def make_market(self, listing: Listing) -> LiveMarket:
        """Return a new market, which begins now."""
        instrument = listing.instrument
        random = Random(f"{self._seed}:{instrument.category}:{instrument.symbol}")  # noqa: S311 (a market, not a secret)
        tape = Tape(listing, random, self._lap_steps)
        return LiveMarket(tape, self._hub, self._switches, random, self._ms())

    def observe(self, category: str, symbol: str, observer: Callable[[list[Trade]], None]) -> None:
        """Tell of every step of a market from now on; it moves though nobody is subscribed."""
        self.market(category, symbol).observer = observer
        self._hub.changed.set()

    def _ms(self) -> int:
        """Return the market time in ms; while nobody watches, it follows the clock."""
        if not self._watched:
            self._pacer.resume(self._clock())
        return self._pacer.time_ns // 1_000_000

    def knows(self, category: str, topic: str) -> bool:
        """Return whether the topic exists and is one of a trading symbol."""
        if category == STATUS:
            return topic == STATUS_TOPIC
        return bool(self._symbols(category, topic))

    def _symbols(self, category: str, topic: str) -> list[str]:
        """Return the trading symbols that a topic is about."""
        parts = split(category, topic)
        if parts is None:
            return []
        kind, _, name = parts
        if kind in COIN_KINDS:
            return [name]
        if category == "option" and kind == "publicTrade":
            return [
                one.symbol
                for one in self.instruments(category)
                if one.coins()[0] == name and one.status == "Trading"
            ]
        found = self.listings.get((category, name))
        return [name] if found is not None and found.instrument.status == "Trading" else []

    def opening(self, category: str, topic: str) -> list[bytes]:
        """Return the snapshot a new subscription begins with, for the topics that have one."""
        ms = self._ms()
        if category == STATUS or topic.partition(".")[0] in COIN_KINDS:
            return self.notices.opening(category, topic, ms, self.instruments(category))
        found = [
            self.market(category, symbol).opening(topic, ms) for symbol in self._symbols(category, topic)
        ]
        return found[0] if len(found) == 1 else []

    def play(self, now_ns: int) -> float | None:
        """Move the watched markets as far as is due, one step each in turn."""
        if self._hub.changed.is_set():
            self._hub.changed.clear()
            if not self._watched:
                self._pacer.resume(now_ns)
            self._watched = [
                market
                for market in self.markets.values()
                if market.look_who_watches() or market.observer is not None
            ]
            self._notices_watched = self.notices.look_who_watches()
        if self._notices_watched:
            self.notices.publish(now_ns // 1_000_000, [one.instrument for one in self.listings.values()])
        for _ in range(BATCH_STEPS):
            if self._messages is not None and self._hub.data_frames >= self._messages:
                return None
            if not self._watched:
                return NOTICES_S if self._notices_watched else IDLE
            wait_ns = self._pacer.wait_ns(now_ns)
            if wait_ns:
                return max(wait_ns, WAIT_NS_MIN) / 1e9
            market = self._watched[self._turn % len(self._watched)]
            self._turn += 1
            self._pacer.spend(market.step(self._pacer.time_ns // 1_000_000))
        return 0.0

    def change(self, change: Change) -> None:
        """Let something happen to a market; one that nobody has used yet is made first."""
        key = (change.category, change.symbol)
        if key in self.listings and change.name not in ("listing", "maintenance"):
            self.market(*key)
        CHANGES[change.name](self, change)
        self._hub.changed.set()

    def now_ms(self) -> int:
        """Return the market time in ms."""
        return self._ms()

    def counters(self) -> dict[str, int]:
        """Return how many markets were made, and how many of them move."""
        return {"markets": len(self.markets), "markets_watched": len(self._watched)}

    def instruments(self, category: str) -> list[Instrument]:
        """Return the listed instruments of a category."""
        return [one.instrument for (where, _), one in self.listings.items() if where == category]

    def book(self, category: str, symbol: str, depth: Depth) -> tuple[Window, dict[str, int]] | None:
        """Return the last published window of a depth."""
        return self.market(category, symbol).book(depth) if depth in DEPTHS[category] else None

    def trades(self, category: str, symbol: str) -> list[dict[str, Any]]:
        """Return the latest trades, newest first."""
        return self.market(category, symbol).trades()

    def ticker(self, category: str, symbol: str) -> dict[str, str]:
        """Return the ticker's fields."""
        return self.market(category, symbol).ticker()

    def candles(self, category: str, symbol: str, interval: str) -> list[dict[str, Any]]:
        """Return the candles since the market began."""
        return self.market(category, symbol).candles(interval)

    def limits(self, category: str, symbol: str) -> tuple[int, int]:
        """Return the highest bid and the lowest ask that are let in, in ticks."""
        return self.market(category, symbol).limits()

    def statuses(self) -> list[dict[str, Any]]:
        """Return the maintenances that were announced."""
        return self.notices.statuses()
