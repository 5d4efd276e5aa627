"""Instruments: their grids, how their numbers are spelled, and what REST says of them."""

import re
from dataclasses import dataclass
from typing import Any

from simulator.errors import SimulatorError
from simulator.numbers import decimal_text

CATEGORIES = ("linear", "spot")
STATUSES = ("Trading", "PreLaunch", "Delivering", "Closed")
SYMBOL = re.compile(r"[A-Z0-9]{2,20}(-[A-Z0-9]{1,12})?")
QUOTES = ("USDT", "USDC", "PERP", "USD", "EUR", "BTC")
LAUNCH_MS = 1_600_000_000_000


@dataclass(frozen=True, slots=True)
class Instrument:
    """A symbol of a category. Prices are counted in ticks, sizes in steps; both are integers."""

    category: str
    symbol: str
    price_decimals: int
    tick: int
    size_decimals: int
    step: int
    status: str = "Trading"

    def price(self, ticks: int) -> str:
        """Return a price as order books and trades spell it: all decimals on linear, trimmed on spot."""
        return decimal_text(ticks * self.tick, self.price_decimals, trim=self.category == "spot")

    def size(self, steps: int) -> str:
        """Return a size as order books and trades spell it; no size is `0`."""
        if not steps:
            return "0"
        return decimal_text(steps * self.step, self.size_decimals, trim=self.category == "spot")

    def short_price(self, ticks: int) -> str:
        """Return a price without trailing zeros, as klines spell it."""
        return decimal_text(ticks * self.tick, self.price_decimals, trim=True)

    def short_size(self, steps: int) -> str:
        """Return a size without trailing zeros, as klines spell it."""
        return decimal_text(steps * self.step, self.size_decimals, trim=True)

    def coins(self) -> tuple[str, str]:
        """Return base and quote coin."""
        name = self.symbol.partition("-")[0]
        for quote in QUOTES:
            if name.endswith(quote) and name != quote:
                return name.removesuffix(quote), "USDC" if quote == "PERP" else quote
        return name, "USDT"

    def info(self) -> dict[str, Any]:
        """Return the object that /v5/market/instruments-info lists."""
        base, quote = self.coins()
        tick_size = decimal_text(self.tick, self.price_decimals, trim=self.category == "spot")
        step = decimal_text(self.step, self.size_decimals, trim=True)
        large, larger = self.short_size(10_000_000), self.short_size(50_000_000)
        symbol_id = sum(ord(char) * 31**place for place, char in enumerate(self.symbol)) % 1_000_000
        if self.category == "spot":
            return {
                "symbol": self.symbol,
                "baseCoin": base,
                "quoteCoin": quote,
                "innovation": "0",
                "status": self.status,
                "marginTrading": "none",
                "stTag": "0",
                "lotSizeFilter": {
                    "basePrecision": step,
                    "quotePrecision": decimal_text(1, self.price_decimals + self.size_decimals),
                    "minOrderQty": step,
                    "maxOrderQty": large,
                    "minOrderAmt": "5",
                    "maxOrderAmt": "8000000",
                    "maxLimitOrderQty": larger,
                    "maxMarketOrderQty": large,
                    "postOnlyMaxLimitOrderSize": larger,
                },
                "priceFilter": {"tickSize": tick_size},
                "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
                "symbolType": "",
                "symbolId": symbol_id,
            }
        return {
            "symbol": self.symbol,
            "contractType": "LinearFutures" if "-" in self.symbol else "LinearPerpetual",
            "status": self.status,
            "baseCoin": base,
            "quoteCoin": quote,
            "launchTime": str(LAUNCH_MS),
            "deliveryTime": "0",
            "deliveryFeeRate": "",
            "priceScale": str(self.price_decimals),
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
            "priceFilter": {
                "minPrice": tick_size,
                "maxPrice": decimal_text(self.tick * 19_999_980, self.price_decimals),
                "tickSize": tick_size,
            },
            "lotSizeFilter": {
                "maxOrderQty": larger,
                "minOrderQty": step,
                "qtyStep": step,
                "postOnlyMaxOrderQty": larger,
                "maxMktOrderQty": large,
                "minNotionalValue": "5",
            },
            "unifiedMarginTrade": True,
            "fundingInterval": 480,
            "settleCoin": quote,
            "copyTrading": "none",
            "upperFundingRate": "0.005",
            "lowerFundingRate": "-0.005",
            "isPreListing": self.status == "PreLaunch",
            "preListingInfo": None,
            "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
            "symbolType": "",
            "symbolId": symbol_id,
        }


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument, and where its generated market starts: mid price in ticks, typical size in steps."""

    instrument: Instrument
    mid_ticks: int
    size_steps: int


# category, symbol: price decimals, tick, size decimals, mid in ticks, typical size in steps
_KNOWN: dict[tuple[str, str], tuple[int, int, int, int, int]] = {
    ("linear", "BTCUSDT"): (2, 10, 3, 867_234, 900),
    ("linear", "ETHUSDT"): (2, 1, 2, 284_511, 1_500),
    ("linear", "SOLUSDT"): (3, 10, 1, 7_731, 9_000),
    ("linear", "DOGEUSDT"): (5, 1, 0, 7_054, 300_000),
    ("linear", "XRPUSDT"): (4, 1, 1, 21_042, 20_000),
    ("spot", "BTCUSDT"): (1, 1, 6, 867_201, 40_000),
    ("spot", "ETHUSDT"): (2, 1, 5, 284_498, 150_000),
    ("spot", "SOLUSDT"): (2, 1, 3, 7_730, 40_000),
}
_ANY = (2, 1, 1, 10_000, 1_000)


def listing(text: str) -> Listing:
    """Return the listing of `category:SYMBOL` or `category:SYMBOL:Status`, as --symbols takes them."""
    category, _, rest = text.partition(":")
    symbol, _, status = rest.partition(":")
    if category not in CATEGORIES:
        raise SimulatorError(
            f"category was {category!r} in {text!r}; use {' or '.join(CATEGORIES)}, as in linear:BTCUSDT"
        )
    if not SYMBOL.fullmatch(symbol):
        raise SimulatorError(
            f"symbol was {symbol!r} in {text!r}; use capital letters and digits, as in linear:BTCUSDT"
        )
    if status and status not in STATUSES:
        raise SimulatorError(f"status was {status!r} in {text!r}; use {', '.join(STATUSES)}")
    price_decimals, tick, size_decimals, mid_ticks, size_steps = _KNOWN.get((category, symbol), _ANY)
    instrument = Instrument(category, symbol, price_decimals, tick, size_decimals, 1, status or "Trading")
    return Listing(instrument, mid_ticks, size_steps)


def listings(text: str) -> list[Listing]:
    """Return the listings of a comma-separated list; raise SimulatorError on an empty or doubled one."""
    found = [listing(part.strip()) for part in text.split(",") if part.strip()]
    names = [(one.instrument.category, one.instrument.symbol) for one in found]
    if not found:
        raise SimulatorError("symbols was empty; name at least one, as in linear:BTCUSDT")
    for name in names:
        if names.count(name) > 1:
            raise SimulatorError(f"symbol {name[0]}:{name[1]} was named twice; name it once")
    return found
