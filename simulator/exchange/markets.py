"""A market as orders see it: its grid and limits, its prices, and what stands in its book."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from simulator.exchange.decimals import ZERO
from simulator.instrument_info import info
from simulator.instruments import Instrument

FEES: dict[str, tuple[Decimal, Decimal]] = {
    "linear": (Decimal("0.0002"), Decimal("0.00055")),
    "inverse": (Decimal("0.0002"), Decimal("0.00055")),
    "spot": (Decimal("0.001"), Decimal("0.001")),
    "option": (Decimal("0.0002"), Decimal("0.0003")),
    "spread": (Decimal("0.0001"), Decimal("0.00025")),
}
"""Maker and taker of the default tier."""
FUNDING_RATE = Decimal("0.0001")

Level = tuple[Decimal, Decimal]
"""Price, quantity."""


class Quotes(Protocol):
    """The prices of a market, and the orders of others in it."""

    def last(self) -> Decimal:
        """Return the price of the last trade."""

    def mark(self) -> Decimal:
        """Return the mark price."""

    def index(self) -> Decimal:
        """Return the index price."""

    def band(self) -> tuple[Decimal, Decimal]:
        """Return the highest price to buy and the lowest to sell at."""

    def levels(self, asks: bool) -> list[Level]:
        """Return the levels of a side, best first."""

    def best(self, asks: bool) -> Decimal:
        """Return the best price of a side."""

    def seq(self) -> int:
        """Return the sequence number of the moment."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an order must keep to. 0 is no limit."""

    tick: Decimal
    step: Decimal
    qty_min: Decimal
    qty_max: Decimal
    market_max: Decimal
    value_min: Decimal
    quote_step: Decimal

    @classmethod
    def of(cls, instrument: Instrument) -> "Rules":
        """Return the rules that the instrument's REST object tells."""
        told: dict[str, Any] = info(instrument)
        if instrument.category == "spread":
            lot = {"qtyStep": told["lotSize"], "minOrderQty": told["minSize"], "maxOrderQty": told["maxSize"]}
            tick = told["tickSize"]
        else:
            lot, tick = told["lotSizeFilter"], told["priceFilter"]["tickSize"]
        qty_max = lot.get("maxLimitOrderQty") or lot["maxOrderQty"]
        return cls(
            tick=Decimal(tick),
            step=Decimal(lot.get("qtyStep") or lot["basePrecision"]),
            qty_min=ZERO if instrument.category == "spot" else Decimal(lot["minOrderQty"]),
            qty_max=Decimal(qty_max),
            market_max=Decimal(lot.get("maxMktOrderQty") or lot.get("maxMarketOrderQty") or qty_max),
            value_min=Decimal(lot.get("minNotionalValue") or lot.get("minOrderAmt") or 0),
            quote_step=Decimal(lot.get("quotePrecision") or 1),
        )


class Market:
    """One market of the exchange: rules, prices, and what was taken from the levels since they last moved."""

    def __init__(self, instrument: Instrument, quotes: Quotes) -> None:
        self.instrument = instrument
        self.category, self.symbol = instrument.category, instrument.symbol
        self.rules = Rules.of(instrument)
        self.quotes = quotes
        self.base, self.quote = instrument.coins()
        self.settle = instrument.settle_coin()
        self._taken: dict[tuple[bool, Decimal], Decimal] = {}

    def regrid(self, instrument: Instrument) -> None:
        """The instrument has another grid."""
        self.instrument, self.rules = instrument, Rules.of(instrument)
        self._taken.clear()

    def unit(self) -> tuple[Decimal, Decimal]:
        """Return a tick and a step of the generated market."""
        one = self.instrument
        return Decimal(one.tick).scaleb(-one.price_decimals), Decimal(one.step).scaleb(-one.size_decimals)

    def levels(self, asks: bool) -> list[Level]:
        """Return the levels of a side without what was taken from them, best first."""
        found = []
        for price, qty in self.quotes.levels(asks):
            left = qty - self._taken.get((asks, price), ZERO)
            if left > 0:
                found.append((price, left))
        return found

    def take(self, asks: bool, price: Decimal, qty: Decimal) -> None:
        """Note that an order took from a level."""
        self._taken[asks, price] = self._taken.get((asks, price), ZERO) + qty

    def moved(self) -> None:
        """The levels have moved: all of them are whole again."""
        self._taken.clear()

    def price(self, source: str) -> Decimal:
        """Return LastPrice, MarkPrice or IndexPrice."""
        quotes = self.quotes
        return {"MarkPrice": quotes.mark, "IndexPrice": quotes.index}.get(source, quotes.last)()
