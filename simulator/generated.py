"""The generated source: a market a symbol, moved in turn, at a rate, as long as somebody is subscribed."""

from random import Random
from typing import Any

from simulator.candles import INTERVALS
from simulator.clock import Clock
from simulator.faults import Change
from simulator.hub import Hub
from simulator.instruments import Instrument, Listing
from simulator.live import LiveMarket
from simulator.pacing import Pacer
from simulator.source import IDLE
from simulator.switches import Switches
from simulator.tape import DEPTHS, LAP_STEPS_MAX, LAP_STEPS_MIN, Tape, Window

BATCH_STEPS = 128
LAP_STEPS_ALL = 4_092
"""Steps of all laps together, so that many symbols do not take long to make."""
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
        self._listings = {(one.instrument.category, one.instrument.symbol): one for one in listings}
        shared = max(LAP_STEPS_MIN, min(LAP_STEPS_MAX, LAP_STEPS_ALL // len(listings)))
        self._lap_steps = lap_steps or shared
        self._hub = hub
        self._switches = switches
        self._seed = seed
        self._messages = messages
        self._clock = clock
        self._pacer = Pacer(rate, clock())
        self._markets: dict[tuple[str, str], LiveMarket] = {}
        self._watched: list[LiveMarket] = []
        self._turn = 0

    def _market(self, category: str, symbol: str) -> LiveMarket:
        key = (category, symbol)
        if key not in self._markets:
            random = Random(f"{self._seed}:{category}:{symbol}")  # noqa: S311 (a market, not a secret)
            tape = Tape(self._listings[key], random, self._lap_steps)
            self._markets[key] = LiveMarket(tape, self._hub, self._switches, random, self._ms())
        return self._markets[key]

    def _ms(self) -> int:
        """Return the market time in ms; while nobody watches, it follows the clock."""
        if not self._watched:
            self._pacer.resume(self._clock())
        return self._pacer.time_ns // 1_000_000

    def knows(self, category: str, topic: str) -> bool:
        """Return whether the topic is one of a trading symbol."""
        kind, _, rest = topic.partition(".")
        option, _, symbol = rest.rpartition(".")
        found = self._listings.get((category, symbol))
        if found is None or found.instrument.status != "Trading":
            return False
        if kind == "orderbook":
            return option in {str(depth) for depth in DEPTHS}
        if kind == "kline":
            return option in INTERVALS
        return not option and (
            kind in ("publicTrade", "tickers") or (kind == "allLiquidation" and category == "linear")
        )

    def opening(self, category: str, topic: str) -> list[bytes]:
        """Return the snapshot a new subscription begins with, for the topics that have one."""
        return self._market(category, topic.rpartition(".")[2]).opening(topic, self._ms())

    def play(self, now_ns: int) -> float | None:
        """Move the watched markets as far as is due, one step each in turn."""
        if self._hub.changed.is_set():
            self._hub.changed.clear()
            if not self._watched:
                self._pacer.resume(now_ns)
            self._watched = [market for market in self._markets.values() if market.look_who_watches()]
        for _ in range(BATCH_STEPS):
            if self._messages is not None and self._hub.data_frames >= self._messages:
                return None
            if not self._watched:
                return IDLE
            wait_ns = self._pacer.wait_ns(now_ns)
            if wait_ns:
                return max(wait_ns, WAIT_NS_MIN) / 1e9
            market = self._watched[self._turn % len(self._watched)]
            self._turn += 1
            self._pacer.spend(market.step(self._pacer.time_ns // 1_000_000))
        return 0.0

    def change(self, change: Change) -> None:
        """Let something happen to a market."""

    def counters(self) -> dict[str, int]:
        """Return how many markets were made, and how many of them move."""
        return {"markets": len(self._markets), "markets_watched": len(self._watched)}

    def instruments(self, category: str) -> list[Instrument]:
        """Return the listed instruments of a category."""
        return [one.instrument for (where, _), one in self._listings.items() if where == category]

    def book(self, category: str, symbol: str, depth: int) -> tuple[Window, dict[str, int]] | None:
        """Return the last published window of a depth."""
        return self._market(category, symbol).book(depth) if depth in DEPTHS else None

    def trades(self, category: str, symbol: str) -> list[dict[str, Any]]:
        """Return the latest trades, newest first."""
        return self._market(category, symbol).trades()

    def ticker(self, category: str, symbol: str) -> dict[str, str]:
        """Return the ticker's fields."""
        return self._market(category, symbol).ticker()

    def candles(self, category: str, symbol: str, interval: str) -> list[dict[str, Any]]:
        """Return the candles since the market began."""
        return self._market(category, symbol).candles(interval)
