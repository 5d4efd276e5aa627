"""Instruments: their names, their grids, and how their numbers are spelled."""

import datetime
import re
from dataclasses import dataclass

from simulator.errors import SimulatorError
from simulator.numbers import decimal_text

CATEGORIES = ("linear", "inverse", "spot", "option", "spread")
TRIMMED = ("spot", "option", "spread")
"""Their books and trades spell numbers without trailing zeros."""
STATUSES = ("Trading", "PreLaunch", "Delivering", "Closed")
SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._/-]{1,39}")
DATED = re.compile(r"-(\d{1,2}[A-Z]{3}\d{2})(?=-|$)")
INVERSE_DATED = re.compile(r"USD([HMUZ])(\d{2})$")
QUARTER_MONTHS = {"H": 3, "M": 6, "U": 9, "Z": 12}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DELIVERY_HOUR = 8
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
        """Return a price as order books and trades spell it: with all decimals, or trimmed."""
        return decimal_text(ticks * self.tick, self.price_decimals, trim=self.category in TRIMMED)

    def size(self, steps: int) -> str:
        """Return a size as order books and trades spell it; no size is `0`."""
        if not steps:
            return "0"
        return decimal_text(steps * self.step, self.size_decimals, trim=self.category in TRIMMED)

    def short_price(self, ticks: int) -> str:
        """Return a price without trailing zeros, as klines spell it."""
        return decimal_text(ticks * self.tick, self.price_decimals, trim=True)

    def short_size(self, steps: int) -> str:
        """Return a size without trailing zeros, as klines spell it."""
        return decimal_text(steps * self.step, self.size_decimals, trim=True)

    def coins(self) -> tuple[str, str]:
        """Return base and quote coin."""
        if self.category == "spread":
            return self.symbol.partition("_")[0].removesuffix("USDT"), "USDT"
        name, *rest = self.symbol.split("-")
        if self.category == "option":
            return name, rest[-1] if rest[-1] in QUOTES else "USDC"
        name = INVERSE_DATED.sub("USD", name)
        for quote in QUOTES:
            if name.endswith(quote) and name != quote:
                return name.removesuffix(quote), "USDC" if quote == "PERP" else quote
        return name, "USDC" if rest else "USDT"

    def settle_coin(self) -> str:
        """Return the coin that profit is paid in."""
        base, quote = self.coins()
        return base if self.category == "inverse" else quote

    def delivery_ms(self) -> int:
        """Return when a dated contract is delivered, ms since 1970; 0 where the symbol has no date."""
        dated, quarter = DATED.search(self.symbol), INVERSE_DATED.search(self.symbol)
        if self.category == "inverse" and quarter:
            day, month, year = 26, QUARTER_MONTHS[quarter[1]], int(quarter[2])
        elif self.category in ("linear", "option") and dated and dated[1][-5:-2] in MONTHS:
            day, month, year = int(dated[1][:-5]), MONTHS.index(dated[1][-5:-2]) + 1, int(dated[1][-2:])
        else:
            return 0
        moment = datetime.datetime(2000 + year, month, min(day, 28), DELIVERY_HOUR, tzinfo=datetime.UTC)
        return int(moment.timestamp()) * 1_000 + (day - min(day, 28)) * 86_400_000


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
    ("inverse", "BTCUSD"): (2, 50, 0, 173_446, 20_000),
    ("inverse", "ETHUSD"): (2, 5, 0, 56_902, 8_000),
    ("option", "BTC-25DEC26-90000-C"): (0, 5, 2, 900, 500),
    ("option", "BTC-25DEC26-80000-P-USDT"): (0, 5, 2, 640, 500),
    ("spread", "SOLUSDT_SOL/USDT"): (4, 10, 1, -12, 900),
}
_ANY = (2, 1, 1, 10_000, 1_000)


def listing(text: str) -> Listing:
    """Return the listing of `category:SYMBOL` or `category:SYMBOL:Status`, as --symbols takes them."""
    category, _, rest = text.partition(":")
    symbol, _, status = rest.partition(":")
    if category not in CATEGORIES:
        raise SimulatorError(
            f"category was {category!r} in {text!r}; use {', '.join(CATEGORIES)}, as in linear:BTCUSDT"
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
