"""Orders of spreads: the same engine, in the words of their own endpoints."""

from typing import Any

from simulator.exchange.accounts import Account
from simulator.exchange.errors import PARAMETER, RefusedError
from simulator.exchange.operations import Operation, Request, Result, ids
from simulator.exchange.queries import Answer, Queries, Query, page

SPREAD = "spread"


def create(request: Request) -> Result:
    """/v5/spread/order/create"""
    order = request.engine.accept(request.account, SPREAD, request.body)
    request.engine.place(order)
    return ids(order)


def amend(request: Request) -> Result:
    """/v5/spread/order/amend"""
    order = request.engine.order(request.account, SPREAD, request.body)
    request.engine.amend(order, request.body)
    return ids(order)


def cancel(request: Request) -> Result:
    """/v5/spread/order/cancel"""
    order = request.engine.order(request.account, SPREAD, request.body)
    request.engine.cancel(order)
    return ids(order)


def cancel_all(request: Request) -> Result:
    """/v5/spread/order/cancel-all: of a symbol, or all with cancelAll."""
    symbol = request.body.get("symbol")
    if not symbol and request.body.get("cancelAll") is not True:
        raise RefusedError(PARAMETER, "params error: symbol or cancelAll is required")
    found = [
        one
        for one in request.account.live.values()
        if one.category == SPREAD and (not symbol or one.symbol == symbol)
    ]
    for one in found:
        request.engine.cancel(one)
    return {"list": [ids(one) for one in found], "success": "1"}


def realtime(queries: Queries, account: Account, query: Query) -> dict[str, Any]:
    """/v5/spread/order/realtime"""
    return _orders(account, query, live=True)


def history(queries: Queries, account: Account, query: Query) -> dict[str, Any]:
    """/v5/spread/order/history"""
    return _orders(account, query, live=False)


def _is_of(query: Query, order_id: str, link_id: str, symbol: str) -> bool:
    return (
        query.get("orderId") in (None, "", order_id)
        and query.get("orderLinkId") in (None, "", link_id)
        and query.get("symbol") in (None, "", symbol)
    )


def _orders(account: Account, query: Query, *, live: bool) -> dict[str, Any]:
    rows = [
        one.row()
        for one in reversed(account.orders.values())
        if one.category == SPREAD
        and one.is_live == live
        and _is_of(query, one.order_id, one.link_id, one.symbol)
    ]
    return page(query, rows, 20, 50)


def executions(queries: Queries, account: Account, query: Query) -> dict[str, Any]:
    """/v5/spread/execution/list"""
    rows = [
        one.row()
        for one in reversed(account.executions)
        if one.order.category == SPREAD
        and _is_of(query, one.order.order_id, one.order.link_id, one.order.symbol)
    ]
    return page(query, rows, 20, 50)


SPREAD_OPERATIONS: dict[str, Operation] = {
    "spread/order/create": create,
    "spread/order/amend": amend,
    "spread/order/cancel": cancel,
    "spread/order/cancel-all": cancel_all,
}
SPREAD_QUERIES: dict[str, Answer] = {
    "spread/order/realtime": realtime,
    "spread/order/history": history,
    "spread/execution/list": executions,
}
