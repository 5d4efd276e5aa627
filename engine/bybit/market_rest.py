"""Market data over REST, typed: one method an endpoint, numbers exact, pages followed to the end.

`engine.bybit.rest` has the same as the venue sends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from engine.bybit.http import RestAnswer, rows
from engine.bybit.instruments import Instrument
from engine.bybit.rest import RestClient
from engine.bybit.wire import query
from engine.errors import AnswerError

__all__ = [
    "Candle",
    "Funding",
    "MarketRest",
    "OpenInterest",
    "PriceLimit",
    "RestBook",
    "RestTicker",
    "RestTrade",
]

Raw = Mapping[str, Any]
Level = tuple[Decimal, Decimal]

HISTORY_PER_PAGE: Final = 200
KLINE_PATHS: Final = {
    "": "/v5/market/kline",
    "mark": "/v5/market/mark-price-kline",
    "index": "/v5/market/index-price-kline",
    "premium": "/v5/market/premium-index-price-kline",
}


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle; ``volume`` and ``turnover`` are None for mark, index and premium prices."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None
    turnover: Decimal | None


@dataclass(frozen=True, slots=True)
class RestBook:
    """A book: bids and asks as (price, size), best first. ``update_id`` is that of ``orderbook.1000``."""

    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    update_id: int
    seq: int
    ts_ms: int
    cts_ms: int


@dataclass(frozen=True, slots=True)
class RestTrade:
    """A public trade; ``side`` is the taker's."""

    trade_id: str
    symbol: str
    price: Decimal
    size: Decimal
    side: str
    time_ms: int
    is_block: bool
    is_rpi: bool
    raw: Raw = field(repr=False)


@dataclass(frozen=True, slots=True)
class RestTicker:
    """A ticker; `number` reads any of its fields."""

    symbol: str
    raw: Raw

    def number(self, name: str) -> Decimal | None:
        """Return a field by the venue's name, None where it is empty or absent. Raises AnswerError."""
        text = self.raw.get(name)
        return None if text in (None, "") else _number("tickers", name, text)


@dataclass(frozen=True, slots=True)
class Funding:
    """One funding: the rate that was paid at ``time_ms``."""

    symbol: str
    rate: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Open interest at a time: base coin, on inverse USD."""

    open_interest: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class PriceLimit:
    """The highest price to buy at and the lowest to sell at."""

    symbol: str
    highest_buy: Decimal
    lowest_sell: Decimal
    ts_ms: int


class MarketRest:
    """Asks for market data and returns it typed. ``spread`` is a category like the others."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest

    async def time_ns(self) -> int:
        """Return the venue's clock, ns since 1970."""
        return await self._rest.time_ns()

    async def instruments(self, category: str, *, base_coin: str = "", status: str = "") -> list[Instrument]:
        """Return the instruments of a category; by default those that trade."""
        return await self._rest.instruments(category, base_coin=base_coin, status=status)

    async def orderbook(self, category: str, symbol: str, limit: int = 1000) -> RestBook:
        """Return the book, at most 1000 levels a side (25 of options and spreads)."""
        return _book(await self._rest.orderbook(category, symbol, limit))

    async def full_orderbook(self, category: str, symbol: str) -> RestBook:
        """Return the whole book, at most 10,000 levels a side; ``update_id`` is of ``orderbook.full``."""
        return _book(await self._rest.full_orderbook(category, symbol))

    async def rpi_orderbook(self, category: str, symbol: str, limit: int = 50) -> Raw:
        """Return the book with its RPI column as the venue sends it, at most 50 levels."""
        return (await self._rest.rpi_orderbook(category, symbol, limit)).result

    async def recent_trades(self, category: str, key: str, limit: int = 1000) -> list[RestTrade]:
        """Return the latest trades of a symbol, of options of a base coin; there are no further pages."""
        return [_trade(raw) for raw in rows(await self._rest.recent_trades(category, key, limit))]

    async def tickers(self, category: str, symbol: str = "", *, base_coin: str = "") -> list[RestTicker]:
        """Return the tickers of a symbol, or of all; options need a symbol or a base coin."""
        answer = await self._rest.tickers(category, symbol, base_coin=base_coin)
        return [RestTicker(str(raw.get("symbol", "")), raw) for raw in rows(answer)]

    async def kline(
        self,
        category: str,
        symbol: str,
        interval: str,
        *,
        of: str = "",
        start_ms: int = 0,
        end_ms: int = 0,
        limit: int = 200,
    ) -> list[Candle]:
        """Return candles, newest first, the unfinished one included; ``of`` mark, index or premium prices."""
        asked = query(
            category=category,
            symbol=symbol,
            interval=interval,
            start=start_ms,
            end=end_ms,
            limit=limit,
        )
        return [_candle(row) for row in rows(await self._rest.get(KLINE_PATHS[of], asked))]

    async def funding_history(
        self, category: str, symbol: str, *, start_ms: int = 0, end_ms: int = 0
    ) -> list[Funding]:
        """Return past funding rates, newest first, 200 at most; a start needs an end."""
        asked = query(
            category=category, symbol=symbol, start_time=start_ms, end_time=end_ms, limit=HISTORY_PER_PAGE
        )
        path = "/v5/market/funding/history"
        return [
            Funding(
                str(raw.get("symbol", "")),
                _number(path, "fundingRate", raw.get("fundingRate")),
                _whole(path, "fundingRateTimestamp", raw.get("fundingRateTimestamp")),
            )
            for raw in rows(await self._rest.get(path, asked))
        ]

    async def open_interest(
        self, category: str, symbol: str, interval: str = "5min", *, start_ms: int = 0, end_ms: int = 0
    ) -> list[OpenInterest]:
        """Return open interest every 5min, 15min, 30min, 1h, 4h or 1d, all pages."""
        asked = query(
            category=category,
            symbol=symbol,
            interval_time=interval,
            start_time=start_ms,
            end_time=end_ms,
            limit=HISTORY_PER_PAGE,
        )
        path = "/v5/market/open-interest"
        return [
            OpenInterest(
                _number(path, "openInterest", raw.get("openInterest")),
                _whole(path, "timestamp", raw.get("timestamp")),
            )
            async for page in self._rest.pages(path, asked)
            for raw in rows(page)
        ]

    async def price_limit(self, category: str, symbol: str) -> PriceLimit:
        """Return the prices beyond which limit orders are refused or priced anew."""
        path = "/v5/market/price-limit"
        found = (await self._rest.get(path, query(category=category, symbol=symbol))).result
        return PriceLimit(
            str(found.get("symbol", "")),
            _number(path, "buyLmt", found.get("buyLmt")),
            _number(path, "sellLmt", found.get("sellLmt")),
            _whole(path, "ts", found.get("ts")),
        )

    async def risk_limits(self, category: str, symbol: str = "") -> list[Raw]:
        """Return the tiers of risk limits as the venue sends them, all pages."""
        pages = self._rest.pages("/v5/market/risk-limit", query(category=category, symbol=symbol))
        return [raw async for page in pages for raw in rows(page)]


