"""What a signed request reads: one function an endpoint."""

import datetime
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from simulator.exchange.accounts import Account, Key
from simulator.exchange.decimals import text
from simulator.exchange.engine import CATEGORIES, Engine
from simulator.exchange.errors import PARAMETER, RefusedError
from simulator.exchange.markets import FEES
from simulator.exchange.orders import Order
from simulator.exchange.positions import Position
from simulator.instrument_info import info

DAY_MS = 86_400_000
SPAN_MS_MAX = 7 * DAY_MS
CLOSED_KEPT = 500
FINAL_KEPT_MS = DAY_MS
"""Orders without a fill leave the history after this."""

Query = dict[str, str]
Rows = list[dict[str, Any]]


def _category(query: Query) -> str:
    category = query.get("category", "")
    if category not in CATEGORIES:
        raise RefusedError(PARAMETER, f"params error: category invalid {category}")
    return category


def _integer(query: Query, name: str, default: int, low: int, high: int) -> int:
    value = query.get(name) or str(default)
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise RefusedError(PARAMETER, f"params error: {name} invalid {value}")
    return int(value)


def page(query: Query, rows: Rows, default: int, highest: int) -> dict[str, Any]:
    """Return a page and the cursor of the next, which is percent-encoded as the venue's are."""
    limit, cursor = _integer(query, "limit", default, 1, highest), unquote(query.get("cursor", ""))
    place = cursor.removeprefix("page_token=").removesuffix("&") or "0"
    if not place.isascii() or not place.isdigit():
        raise RefusedError(PARAMETER, "params error: cursor invalid")
    first = int(place)
    more = first + limit < len(rows)
    return {
        "list": rows[first : first + limit],
        "nextPageCursor": f"page_token%3D{first + limit}%26" if more else "",
    }


def _span(query: Query, now_ms: int) -> tuple[int, int]:
    """Return the window of time that is asked for: at most seven days, the last seven where none is."""
    end = _integer(query, "endTime", 0, 0, 1 << 62)
    start = _integer(query, "startTime", 0, 0, 1 << 62)
    if not start:
        start = (end or now_ms) - SPAN_MS_MAX
    end = end or start + SPAN_MS_MAX
    if end - start > SPAN_MS_MAX:
        raise RefusedError(PARAMETER, "The time range between startTime and endTime cannot exceed 7 days")
    if end < start:
        raise RefusedError(PARAMETER, "params error: endTime is before startTime")
    return start, end


