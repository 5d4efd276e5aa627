"""The public REST endpoints a recorder needs, and two of the simulator's own for tests."""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from simulator.candles import INTERVALS
from simulator.clock import Clock
from simulator.instruments import CATEGORIES, STATUSES, Instrument
from simulator.websocket import Venue

BOOK_DEPTH = 1000
"""REST orderbook is the window of this topic, with its u."""
BOOK_DEFAULT = {"spot": 1, "linear": 25}
TRADES_MAX = {"spot": 60, "linear": 1000}
TRADES_DEFAULT = {"spot": 60, "linear": 500}
PARAMETER_ERROR = 10001
ROUTE_NOT_FOUND = 10017

Handler = Callable[["Rest", dict[str, str]], dict[str, Any]]


class ParameterError(Exception):
    """A request the venue answers with retCode 10001."""


class Rest:
    """Answers from the source's present state: the same that the connections were sent."""

    def __init__(self, venue: Venue, clock: Clock) -> None:
        self._venue = venue
        self._source = venue.source
        self._clock = clock

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application()
        for path, handler in ENDPOINTS.items():
            app.router.add_get(path, self._route(handler))
        app.router.add_get("/simulator/state", self._plain(Rest.state))
        app.router.add_get("/simulator/book", self._plain(Rest.sent_book))
        app.router.add_route("*", "/{path:.*}", self._not_found)
        return app

    def _route(self, handler: Handler) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            try:
                return self._envelope(0, "OK", handler(self, dict(request.query)))
            except ParameterError as error:
                return self._envelope(PARAMETER_ERROR, f"params error: {error}", {})

        return answer

    def _plain(self, handler: Handler) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            try:
                return _json(handler(self, dict(request.query)))
            except ParameterError as error:
                return _json({"error": str(error)}, status=400)

        return answer

    async def _not_found(self, request: web.Request) -> web.Response:
        return self._envelope(
            ROUTE_NOT_FOUND, f"Route not found: {request.method} {request.path}", {}, status=404
        )

    def _envelope(self, code: int, message: str, result: dict[str, Any], status: int = 200) -> web.Response:
        time_ms = self._clock() // 1_000_000
        body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": time_ms}
        return _json(body, status=status)

    def _instrument(self, query: dict[str, str], default: str | None = None) -> Instrument:
        category, symbol = _category(query, default), query.get("symbol", "")
        for one in self._source.instruments(category):
            if one.symbol == symbol and one.status == "Trading":
                return one
        raise ParameterError(f"symbol invalid {symbol}")

    def time(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/time"""
        now_ns = self._clock()
        return {"timeSecond": str(now_ns // 1_000_000_000), "timeNano": str(now_ns)}

    def instruments_info(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/instruments-info: pages on linear, not on spot; Trading only unless asked."""
        category = _category(query)
        status = query.get("status", "Trading")
        if status not in STATUSES:
            raise ParameterError(f"status invalid {status}")
        found = sorted(
            (
                one
                for one in self._source.instruments(category)
                if one.status == status
                and query.get("symbol", one.symbol) == one.symbol
                and query.get("baseCoin", one.coins()[0]) == one.coins()[0]
            ),
            key=lambda one: one.symbol,
        )
        if "symbol" in query and not found:
            raise ParameterError(f"symbol invalid {query['symbol']}")
        cursor = ""
        if category != "spot":
            first, limit = _cursor_place(query.get("cursor", "")), _integer(query, "limit", 500, 1, 1000)
            if first + limit < len(found):
                cursor = f"page_token%3D{first + limit}%26"
            found = found[first : first + limit]
        return {"category": category, "list": [one.info() for one in found], "nextPageCursor": cursor}

    def orderbook(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/orderbook: the best levels of the 1000-level topic, with that topic's u."""
        instrument = self._instrument(query)
        limit = _integer(query, "limit", BOOK_DEFAULT[instrument.category], 1, BOOK_DEPTH)
        found = self._source.book(instrument.category, instrument.symbol, BOOK_DEPTH)
        if found is None:
            raise ParameterError(f"no order book of {instrument.symbol}")
        window, numbers = found
        bids, asks = window.rows(limit)
        return {"s": instrument.symbol, "b": bids, "a": asks, **numbers}

    def recent_trade(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/recent-trade"""
        one = self._instrument(query)
        limit = _integer(query, "limit", TRADES_DEFAULT[one.category], 1, TRADES_MAX[one.category])
        trades = self._source.trades(one.category, one.symbol)[:limit]
        if self._venue.switches.recent_trade_order == "oldest":
            trades.reverse()
        return {"category": one.category, "list": trades}

    def tickers(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/tickers: of one symbol, or of all."""
        category = _category(query)
        if "symbol" in query:
            found = [self._instrument(query)]
        else:
            found = [one for one in self._source.instruments(category) if one.status == "Trading"]
        return {"category": category, "list": [self._source.ticker(category, one.symbol) for one in found]}

    def kline(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/kline: newest first, the open candle included."""
        one = self._instrument(query, "linear")
        interval = query.get("interval", "")
        if interval not in INTERVALS:
            raise ParameterError(f"interval invalid {interval}")
        limit = _integer(query, "limit", 200, 1, 1000)
        start = _integer(query, "start", 0, 0, None)
        end = _integer(query, "end", 1 << 62, 0, None)
        names = ("open", "high", "low", "close", "volume", "turnover")
        rows = [
            [str(candle["start"]), *(candle[name] for name in names)]
            for candle in reversed(self._source.candles(one.category, one.symbol, interval))
            if start <= candle["start"] <= end
        ]
        return {"symbol": one.symbol, "category": one.category, "list": rows[:limit]}

    def state(self, query: dict[str, str]) -> dict[str, Any]:
        """/simulator/state: what was sent so far."""
        hub = self._venue.hub
        return {
            "frames": hub.frames,
            "data_frames": hub.data_frames,
            "refused_requests": self._venue.refused_requests,
            "slow_closed": self._venue.slow_closed,
            **self._source.counters(),
            "connections": [
                {"connection": one.number, "category": one.category, "topics": list(one.session.topics)}
                for one in sorted(self._venue.connections, key=lambda one: one.number)
            ],
            "topics": [
                {
                    "category": stream.category,
                    "topic": stream.topic,
                    "frames": stream.frames,
                    "u": stream.u,
                    "subscribers": len(stream.subscribers),
                }
                for stream in hub.streams.values()
                if stream.frames or stream.subscribers
            ],
        }

    def sent_book(self, query: dict[str, str]) -> dict[str, Any]:
        """/simulator/book: the window that a client holds who applied everything sent on the topic."""
        one = self._instrument(query)
        depth = _integer(query, "depth", 50, 1, BOOK_DEPTH)
        found = self._source.book(one.category, one.symbol, depth)
        if found is None:
            raise ParameterError(f"depth was {depth}; no topic of that depth is served")
        window, numbers = found
        bids, asks = window.rows()
        return {"bids": bids, "asks": asks, **numbers}


ENDPOINTS: dict[str, Handler] = {
    "/v5/market/time": Rest.time,
    "/v5/market/instruments-info": Rest.instruments_info,
    "/v5/market/orderbook": Rest.orderbook,
    "/v5/market/recent-trade": Rest.recent_trade,
    "/v5/market/tickers": Rest.tickers,
    "/v5/market/kline": Rest.kline,
}


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json", status=status)


def _category(query: dict[str, str], default: str | None = None) -> str:
    category = query.get("category", default)
    if category not in CATEGORIES:
        raise ParameterError(f"category invalid {category}" if category else "category is required")
    return category


def _integer(query: dict[str, str], name: str, default: int, low: int, high: int | None) -> int:
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < low or (high is not None and int(text) > high):
        raise ParameterError(f"{name} invalid {text}")
    return int(text)


def _cursor_place(cursor: str) -> int:
    """Return where a page starts; the cursor may come as it was given or decoded once."""
    if not cursor:
        return 0
    text = cursor.replace("%3D", "=").replace("%26", "&")
    place = text.removeprefix("page_token=").removesuffix("&")
    if not place.isascii() or not place.isdigit():
        raise ParameterError(f"cursor invalid {cursor}")
    return int(place)
