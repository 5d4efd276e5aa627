"""The venue's public REST interface: market data without a key."""

import asyncio
import random as random_module
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from engine.backoff import Backoff
from engine.bybit import endpoints, instruments, topics
from engine.bybit.instruments import Instrument
from engine.bybit.pacer import Pacer
from engine.clock import Clock, SystemClock
from engine.errors import (
    AnswerError,
    ConnectError,
    HttpStatusError,
    InternalError,
    PeerError,
    RetCodeError,
    UsageError,
)

__all__ = ["RestAnswer", "RestClient"]

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
INSTRUMENTS_PER_PAGE: Final = 1000
PAGES_MAX: Final = 100
TIMEOUT_S: Final = 10.0
RETRIES: Final = 2
RETRY_DELAY_S: Final = 0.5
RETRY_DELAY_S_MAX: Final = 5.0
WAITING_MAX: Final = 1000
KLINES_PER_PAGE: Final = 1000

# What may be different the next time; every other retCode is an answer.
TRANSIENT_RET_CODES: Final = frozenset({10000, 10006, 10016, 10429})
TRANSIENT_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
TRANSIENT_REASONS: Final = frozenset({"dns", "refused", "timeout", "network"})

_COIN: Final = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """One answer: what was asked, the body as received, and its ``result``."""

    path: str
    query: Mapping[str, str]
    body: bytes
    result: Mapping[str, Any]


