"""The venue's public REST interface: market data without a key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from engine.bybit import endpoints, instruments, topics
from engine.bybit.instruments import Instrument
from engine.errors import AnswerError, ConnectError, HttpStatusError, InternalError, PeerError, RetCodeError

__all__ = ["RestAnswer", "RestClient"]

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
INSTRUMENTS_PER_PAGE: Final = 1000
PAGES_MAX: Final = 100
TIMEOUT_S: Final = 10.0

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
    ``timeout_s`` seconds. Methods raise ConnectError, HttpStatusError, RetCodeError or AnswerError; nothing
    is tried again.
    """

    def __init__(
        self,
        environment: str = "mainnet",
        *,
        region: str = "",
        url: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.url = endpoints.rest_base(environment, region=region, url=url)
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
        """Return the book: ``result`` has ``s``, ``b``, ``a``, ``ts``, ``u``, ``seq``, ``cts``."""
        query = {"category": category, "symbol": symbol, "limit": str(limit)}
        return await self.get("/v5/market/orderbook", query)

    async def recent_trades(self, category: str, symbol: str, limit: int = 1000) -> RestAnswer:
        """Return the latest trades: at most 60 on spot, 1000 elsewhere; there are no further pages."""
        count = min(limit, 60 if category == "spot" else 1000)
        query = {"category": category, "symbol": symbol, "limit": str(count)}
        return await self.get("/v5/market/recent-trade", query)

    async def tickers(self, category: str, symbol: str = "", *, base_coin: str = "") -> RestAnswer:
        """Return the tickers of a symbol, or of all; options need a symbol or a base coin."""
        query = {"category": category, "symbol": symbol, "baseCoin": base_coin}
        return await self.get("/v5/market/tickers", query)

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
        status, body = await self._fetch(path, asked)
        if status == 403:
            remedy = "wait ten minutes: too many requests, or a country that is refused"
            raise HttpStatusError(self.url + path, status, remedy)
        if status != 200:
            raise HttpStatusError(self.url + path, status, "try again later")
        return RestAnswer(path, asked, body, _result(path, body))

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
    found = answer.result.get("list")
    if not isinstance(found, list):
        raise AnswerError(answer.path, f"list must be an array, was {found!r}")
    if not all(isinstance(one, Mapping) for one in found):
        raise AnswerError(answer.path, "list must hold objects")
    return found


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
