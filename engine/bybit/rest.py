"""The venue's public REST interface: market data without a key."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from engine.bybit import instruments, topics
from engine.bybit.http import PAGES_MAX, Http, RestAnswer, rows
from engine.bybit.instruments import Instrument
from engine.errors import AnswerError

__all__ = ["RestAnswer", "RestClient"]

INSTRUMENTS_PER_PAGE: Final = 1000
KLINES_PER_PAGE: Final = 1000

_COIN: Final = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)


class RestClient(Http):
    """Market data as the venue sends it; use it as ``async with RestClient() as rest``. No key is needed.

    `engine.bybit.http.Http` says what the options are, and what the methods raise.
    """

    async def instruments(self, category: str, *, base_coin: str = "", status: str = "") -> list[Instrument]:
        """Return every instrument of a category, all pages; by default those that trade.

        Options are listed for one base coin at a time, BTC unless told otherwise.
        """
        listed = await self.instrument_list(category, base_coin=base_coin, status=status)
        return [instruments.parse(category, raw) for raw in listed]

    async def instrument_list(
        self, category: str, *, symbol: str = "", base_coin: str = "", status: str = ""
    ) -> list[Mapping[str, Any]]:
        """Return the venue's own objects of the instruments of a category, all pages; or of one symbol."""
        topics.check_category(category)
        path = "/v5/spread/instrument" if category == "spread" else "/v5/market/instruments-info"
        query = {"category": category, "symbol": symbol, "baseCoin": base_coin, "status": status}
        if category != "spot":
            query["limit"] = str(INSTRUMENTS_PER_PAGE if category != "spread" else 500)
        return [row async for page in self.pages(path, query) for row in _list(page)]

    async def option_coins(self) -> list[str]:
        """Return the base coins for which options are listed at present."""
        answer = await self.get("/v5/market/option-base-coins", {})
        coins = (str(one.get("baseCoin")) for one in _list(answer) if one.get("hasSymbol"))
        return sorted({coin for coin in coins if _COIN.fullmatch(coin)})

    async def orderbook(self, category: str, symbol: str, limit: int = 1000) -> RestAnswer:
        """Return the book: ``result`` has ``s``, ``b``, ``a``, ``ts``, ``u``, ``seq``, ``cts``.

        At most 1000 levels a side (25 of options and spreads), with the ``u`` of ``orderbook.1000``.
        """
        if category in ("option", "spread"):
            limit = min(limit, 25)
        if category == "spread":
            return await self.get("/v5/spread/orderbook", {"symbol": symbol, "limit": str(limit)})
        query = {"category": category, "symbol": symbol, "limit": str(limit)}
        return await self.get("/v5/market/orderbook", query)

    async def full_orderbook(self, category: str, symbol: str) -> RestAnswer:
        """Return the whole book, at most 10,000 levels a side, with the ``u`` of ``orderbook.full``."""
        return await self.get("/v5/market/full_orderbook", {"category": category, "symbol": symbol})

    async def rpi_orderbook(self, category: str, symbol: str, limit: int = 50) -> RestAnswer:
        """Return the book with its RPI column, at most 50 levels, with the ``u`` of ``orderbook.rpi``."""
        query = {"category": category, "symbol": symbol, "limit": str(limit)}
        return await self.get("/v5/market/rpi_orderbook", query)

    async def recent_trades(self, category: str, key: str, limit: int = 1000) -> RestAnswer:
        """Return the latest trades: at most 60 on spot, 1000 elsewhere; there are no further pages.

        ``key`` is a symbol; of options a base coin, as in the topic.
        """
        count = str(min(limit, 60 if category == "spot" else 1000))
        if category == "spread":
            return await self.get("/v5/spread/recent-trade", {"symbol": key, "limit": count})
        name = "baseCoin" if category == "option" else "symbol"
        return await self.get("/v5/market/recent-trade", {"category": category, name: key, "limit": count})

    async def tickers(self, category: str, symbol: str = "", *, base_coin: str = "") -> RestAnswer:
        """Return the tickers of a symbol, or of all; options need a symbol or a base coin."""
        if category == "spread":
            return await self.get("/v5/spread/tickers", {"symbol": symbol})
        query = {"category": category, "symbol": symbol, "baseCoin": base_coin}
        return await self.get("/v5/market/tickers", query)

    async def ticker_list(self, category: str, *, base_coin: str = "") -> list[Mapping[str, Any]]:
        """Return the tickers of all symbols, for options of one base coin."""
        return _list(await self.tickers(category, base_coin=base_coin))

    async def kline(
        self,
        category: str,
        symbol: str,
        interval: str,
        *,
        start_ms: int = 0,
        end_ms: int = 0,
        limit: int = 200,
    ) -> RestAnswer:
        """Return candles, newest first, the unfinished one included."""
        query = {"category": category, "symbol": symbol, "interval": interval, "limit": str(limit)}
        query |= {name: str(time) for name, time in (("start", start_ms), ("end", end_ms)) if time}
        return await self.get("/v5/market/kline", query)

    async def klines(
        self, category: str, symbol: str, interval: str, *, start_ms: int, end_ms: int
    ) -> AsyncIterator[RestAnswer]:
        """Yield the pages of the candles that begin within these times, the newest first."""
        for _ in range(PAGES_MAX):
            page = await self.kline(
                category, symbol, interval, start_ms=start_ms, end_ms=end_ms, limit=KLINES_PER_PAGE
            )
            candles = rows(page)
            yield page
            if len(candles) < KLINES_PER_PAGE:
                return
            end_ms = _candle_start_ms(page, candles[-1]) - 1
        raise AnswerError("/v5/market/kline", f"more than {PAGES_MAX} pages")

    async def system_status(self) -> RestAnswer:
        """Return the announcements of maintenance and incidents: ``list``, as on ``system.status``."""
        return await self.get("/v5/system/status", {})

    async def time_ns(self) -> int:
        """Return the venue's clock, ns since 1970."""
        answer = await self.get("/v5/market/time", {})
        try:
            return int(answer.result["timeNano"])
        except (KeyError, ValueError, TypeError) as error:
            raise AnswerError(answer.path, f"timeNano: {error!r}") from error


def _list(answer: RestAnswer) -> list[Mapping[str, Any]]:
    found = rows(answer)
    if not all(isinstance(one, Mapping) for one in found):
        raise AnswerError(answer.path, "list must hold objects")
    return found


def _candle_start_ms(answer: RestAnswer, row: Any) -> int:
    try:
        return int(row[0])
    except (IndexError, TypeError, ValueError) as error:
        raise AnswerError(answer.path, f"a candle must begin with its time, was {row!r}") from error
