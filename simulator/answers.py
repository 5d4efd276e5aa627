"""What REST answers, without a socket: the venue's endpoints, and some of the simulator's own for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from simulator.candles import INTERVALS
from simulator.faults import RestFault
from simulator.instrument_info import info
from simulator.instruments import CATEGORIES, STATUSES, Instrument
from simulator.topics import FULL, KLINE_CATEGORIES, RPI, Depth, depth_of
from simulator.venue import Venue

BOOKS: dict[str, tuple[Depth, int, int]] = {
    "linear": (1000, 25, 1000),
    "inverse": (1000, 25, 1000),
    "spot": (1000, 1, 1000),
    "option": (25, 1, 25),
    "spread": (25, 1, 25),
}
"""REST orderbook: the topic whose window and u it is, the default limit, the highest."""
RPI_LIMIT_MAX = 50
FULL_LIMIT = 10_000
TRADES_MAX = {"spot": 60}
TRADES_DEFAULT = {"spot": 60}
TRADES_MAX_ELSEWHERE, TRADES_DEFAULT_ELSEWHERE = 1000, 500
PAGE_DEFAULT, PAGE_MAX = 500, 1000
SPREAD_PAGE_DEFAULT, SPREAD_PAGE_MAX = 200, 500
OPTION_COIN = "BTC"
OPTION_STATUSES = ("PreLaunch", "Trading", "Delivering")
SPREAD = "spread"
PARAMETER_ERROR = 10001
ROUTE_NOT_FOUND = 10017

Handler = Callable[["Answers", dict[str, str]], dict[str, Any]]


class ParameterError(Exception):
    """A request the venue answers with retCode 10001."""


@dataclass(slots=True)
class Answer:
    """An HTTP answer. `delay_ns` comes before it; `cut`: the connection ends instead."""

    status: int
    body: bytes
    delay_ns: int = 0
    cut: bool = False


class Answers:
    """Answers from the source's present state: the same that the connections were sent."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._source = venue.source

    def get(self, path: str, query: dict[str, str]) -> Answer:
        """Answer a GET; never raises. Faults of the plan happen to the venue's endpoints only."""
        if path in OWN:
            try:
                return Answer(200, orjson.dumps(OWN[path](self, query)))
            except ParameterError as error:
                return Answer(400, orjson.dumps({"error": str(error)}))
        hub = self._venue.hub
        faults = hub.plan.answer(path, query, hub.clock()) if hub.plan.faults else []
        if path not in ENDPOINTS:
            return self._enveloped(404, ROUTE_NOT_FOUND, f"Route not found: GET {path}", {}, faults)
        try:
            return self._enveloped(200, 0, "OK", ENDPOINTS[path](self, query), faults)
        except ParameterError as error:
            return self._enveloped(200, PARAMETER_ERROR, f"params error: {error}", {}, faults)

    def _enveloped(
        self, status: int, code: int, message: str, result: dict[str, Any], faults: list[RestFault]
    ) -> Answer:
        for fault in faults:
            result = fault.rewrite(result) if fault.rewrite else result
            if fault.code:
                code, message, result = fault.code, fault.message, {}
        time_ms = self._venue.clock() // 1_000_000
        body = orjson.dumps(
            {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": time_ms}
        )
        answer = Answer(status, body)
        for fault in faults:
            answer.status = fault.status or answer.status
            answer.body = fault.garble(answer.body) if fault.garble else answer.body
            answer.delay_ns += fault.delay_ns
            answer.cut = answer.cut or fault.cut
        return answer

    def _instrument(self, query: dict[str, str], default: str | None = None) -> Instrument:
        category, symbol = _category(query, default), query.get("symbol", "")
        for one in self._source.instruments(category):
            if one.symbol == symbol and one.status == "Trading":
                return one
        raise ParameterError(f"symbol invalid {symbol}")

    def _some(self, query: dict[str, str], category: str) -> list[Instrument]:
        """Return the trading instruments that a query means: a symbol, those of a coin, or all."""
        if "symbol" in query:
            return [self._instrument(query, category)]
        coin = query.get("baseCoin")
        if category == "option" and coin is None:
            raise ParameterError("symbol or baseCoin is required")
        return [
            one
            for one in self._source.instruments(category)
            if one.status == "Trading" and coin in (None, one.coins()[0])
        ]

    def time(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/time"""
        now_ns = self._venue.clock()
        return {"timeSecond": str(now_ns // 1_000_000_000), "timeNano": str(now_ns)}

    def instruments_info(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/instruments-info: in pages, not on spot; Trading unless asked (options: all live)."""
        category = _category(query)
        status = query.get("status")
        if status not in (None, *STATUSES):
            raise ParameterError(f"status invalid {status}")
        live = OPTION_STATUSES if category == "option" else ("Trading",)
        coin = query.get("baseCoin")
        if category == "option" and coin is None and "symbol" not in query:
            coin = OPTION_COIN
        found = [
            one
            for one in self._source.instruments(category)
            if (one.status == status if status else one.status in live)
            and query.get("symbol") in (None, one.symbol)
            and coin in (None, one.coins()[0])
        ]
        if "symbol" in query and not found:
            raise ParameterError(f"symbol invalid {query['symbol']}")
        return {"category": category, **_page(query, found, PAGE_DEFAULT, PAGE_MAX, category != "spot")}

    def spread_instrument(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/spread/instrument, in pages."""
        found = [
            one
            for one in self._source.instruments(SPREAD)
            if one.status == "Trading" and query.get("symbol") in (None, one.symbol)
        ]
        return _page(query, found, SPREAD_PAGE_DEFAULT, SPREAD_PAGE_MAX, True)

    def orderbook(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/orderbook: the best levels of a topic, with that topic's u."""
        instrument = self._instrument(query)
        depth, default, highest = BOOKS[instrument.category]
        return self._window(instrument, depth, _integer(query, "limit", default, 1, highest))

    def spread_orderbook(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/spread/orderbook"""
        return self.orderbook({**query, "category": SPREAD})

    def rpi_orderbook(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/rpi_orderbook: the window of the RPI topic; limit is required."""
        if "limit" not in query:
            raise ParameterError("limit is required")
        return self._window(self._instrument(query), RPI, _integer(query, "limit", 1, 1, RPI_LIMIT_MAX))

    def full_orderbook(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/full_orderbook: all levels, with the u of the full topic."""
        return self._window(self._instrument(query), FULL, FULL_LIMIT)

    def _window(self, instrument: Instrument, depth: Depth, limit: int) -> dict[str, Any]:
        found = self._source.book(instrument.category, instrument.symbol, depth)
        if found is None:
            raise ParameterError(f"no such order book of {instrument.symbol}")
        window, numbers = found
        bids, asks = window.rows(limit)
        return {"s": instrument.symbol, "b": bids, "a": asks, **numbers}

    def recent_trade(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/recent-trade: of a symbol; of options of a coin too."""
        category = _category(query)
        if category != "option":
            self._instrument(query)
        highest = TRADES_MAX.get(category, TRADES_MAX_ELSEWHERE)
        default = TRADES_DEFAULT.get(category, TRADES_DEFAULT_ELSEWHERE)
        limit = _integer(query, "limit", default, 1, highest)
        found = [
            one for some in self._some(query, category) for one in self._source.trades(category, some.symbol)
        ]
        found.sort(key=lambda one: -int(one["time"]))
        trades = found[:limit]
        if self._venue.switches.recent_trade_order == "oldest":
            trades.reverse()
        return {"category": category, "list": trades}

    def spread_recent_trade(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/spread/recent-trade"""
        return self.recent_trade({**query, "category": SPREAD})

    def tickers(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/tickers: of one symbol, of a coin, or of all."""
        category = _category(query)
        found = self._some(query, category)
        return {"category": category, "list": [self._source.ticker(category, one.symbol) for one in found]}

    def spread_tickers(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/spread/tickers"""
        return self.tickers({**query, "category": SPREAD})

    def kline(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/kline: newest first, the open candle included."""
        one = self._instrument(query, "linear")
        interval = query.get("interval", "")
        if interval not in INTERVALS or one.category not in KLINE_CATEGORIES:
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

    def price_limit(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/price-limit"""
        one = self._instrument(query, "linear")
        highest, lowest = self._source.limits(one.category, one.symbol)
        ms = str(self._venue.clock() // 1_000_000)
        return {"symbol": one.symbol, "buyLmt": one.price(highest), "sellLmt": one.price(lowest), "ts": ms}

    def system_status(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/system/status"""
        found = [
            one
            for one in self._source.statuses()
            if query.get("id") in (None, one["id"]) and query.get("state") in (None, one["state"])
        ]
        return {"list": found}

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
                {"connection": peer.number, "category": peer.category, "topics": self._topics(peer.number)}
                for peer in sorted(hub.plan.peers.values(), key=lambda peer: peer.number)
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

    def _topics(self, connection: int) -> list[str]:
        streams = self._venue.hub.streams.values()
        return [
            one.topic for one in streams if any(sub.outlet.number == connection for sub in one.subscribers)
        ]

    def faults(self, query: dict[str, str]) -> dict[str, Any]:
        """/simulator/faults: what is armed, and what happened, oldest first."""
        plan = self._venue.hub.plan
        return {"armed": plan.armed(), "log": list(plan.log)}

    def sent_book(self, query: dict[str, str]) -> dict[str, Any]:
        """/simulator/book: the window that a client holds who applied everything sent on the topic."""
        one = self._instrument(query)
        depth = query.get("depth", "50")
        found = self._source.book(one.category, one.symbol, depth_of(depth))
        if found is None:
            raise ParameterError(f"depth was {depth}; no topic of that depth is served")
        window, numbers = found
        bids, asks = window.rows()
        return {"bids": bids, "asks": asks, **numbers}


OWN: dict[str, Handler] = {
    "/simulator/state": Answers.state,
    "/simulator/book": Answers.sent_book,
    "/simulator/faults": Answers.faults,
}

ENDPOINTS: dict[str, Handler] = {
    "/v5/market/time": Answers.time,
    "/v5/market/instruments-info": Answers.instruments_info,
    "/v5/market/orderbook": Answers.orderbook,
    "/v5/market/recent-trade": Answers.recent_trade,
    "/v5/market/tickers": Answers.tickers,
    "/v5/market/kline": Answers.kline,
    "/v5/market/rpi_orderbook": Answers.rpi_orderbook,
    "/v5/market/full_orderbook": Answers.full_orderbook,
    "/v5/market/price-limit": Answers.price_limit,
    "/v5/spread/instrument": Answers.spread_instrument,
    "/v5/spread/orderbook": Answers.spread_orderbook,
    "/v5/spread/recent-trade": Answers.spread_recent_trade,
    "/v5/spread/tickers": Answers.spread_tickers,
    "/v5/system/status": Answers.system_status,
}


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


def _page(
    query: dict[str, str], found: list[Instrument], default: int, highest: int, paged: bool
) -> dict[str, Any]:
    """Return `list` and `nextPageCursor`, by symbol."""
    found = sorted(found, key=lambda one: one.symbol)
    cursor = ""
    if paged:
        first, limit = _cursor_place(query.get("cursor", "")), _integer(query, "limit", default, 1, highest)
        if first + limit < len(found):
            cursor = f"page_token%3D{first + limit}%26"
        found = found[first : first + limit]
    return {"list": [info(one) for one in found], "nextPageCursor": cursor}


def _cursor_place(cursor: str) -> int:
    """Return where a page starts; the cursor may come as it was given or decoded once."""
    if not cursor:
        return 0
    text = cursor.replace("%3D", "=").replace("%26", "&")
    place = text.removeprefix("page_token=").removesuffix("&")
    if not place.isascii() or not place.isdigit():
        raise ParameterError(f"cursor invalid {cursor}")
    return int(place)