class RestClient:
    """Asks the public REST interface of an environment; use it as ``async with RestClient() as rest``.

    ``url`` replaces the base URL (``https://``, or ``http://`` to this machine). Each request takes at most
    ``timeout_s`` seconds; what may be different the next time is tried again ``retries`` times, after waits
    that double from ``retry_delay_s``. ``pacer`` keeps the venue's allowance: one for all clients of a
    process. Once the venue refused this address (HTTP 403) nothing is asked for ten minutes.

    Methods raise ConnectError, HttpStatusError, RetCodeError or AnswerError. One event loop.
    """

    def __init__(
        self,
        environment: str = "mainnet",
        *,
        region: str = "",
        url: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        retry_delay_s: float = RETRY_DELAY_S,
        pacer: Pacer | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.url = endpoints.rest_base(environment, region=region, url=url)
        self.requests = 0
        self.retried = 0
        self._retries = retries
        self._retry_delay_s = retry_delay_s
        self._pacer = pacer or Pacer()
        self._clock = clock or SystemClock()
        self._random = random
        self._waiting = 0
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=self._timeout, headers={"User-Agent": "tapehead"})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def instruments(self, category: str, *, base_coin: str = "", status: str = "") -> list[Instrument]:
        """Return every instrument of a category, all pages; by default those that trade.

        Options are listed for one base coin at a time, BTC unless told otherwise.
        """
        listed = await self.instrument_list(category, base_coin=base_coin, status=status)
        return [instruments.parse(category, raw) for raw in listed]

    async def instrument_list(
        self, category: str, *, base_coin: str = "", status: str = ""
    ) -> list[Mapping[str, Any]]:
        """Return the venue's own objects of the instruments of a category, all pages."""
        topics.check_category(category)
        path = "/v5/spread/instrument" if category == "spread" else "/v5/market/instruments-info"
        query = {"category": category, "baseCoin": base_coin, "status": status}
        if category != "spot":
            query["limit"] = str(INSTRUMENTS_PER_PAGE if category != "spread" else 500)
        found: list[Mapping[str, Any]] = []
        for _ in range(PAGES_MAX):
            answer = await self.get(path, query)
            found += _list(answer)
            cursor = answer.result.get("nextPageCursor")
            if not cursor:
                return found
            query["cursor"] = str(cursor)
        raise AnswerError(path, f"more than {PAGES_MAX} pages")

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
            rows = _rows(page)
            yield page
            if len(rows) < KLINES_PER_PAGE:
                return
            end_ms = _candle_start_ms(page, rows[-1]) - 1
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

    async def get(self, path: str, query: Mapping[str, str]) -> RestAnswer:
        """Ask; parameters that are empty are left out."""
        asked = {name: value for name, value in query.items() if value}
        backoff = Backoff(self._retry_delay_s, RETRY_DELAY_S_MAX, self._random)
        while True:
            try:
                return await self._get_once(path, asked)
            except PeerError as error:
                if backoff.failures >= self._retries or not is_transient(error):
                    raise
            self.retried += 1
            await asyncio.sleep(backoff.next_s())

    async def _get_once(self, path: str, asked: Mapping[str, str]) -> RestAnswer:
        await self._wait_for_turn(path)
        self.requests += 1
        status, body = await self._fetch(path, asked)
        if status == 403:
            self._pacer.refused(self._clock.now().mono_ns)
            remedy = "wait ten minutes: too many requests, or a country that is refused"
            raise HttpStatusError(self.url + path, status, remedy)
        if status != 200:
            raise HttpStatusError(self.url + path, status, "try again later")
        return RestAnswer(path, asked, body, _result(path, body))

    async def _wait_for_turn(self, path: str) -> None:
        self._check_ban(path)
        if self._waiting >= WAITING_MAX:
            problem = f"{self._waiting} requests wait for the venue's allowance"
            raise UsageError(problem, "ask for less at a time")
        self._waiting += 1
        try:
            await asyncio.sleep(self._pacer.reserve_s(self._clock.now().mono_ns))
        finally:
            self._waiting -= 1
        self._check_ban(path)

    def _check_ban(self, path: str) -> None:
        if banned_s := self._pacer.banned_s(self._clock.now().mono_ns):
            remedy = f"this address was refused: nothing is asked for another {banned_s:.0f} s"
            raise HttpStatusError(self.url + path, 403, remedy)

    async def _fetch(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        if self._http is None:
            raise InternalError("RestClient is not open", "use it as `async with RestClient() as rest`")
        url = URL(self.url + path + _query_text(query), encoded=True)
        body = b""
        try:
            async with self._http.get(url, allow_redirects=False) as response:
                status = response.status
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        break
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(self.url, error) from error
        if len(body) > ANSWER_BYTES_MAX:
            raise AnswerError(path, f"longer than {ANSWER_BYTES_MAX} bytes")
        return status, body


def is_transient(error: PeerError) -> bool:
    """Whether the same request may be answered differently a moment later."""
    if isinstance(error, ConnectError):
        return error.reason in TRANSIENT_REASONS
    if isinstance(error, HttpStatusError):
        return error.status in TRANSIENT_STATUSES
    return isinstance(error, RetCodeError) and error.ret_code in TRANSIENT_RET_CODES


def _query_text(query: Mapping[str, str]) -> str:
    # A cursor comes percent-encoded and goes back as it came.
    pairs = [
        f"{name}={value if name == 'cursor' else quote(value, safe='')}" for name, value in query.items()
    ]
    return "?" + "&".join(pairs) if pairs else ""


def _result(path: str, body: bytes) -> Mapping[str, Any]:
    try:
        envelope = orjson.loads(body)
        ret_code = envelope["retCode"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise AnswerError(path, f"{error!r} in {body[:100]!r}") from error
    if ret_code != 0:
        raise RetCodeError(path, ret_code, str(envelope.get("retMsg", "")))
    result = envelope.get("result")
    if not isinstance(result, Mapping):
        raise AnswerError(path, f"result must be an object, was {result!r}")
    return result


def _list(answer: RestAnswer) -> list[Mapping[str, Any]]:
    found = _rows(answer)
    if not all(isinstance(one, Mapping) for one in found):
        raise AnswerError(answer.path, "list must hold objects")
    return found


def _rows(answer: RestAnswer) -> list[Any]:
    found = answer.result.get("list")
    if not isinstance(found, list):
        raise AnswerError(answer.path, f"list must be an array, was {found!r}")
    return found


def _candle_start_ms(answer: RestAnswer, row: Any) -> int:
    try:
        return int(row[0])
    except (IndexError, TypeError, ValueError) as error:
        raise AnswerError(answer.path, f"a candle must begin with its time, was {row!r}") from error


def _unreachable(url: str, error: Exception) -> PeerError:
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (TimeoutError, "timeout"),
        (aiohttp.ClientSSLError, "tls"),
        (aiohttp.ClientConnectorDNSError, "dns"),
        (aiohttp.ClientConnectorError, "refused"),
    )
    reason = next((reason for kind, reason in reasons if isinstance(error, kind)), "network")
    remedy = "check the network; `tapehead demo` needs none"
    return ConnectError(url, reason, str(error) or type(error).__name__, remedy)
