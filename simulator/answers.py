"""What REST answers, without a socket: the venue's endpoints, and some of the simulator's own for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from simulator.candles import INTERVALS
from simulator.faults import RestFault
from simulator.instruments import CATEGORIES, STATUSES, Instrument
from simulator.venue import Venue

BOOK_DEPTH = 1000
"""REST orderbook is the window of this topic, with its u."""
BOOK_DEFAULT = {"spot": 1, "linear": 25}
TRADES_MAX = {"spot": 60, "linear": 1000}
TRADES_DEFAULT = {"spot": 60, "linear": 500}
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

    def time(self, query: dict[str, str]) -> dict[str, Any]:
        """/v5/market/time"""
        now_ns = self._venue.clock()
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
        depth = _integer(query, "depth", 50, 1, BOOK_DEPTH)
        found = self._source.book(one.category, one.symbol, depth)
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


def _cursor_place(cursor: str) -> int:
    """Return where a page starts; the cursor may come as it was given or decoded once."""
    if not cursor:
        return 0
    text = cursor.replace("%3D", "=").replace("%26", "&")
    place = text.removeprefix("page_token=").removesuffix("&")
    if not place.isascii() or not place.isdigit():
        raise ParameterError(f"cursor invalid {cursor}")
    return int(place)