def _book(answer: RestAnswer) -> RestBook:
    result, path = answer.result, answer.path

    def side(name: str) -> tuple[Level, ...]:
        try:
            return tuple((Decimal(price), Decimal(size)) for price, size, *_ in result[name])
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise AnswerError(path, f"{name}: {error!r}") from error

    return RestBook(
        symbol=str(result.get("s", "")),
        bids=side("b"),
        asks=side("a"),
        update_id=_whole(path, "u", result.get("u")),
        seq=_whole(path, "seq", result.get("seq", 0)),
        ts_ms=_whole(path, "ts", result.get("ts", 0)),
        cts_ms=_whole(path, "cts", result.get("cts", 0)),
    )


def _trade(raw: Raw) -> RestTrade:
    path = "recent-trade"
    return RestTrade(
        trade_id=str(raw.get("execId", "")),
        symbol=str(raw.get("symbol", "")),
        price=_number(path, "price", raw.get("price")),
        size=_number(path, "size", raw.get("size")),
        side=str(raw.get("side", "")),
        time_ms=_whole(path, "time", raw.get("time")),
        is_block=raw.get("isBlockTrade") is True,
        is_rpi=raw.get("isRPITrade") is True,
        raw=raw,
    )


def _candle(row: Any) -> Candle:
    if not isinstance(row, list) or len(row) < 5:
        raise AnswerError("kline", f"a candle must have five values or more, was {row!r}")
    first, highest, lowest, last, *rest = [_number("kline", "a candle", text) for text in row[1:]]
    volume, turnover = (rest[0], rest[1]) if len(rest) > 1 else (None, None)
    return Candle(_whole("kline", "start", row[0]), first, highest, lowest, last, volume, turnover)


def _number(path: str, name: str, text: object) -> Decimal:
    try:
        return Decimal(str(text))
    except InvalidOperation:
        raise AnswerError(path, f"{name} was {text!r}, expected a number") from None


def _whole(path: str, name: str, text: object) -> int:
    try:
        return int(str(text))
    except ValueError:
        raise AnswerError(path, f"{name} was {text!r}, expected an integer") from None
