"""What a signed request does: one function an endpoint that changes something."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulator.exchange.accounts import Account
from simulator.exchange.decimals import number, text
from simulator.exchange.engine import Engine
from simulator.exchange.errors import PARAMETER, TOO_MANY, RefusedError
from simulator.exchange.orders import Order

BATCH_MAX = {"spot": 10}
BATCH_MAX_ELSEWHERE = 20
TOO_MANY_TEXT = "Too many visits! Exceeded the API Rate Limit."


@dataclass(slots=True)
class Request:
    """A request to perform. `let_in`: how many orders of a batch the rate limit lets in."""

    engine: Engine
    account: Account
    body: dict[str, Any]
    let_in: int = 0
    placed_late_ms: int = 0
    ext: dict[str, Any] = field(default_factory=dict)

    @property
    def category(self) -> Any:
        """The category that the body names."""
        return self.body.get("category")


Result = dict[str, Any]
Operation = Callable[[Request], Result]


def ids(order: Order) -> Result:
    """Return the ids of an order."""
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def create(request: Request) -> Result:
    """/v5/order/create"""
    return ids(_create(request, request.category, request.body))


def _create(request: Request, category: Any, body: dict[str, Any]) -> Order:
    engine = request.engine
    order = engine.accept(request.account, category, body)
    if request.placed_late_ms:
        engine.later(engine.now_ms() + request.placed_late_ms, lambda: engine.place(order))
    else:
        engine.place(order)
    return order


def amend(request: Request) -> Result:
    """/v5/order/amend"""
    order = request.engine.order(request.account, request.category, request.body)
    request.engine.amend(order, request.body)
    return ids(order)


def cancel(request: Request) -> Result:
    """/v5/order/cancel"""
    order = request.engine.order(request.account, request.category, request.body)
    wanted = request.body.get("orderFilter") or "Order"
    if request.category == "spot" and order.order_filter != wanted:
        raise request.engine.not_there("spot")
    request.engine.cancel(order)
    return ids(order)


def cancel_all(request: Request) -> Result:
    """/v5/order/cancel-all"""
    found = request.engine.cancel_all(request.account, request.category, request.body)
    return {"list": [ids(one) for one in found], "success": "1"}


def _batch(request: Request, act: Callable[[dict[str, Any]], Order]) -> Result:
    """Do each of a batch; what fails says so in `ext`, the rest goes on."""
    items, category = request.body.get("request"), request.category
    highest = BATCH_MAX.get(str(category), BATCH_MAX_ELSEWHERE)
    if not isinstance(items, list) or not items or not all(isinstance(one, dict) for one in items):
        raise RefusedError(PARAMETER, "params error: request is required")
    if len(items) > highest:
        raise RefusedError(PARAMETER, f"params error: request has {len(items)} orders, the most is {highest}")
    rows, told = [], []
    for place, item in enumerate(items):
        row = {
            "category": category,
            "symbol": item.get("symbol", ""),
            "orderId": "",
            "orderLinkId": item.get("orderLinkId", ""),
        }
        try:
            if place >= request.let_in:
                raise RefusedError(TOO_MANY, TOO_MANY_TEXT)
            order = act(item)
            row |= ids(order)
            if act.__name__ == "creates":
                row["createAt"] = str(order.created_ms)
            told.append({"code": 0, "msg": "OK"})
        except RefusedError as refused:
            told.append({"code": refused.code, "msg": refused.message})
        rows.append(row)
    request.ext = {"list": told}
    return {"list": rows}


def create_batch(request: Request) -> Result:
    """/v5/order/create-batch"""

    def creates(item: dict[str, Any]) -> Order:
        return _create(request, request.category, item)

    return _batch(request, creates)


def amend_batch(request: Request) -> Result:
    """/v5/order/amend-batch"""

    def amends(item: dict[str, Any]) -> Order:
        order = request.engine.order(request.account, request.category, item)
        request.engine.amend(order, item)
        return order

    return _batch(request, amends)


def cancel_batch(request: Request) -> Result:
    """/v5/order/cancel-batch"""

    def cancels(item: dict[str, Any]) -> Order:
        order = request.engine.order(request.account, request.category, item)
        request.engine.cancel(order)
        return order

    return _batch(request, cancels)


def pre_check(request: Request) -> Result:
    """/v5/order/pre-check: margin rates in units of 1/10,000, before and after."""
    engine, account = request.engine, request.account
    market = engine.market(request.category, request.body.get("symbol"))
    order = engine.accept(account, request.category, {**request.body, "orderLinkId": ""})
    before = engine.wallets.row(account)
    value = order.value(order.qty, order.price or market.quotes.mark()) * engine.wallets.usd(market.settle)
    equity = number(before["totalEquity"], "totalEquity") or 1
    rate = number(before["accountIMRate"], "accountIMRate") * 10_000
    more = value / account.leverage(order.category, order.symbol) / equity * 10_000
    least = number(before["accountMMRate"], "accountMMRate") * 10_000
    return {
        "orderId": order.order_id,
        "orderLinkId": request.body.get("orderLinkId", ""),
        "preImrE4": int(rate),
        "preMmrE4": int(least),
        "postImrE4": int(rate + more),
        "postMmrE4": int(least + more / 20),
    }


def set_dcp(request: Request) -> Result:
    """/v5/order/disconnected-cancel-all: the window in seconds, 3 to 300."""
    window = number(request.body.get("timeWindow"), "timeWindow")
    product = request.body.get("product", "OPTIONS")
    if not 3 <= window <= 300 or product not in ("OPTIONS", "DERIVATIVES", "SPOT"):
        raise RefusedError(PARAMETER, f"params error: timeWindow {text(window)} or product {product} invalid")
    request.account.dcp_windows[product] = int(window)
    return {}


ORDERS: dict[str, Operation] = {
    "order/create": create,
    "order/amend": amend,
    "order/cancel": cancel,
    "order/create-batch": create_batch,
    "order/amend-batch": amend_batch,
    "order/cancel-batch": cancel_batch,
}
"""What the trade websocket does too."""

OPERATIONS: dict[str, Operation] = {
    **ORDERS,
    "order/cancel-all": cancel_all,
    "order/pre-check": pre_check,
    "order/disconnected-cancel-all": set_dcp,
}
