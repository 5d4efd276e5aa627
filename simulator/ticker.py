"""The ticker of one generated symbol, in the words of each category."""

import datetime
from dataclasses import dataclass

from simulator.candles import Candle
from simulator.frames import OPTION_INDEX, OPTION_IV
from simulator.instruments import Instrument
from simulator.numbers import decimal_text, rescaled
from simulator.tape import TopOfBook

FUNDING_MS = 8 * 3_600_000
VOLUME_DECIMALS = 4
RATIO_DECIMALS = 6
PAIRS = (("bid1Price", "bid1Size"), ("ask1Price", "ask1Size"), ("turnover24h", "volume24h"))
"""Fields that come together when one of them changes."""
REST_NAMES = {
    "bidPrice": "bid1Price",
    "bidSize": "bid1Size",
    "bidIv": "bid1Iv",
    "askPrice": "ask1Price",
    "askSize": "ask1Size",
    "askIv": "ask1Iv",
    "markPriceIv": "markIv",
}
"""What REST calls the fields of an option."""


@dataclass(slots=True)
class Ticker:
    """Prices in ticks, sizes in steps, turnover in ticks x steps. The 24 hours began where the market did."""

    instrument: Instrument
    top: TopOfBook
    last: int
    previous: int
    high: int
    low: int
    volume: int
    turnover: int
    direction: str = "ZeroPlusTick"

    @classmethod
    def opening(cls, instrument: Instrument, top: TopOfBook, last: int) -> "Ticker":
        """Return the ticker of a market that begins, with a day's plausible past."""
        volume = 40_000_000
        previous, high, low = last - last // 150, last + abs(last) // 200, last - abs(last) // 90
        return cls(instrument, top, last, previous, high, low, volume, volume * last)

    def add(self, trades: Candle, direction: str) -> None:
        """Count the trades of a moment, the last of them with this tick direction."""
        self.direction = direction
        self.last = trades.close
        self.high = max(self.high, trades.high)
        self.low = min(self.low, trades.low)
        self.volume += trades.volume
        self.turnover += trades.turnover

    def fields(self, ms: int) -> dict[str, str]:
        """Return all fields but the symbol, in the order of the wire."""
        instrument = self.instrument
        volume = self.volume * instrument.step
        turnover = self.turnover * instrument.tick * instrument.step
        decimals = instrument.price_decimals + instrument.size_decimals
        ratio = self._ratio()
        if instrument.category == "option":
            return self._option_fields(ratio)
        if instrument.category == "spread":
            return self._spread_fields()
        if instrument.category == "spot":
            return {
                "lastPrice": instrument.price(self.last),
                "highPrice24h": instrument.price(self.high),
                "lowPrice24h": instrument.price(self.low),
                "prevPrice24h": instrument.price(self.previous),
                "volume24h": decimal_text(volume, instrument.size_decimals, trim=True),
                "turnover24h": decimal_text(turnover, decimals, trim=True),
                "price24hPcnt": ratio,
                "usdIndexPrice": instrument.price(self.index()),
            }
        dated = instrument.delivery_ms()
        return {
            "tickDirection": self.direction,
            "price24hPcnt": ratio,
            "lastPrice": instrument.price(self.last),
            "prevPrice24h": instrument.price(self.previous),
            "highPrice24h": instrument.price(self.high),
            "lowPrice24h": instrument.price(self.low),
            "prevPrice1h": instrument.price(self.previous),
            "markPrice": instrument.price(self.mark()),
            "indexPrice": instrument.price(self.index()),
            **self._open_interest(),
            "turnover24h": decimal_text(rescaled(turnover, decimals, VOLUME_DECIMALS), VOLUME_DECIMALS),
            "volume24h": decimal_text(
                rescaled(volume, instrument.size_decimals, VOLUME_DECIMALS), VOLUME_DECIMALS
            ),
            **({} if dated else {"fundingIntervalHour": "8", "fundingCap": "0.005"}),
            **self._single_open_interest(),
            "nextFundingTime": "" if dated else str(ms // FUNDING_MS * FUNDING_MS + FUNDING_MS),
            "fundingRate": "" if dated else "0.0001",
            **self._best(),
            **(self._delivery(dated) if dated else {}),
            "preOpenPrice": "",
            "preQty": "",
            "curPreListingPhase": "",
        }

    def rest_fields(self, ms: int) -> dict[str, str]:
        """Return the fields as REST lists them: there spot has best bid and ask too."""
        fields = {"symbol": self.instrument.symbol, **self.fields(ms)}
        if self.instrument.category == "option":
            return {REST_NAMES.get(name, name): value for name, value in fields.items()}
        return {**fields, **self._best()}

    def _ratio(self) -> str:
        change = (self.last - self.previous) * 10**RATIO_DECIMALS // (abs(self.previous) or 1)
        return decimal_text(change, RATIO_DECIMALS, trim=True)

    def _delivery(self, delivery_ms: int) -> dict[str, str]:
        moment = datetime.datetime.fromtimestamp(delivery_ms // 1_000, datetime.UTC)
        return {
            "deliveryTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "basisRate": "0.0012",
            "basisRateYear": "0.05",
            "basis": "12.5",
            "deliveryFeeRate": "0",
            "predictedDeliveryPrice": "0",
        }

    def _option_fields(self, ratio: str) -> dict[str, str]:
        """The underlying stands still, so do the Greeks."""
        price = self.instrument.price
        bid, bid_size, ask, ask_size = self.top
        size = self.instrument.size
        return {
            "bidPrice": price(bid),
            "bidSize": size(bid_size),
            "bidIv": "0.51",
            "askPrice": price(ask),
            "askSize": size(ask_size),
            "askIv": "0.53",
            "lastPrice": price(self.last),
            "highPrice24h": price(self.high),
            "lowPrice24h": price(self.low),
            "markPrice": price((bid + ask) // 2),
            "indexPrice": OPTION_INDEX,
            "markPriceIv": OPTION_IV,
            "underlyingPrice": OPTION_INDEX,
            "openInterest": size(40_000),
            "turnover24h": "120000",
            "volume24h": size(self.volume),
            "totalVolume": size(self.volume * 9),
            "totalTurnover": "990000",
            "delta": "0.45",
            "gamma": "0.00002",
            "vega": "110.2",
            "theta": "-31.5",
            "predictedDeliveryPrice": "0",
            "change24h": ratio,
        }

    def _spread_fields(self) -> dict[str, str]:
        price, size = self.instrument.price, self.instrument.size
        bid, bid_size, ask, ask_size = self.top
        return {
            "bidPrice": price(bid),
            "bidSize": size(bid_size),
            "askPrice": price(ask),
            "askSize": size(ask_size),
            "lastPrice": price(self.last),
            "highPrice24h": price(self.high),
            "lowPrice24h": price(self.low),
            "prevPrice24h": price(self.previous),
            "volume24h": size(self.volume),
        }

    def mark(self) -> int:
        """Return the mark price, in ticks."""
        return (self.top[0] + self.top[2]) // 2

    def index(self) -> int:
        """Return the index price, in ticks."""
        return (self.top[0] + self.top[2]) // 2 + self.volume % 7 - 3

    def _open_interest_steps(self) -> int:
        return 90_000_000 + self.volume // 3 % 1_000_000 * 2

    def _open_interest(self) -> dict[str, str]:
        return self._interest(("openInterest", "openInterestValue"), self._open_interest_steps())

    def _single_open_interest(self) -> dict[str, str]:
        return self._interest(
            ("singleOpenInterest", "singleOpenInterestValue"), self._open_interest_steps() // 2
        )

    def _interest(self, names: tuple[str, str], steps: int) -> dict[str, str]:
        instrument = self.instrument
        value = steps * instrument.step * self.last * instrument.tick
        decimals = instrument.price_decimals + instrument.size_decimals
        return {
            names[0]: instrument.short_size(steps),
            names[1]: decimal_text(rescaled(value, decimals, 2), 2),
        }

    def _best(self) -> dict[str, str]:
        bid, bid_size, ask, ask_size = self.top
        instrument = self.instrument
        return {
            "bid1Price": instrument.price(bid),
            "bid1Size": instrument.size(bid_size),
            "ask1Price": instrument.price(ask),
            "ask1Size": instrument.size(ask_size),
        }


def changed_fields(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """Return the fields of a delta: those that changed, each with its partner, in the snapshot's order."""
    names = {name for name, value in new.items() if old.get(name) != value}
    for pair in PAIRS:
        if not names.isdisjoint(pair):
            names.update(pair)
    return {name: value for name, value in new.items() if name in names}