class Queries:
    """Reads accounts as they are now."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _named(self, account: Account, query: Query, orders: Iterable[Order]) -> list[Order]:
        """Return the orders of a category that a query names; ids go before every other filter."""
        category = _category(query)
        found = [one for one in orders if one.category == category]
        if query.get("orderId"):
            return [one for one in found if one.order_id == query["orderId"]]
        if query.get("orderLinkId"):
            return [one for one in found if one.link_id == query["orderLinkId"]]
        return [one for one in found if self._is_of(one.category, one.symbol, query)]

    def _is_of(self, category: str, symbol: str, query: Query) -> bool:
        if query.get("symbol"):
            return symbol == query["symbol"]
        market = self._engine.wallets.market(category, symbol)
        return query.get("baseCoin") in (None, "", market.base) and query.get("settleCoin") in (
            None,
            "",
            market.settle,
        )

    def realtime(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/order/realtime: open orders; with openOnly=1, or by id, the latest closed ones too."""
        category = _category(query)
        names_one = query.get("orderId") or query.get("orderLinkId")
        if (
            category == "linear"
            and not names_one
            and not any(query.get(name) for name in ("symbol", "baseCoin", "settleCoin"))
        ):
            raise RefusedError(PARAMETER, "params error: symbol, settleCoin or baseCoin is required")
        found = self._named(account, query, reversed(account.orders.values()))
        closed = [one for one in found if not one.is_live][:CLOSED_KEPT]
        live = [one for one in found if one.is_live]
        wanted = query.get("orderFilter")
        if wanted:
            live = [
                one
                for one in live
                if (
                    one.order_filter == wanted
                    if category == "spot"
                    else (wanted == "StopOrder") == (one.status == "Untriggered")
                )
            ]
        by_age = live + closed if names_one else live
        chosen = closed if query.get("openOnly") == "1" else by_age
        return {"category": category, **page(query, [one.rest_row() for one in chosen], 20, 50)}

    def history(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/order/history: final orders, newest first; those without a fill for a day."""
        now_ms = self._engine.now_ms()
        start, end = _span(query, now_ms)
        found = [
            one
            for one in self._named(account, query, reversed(account.orders.values()))
            if not one.is_live
            and start <= one.created_ms <= end
            and (one.filled or one.updated_ms > now_ms - FINAL_KEPT_MS)
            and query.get("orderStatus") in (None, "", one.status)
        ]
        return {"category": query["category"], **page(query, [one.rest_row() for one in found], 20, 50)}

    def executions(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/execution/list: newest first; ids go before every other filter."""
        category = _category(query)
        found = [one for one in reversed(account.executions) if one.order.category == category]
        if query.get("orderId"):
            found = [one for one in found if one.order.order_id == query["orderId"]]
        elif query.get("orderLinkId"):
            found = [one for one in found if one.order.link_id == query["orderLinkId"]]
        else:
            start, end = _span(query, self._engine.now_ms())
            found = [
                one
                for one in found
                if start <= one.time_ms <= end
                and self._is_of(category, one.order.symbol, query)
                and query.get("execType") in (None, "", one.kind)
            ]
        return {"category": category, **page(query, [one.row() for one in found], 50, 100)}

    def positions(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/position/list: with a symbol flat ones too, with a settleCoin only what is held."""
        category = _category(query)
        if category == "spot":
            raise RefusedError(PARAMETER, "params error: category invalid spot")
        symbol, settle = query.get("symbol"), query.get("settleCoin")
        if symbol:
            self._engine.market(category, symbol)
            sides = (1, 2) if symbol in account.hedged else (0,)
            found = [account.position(category, symbol, idx) for idx in sides]
        elif settle or category != "linear":
            found = [
                one
                for one in account.positions.values()
                if one.size and one.category == category and self._is_of(category, one.symbol, query)
            ]
        else:
            raise RefusedError(PARAMETER, "params error: symbol or settleCoin is required")
        rows = [self._position(account, one) for one in found]
        return {"category": category, **page(query, rows, 20, 200)}

    def _position(self, account: Account, position: Position) -> dict[str, Any]:
        mark = self._engine.wallets.market(position.category, position.symbol).quotes.mark()
        leverage = account.leverage(position.category, position.symbol)
        return position.row(mark, leverage, streamed=False)

    def closed_pnl(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/position/closed-pnl, newest first."""
        category = _category(query)
        start, end = _span(query, self._engine.now_ms())
        rows = [
            one
            for one in reversed(account.closed)
            if one["category"] == category
            and start <= int(one["createdTime"]) <= end
            and self._is_of(category, one["symbol"], query)
        ]
        return {"category": category, **page(query, rows, 50, 100)}

    def wallet(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/account/wallet-balance: the coins that are named, or those there is something of."""
        if query.get("accountType") != "UNIFIED":
            raise RefusedError(PARAMETER, "accountType only support UNIFIED.")
        row = self._engine.wallets.row(account)
        named = [one for one in query.get("coin", "").split(",") if one]
        row["coin"] = [
            one
            for one in row["coin"]
            if (one["coin"] in named if named else Decimal(one["walletBalance"]) or Decimal(one["equity"]))
        ]
        return {"list": [row]}

    def info(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/account/info"""
        return {
            "unifiedMarginStatus": 5,
            "marginMode": "REGULAR_MARGIN",
            "dcpStatus": "ON" if account.dcp_windows else "OFF",
            "timeWindow": next(iter(account.dcp_windows.values()), 0),
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
            "updatedTime": str(self._engine.now_ms()),
        }

    def fee_rate(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/account/fee-rate"""
        category = _category(query)
        maker, taker = FEES[category]
        rates = {"makerFeeRate": text(maker), "takerFeeRate": text(taker)}
        symbol = query.get("symbol", "")
        if symbol:
            self._engine.market(category, symbol)
        base = query.get("baseCoin", "")
        return {"category": category, "list": [{"symbol": symbol, "baseCoin": base, **rates}]}

    def dcp(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/account/query-dcp-info"""
        infos = [
            {"product": product, "dcpStatus": "ON", "timeWindow": str(window)}
            for product, window in account.dcp_windows.items()
        ]
        return {"dcpInfos": infos}

    def instruments(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/account/instruments-info: of the markets that were named or used so far."""
        category = _category(query)
        symbol = query.get("symbol", "")
        if not symbol:
            raise RefusedError(PARAMETER, "params error: symbol is required")
        return {
            "category": category,
            "list": [info(self._engine.market(category, symbol).instrument)],
            "nextPageCursor": "",
        }

    def settings(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/account/user-setting-config: `lpaPerp` true refuses, `lpaSpot` true adjusts."""
        return {"deltaEnable": False, "lpaSpot": False, "lpaPerp": account.rejects_outside_band}

    def coins(self, account: Account, query: Query) -> dict[str, Any]:
        """/v5/asset/coin/query-info: nothing can be moved in or out here."""
        rows = [
            {"coin": coin, "name": coin, "remainAmount": "0", "chains": []}
            for coin in account.balances
            if query.get("coin") in (None, "", coin)
        ]
        return {"rows": rows}


def key_info(key: Key, now_ms: int) -> dict[str, Any]:
    """/v5/user/query-api"""
    expires = ""
    if key.expires_ms:
        expires = _iso(key.expires_ms)
    return {
        "id": str(key.account.uid * 10),
        "note": "simulator",
        "apiKey": key.key,
        "readOnly": int(key.read_only),
        "secret": "",
        "permissions": key.permissions(),
        "ips": list(key.ips) or ["*"],
        "type": 1,
        "deadlineDay": max(0, (key.expires_ms - now_ms) // DAY_MS) if key.expires_ms else 0,
        "expiredAt": expires,
        "createdAt": _iso(now_ms - 30 * DAY_MS),
        "unified": 0,
        "uta": 1,
        "userID": key.account.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": key.secret if key.is_rsa else "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_1",
        "kycRegion": "",
    }


def _iso(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms // 1_000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Answer = Callable[[Queries, Account, Query], dict[str, Any]]

QUERIES: dict[str, Answer] = {
    "order/realtime": Queries.realtime,
    "order/history": Queries.history,
    "execution/list": Queries.executions,
    "position/list": Queries.positions,
    "position/closed-pnl": Queries.closed_pnl,
    "account/wallet-balance": Queries.wallet,
    "account/info": Queries.info,
    "account/fee-rate": Queries.fee_rate,
    "account/query-dcp-info": Queries.dcp,
    "account/instruments-info": Queries.instruments,
    "account/user-setting-config": Queries.settings,
    "asset/coin/query-info": Queries.coins,
}
