"""From the body of a create request to an order, or the code that the venue refuses it with."""

import re
from decimal import Decimal
from typing import Any

from simulator.exchange.accounts import Account
from simulator.exchange.decimals import ZERO, number
from simulator.exchange.errors import PARAMETER, RefusedError
from simulator.exchange.markets import Market
from simulator.exchange.orders import Order

LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
TIMES = ("GTC", "IOC", "FOK", "PostOnly", "RPI")
SMP = ("None", "CancelMaker", "CancelTaker", "CancelBoth")
TRIGGERS = ("LastPrice", "IndexPrice", "MarkPrice")
FILTERS = ("Order", "tpslOrder", "StopOrder")
CONTRACTS = ("linear", "inverse")
POSITIONED = ("linear", "inverse", "option")


def one_of(body: dict[str, Any], name: str, values: tuple[str, ...], default: str) -> str:
    """Return a field that has a few values; the default where it is absent or empty."""
    value = body.get(name) or default
    if value not in values:
        raise RefusedError(PARAMETER, f"params error: {name} invalid {value!r}")
    return str(value)


def flag(body: dict[str, Any], name: str) -> bool:
    """Return a boolean field; a text of one counts."""
    value = body.get(name, False)
    if value in (None, False, "false", ""):
        return False
    if value in (True, "true"):
        return True
    raise RefusedError(PARAMETER, f"params error: {name} invalid {value!r}")


def price_of(body: dict[str, Any], name: str, market: Market) -> Decimal:
    """Return a price that lies on the grid, 0 where it is absent, empty or zero."""
    if body.get(name) in (None, ""):
        return ZERO
    price = number(body[name], name)
    if price < 0 and market.category != "spread":
        raise RefusedError(PARAMETER, f"params error: {name} invalid {body[name]!r}")
    if price % market.rules.tick:
        if market.category == "spot":
            raise RefusedError(170134, "Order price has too many decimals.")
        raise RefusedError(
            PARAMETER, f"params error: {name} {body[name]} is no multiple of {market.rules.tick}"
        )
    return price


def check_qty(order: Order, market: Market) -> None:
    """Raise RefusedError where the quantity or the value of an order is outside the filters."""
    rules, qty, spot = market.rules, order.qty, market.category == "spot"
    in_quote = in_quote_coin(order)
    if qty <= 0:
        raise RefusedError(PARAMETER, "Qty invalid")
    if qty % (rules.quote_step if in_quote else rules.step):
        if spot:
            raise RefusedError(170137, "Order quantity has too many decimals.")
        raise RefusedError(PARAMETER, "Qty invalid")
    if qty < rules.qty_min:
        raise RefusedError(PARAMETER, "The number of contracts exceeds minimum limit allowed")
    highest = rules.market_max if order.kind == "Market" else rules.qty_max
    if not in_quote and qty > highest:
        if spot:
            raise RefusedError(170136, "Order quantity exceeded upper limit.")
        raise RefusedError(PARAMETER, "The number of contracts exceeds maximum limit allowed: too large")
    price = order.price or order.trigger_price or market.quotes.last()
    worth = qty if in_quote or market.category == "inverse" else qty * abs(price)
    if worth < rules.value_min and not order.reduce_only:
        if spot:
            raise RefusedError(170140, "Order value exceeded lower limit.")
        raise RefusedError(110094, f"Order does not meet minimum order value {rules.value_min}USDT")


def in_quote_coin(order: Order) -> bool:
    """Return whether the quantity is an amount of the quote coin, as in a spot market order to buy."""
    if order.category != "spot" or order.kind != "Market":
        return False
    return order.market_unit == "quoteCoin" or (order.buys and order.market_unit != "baseCoin")


def check_band(order: Order, market: Market) -> None:
    """Hold a limit order to the price band: contracts are priced anew (or refused), spot is refused."""
    if order.kind == "Market" or market.category in ("option", "spread"):
        return
    highest, lowest = market.quotes.band()
    if order.buys and order.price > highest:
        if market.category == "spot":
            raise RefusedError(170193, f"Buy order price cannot be higher than {highest}.")
        bound = highest
    elif not order.buys and order.price < lowest:
        if market.category == "spot":
            raise RefusedError(170194, f"Sell order price cannot be lower than {lowest}.")
        bound = lowest
    else:
        return
    if order.account.rejects_outside_band:
        raise RefusedError(110003, "Order price exceeds the allowable range.")
    order.price = bound


def parse(account: Account, market: Market, body: dict[str, Any]) -> Order:
    """Return the order that a body describes; raises RefusedError. What depends on positions comes later."""
    category = market.category
    link_id = body.get("orderLinkId") or ""
    if link_id and not (isinstance(link_id, str) and LINK_ID.fullmatch(link_id)):
        raise RefusedError(PARAMETER, "params error: orderLinkId invalid, it has up to 36 of A-Z a-z 0-9 _ -")
    if category == "option" and not link_id:
        raise RefusedError(PARAMETER, "params error: orderLinkId is required")
    kind = one_of(body, "orderType", ("Limit", "Market"), "")
    order = Order(
        account,
        order_id="",
        link_id=link_id,
        category=category,
        symbol=market.symbol,
        side=one_of(body, "side", ("Buy", "Sell"), ""),
        kind=kind,
        qty=number(body.get("qty"), "qty"),
        time_in_force="IOC" if kind == "Market" else one_of(body, "timeInForce", TIMES, "GTC"),
        smp=one_of(body, "smpType", SMP, "None"),
        market_unit=one_of(body, "marketUnit", ("", "baseCoin", "quoteCoin"), ""),
        order_filter=one_of(body, "orderFilter", FILTERS, "Order"),
        tpsl_mode=one_of(body, "tpslMode", ("", "Full", "Partial"), ""),
    )
    if kind == "Limit":
        order.price = price_of(body, "price", market)
        if not order.price and category != "spread":
            raise RefusedError(PARAMETER, "params error: price is required")
    if category in POSITIONED:
        order.reduce_only, order.close_on_trigger = flag(body, "reduceOnly"), flag(body, "closeOnTrigger")
        _position_side(order, body)
    _conditional(order, market, body)
    _attached(order, market, body)
    if order.qty == 0 and order.reduce_only and order.close_on_trigger:
        order.qty = account.position(category, market.symbol, order.position_idx).closable(order.buys)
        if not order.qty:
            raise RefusedError(110017, "Reduce-only rule not satisfied")
    check_qty(order, market)
    check_band(order, market)
    order.left = order.qty
    return order


def _position_side(order: Order, body: dict[str, Any]) -> None:
    idx = number(body.get("positionIdx") or 0, "positionIdx")
    hedged = order.symbol in order.account.hedged
    if idx not in ((1, 2) if hedged else (0,)):
        raise RefusedError(PARAMETER, "position idx not match position mode")
    order.position_idx = int(idx)
    if (idx == 1 and not order.buys) or (idx == 2 and order.buys):
        order.reduce_only = True


def _conditional(order: Order, market: Market, body: dict[str, Any]) -> None:
    """Read what makes an order wait for a price."""
    order.trigger_price = price_of(body, "triggerPrice", market)
    if not order.trigger_price:
        if order.order_filter != "Order":
            raise RefusedError(PARAMETER, "params error: triggerPrice is required")
        return
    order.trigger_by = one_of(body, "triggerBy", TRIGGERS, "LastPrice")
    price = market.price(order.trigger_by)
    if order.category == "spot":
        order.order_filter = "StopOrder" if order.order_filter == "Order" else order.order_filter
        order.stop = order.order_filter
        order.trigger_direction = 1 if order.trigger_price > price else 2
        return
    direction = number(body.get("triggerDirection") or 0, "triggerDirection")
    if direction not in (1, 2):
        raise RefusedError(PARAMETER, "params error: TriggerDirection invalid")
    order.trigger_direction = int(direction)
    if direction == 1 and order.trigger_price <= price:
        raise RefusedError(
            110092, f"expect Rising, but trigger_price[{order.trigger_price}] <= current[{price}]"
        )
    if direction == 2 and order.trigger_price >= price:
        raise RefusedError(
            110093, f"expect Falling, but trigger_price[{order.trigger_price}] >= current[{price}]"
        )
    order.stop = "Stop"


def _attached(order: Order, market: Market, body: dict[str, Any]) -> None:
    """Read the take-profit and stop-loss that come with an order."""
    order.take_profit, order.stop_loss = (
        price_of(body, "takeProfit", market),
        price_of(body, "stopLoss", market),
    )
    if not (order.take_profit or order.stop_loss):
        return
    if order.reduce_only:
        raise RefusedError(PARAMETER, "params error: a reduce-only order takes no TP/SL")
    order.tp_trigger_by = one_of(body, "tpTriggerBy", TRIGGERS, "LastPrice") if order.take_profit else ""
    order.sl_trigger_by = one_of(body, "slTriggerBy", TRIGGERS, "LastPrice") if order.stop_loss else ""
    order.tp_limit_price = _limit_of(order, market, body, "tp")
    order.sl_limit_price = _limit_of(order, market, body, "sl")
    order.tpsl_mode = order.tpsl_mode or ("Full" if order.category in CONTRACTS else "")
    base = order.price or market.quotes.last()
    for name, price, above in (
        ("TakeProfit", order.take_profit, order.buys),
        ("StopLoss", order.stop_loss, not order.buys),
    ):
        if price and (price <= base if above else price >= base):
            word = "higher" if above else "lower"
            raise RefusedError(
                PARAMETER,
                f"{name}:{price} set for {order.side} position should be {word} than base_price:{base}",
            )


def _limit_of(order: Order, market: Market, body: dict[str, Any], which: str) -> Decimal:
    price = price_of(body, f"{which}LimitPrice", market)
    if one_of(body, f"{which}OrderType", ("Market", "Limit"), "Market") == "Market":
        return ZERO
    if order.category in CONTRACTS and order.tpsl_mode != "Partial":
        raise RefusedError(PARAMETER, f"params error: a Limit {which}OrderType needs tpslMode Partial")
    if not price:
        raise RefusedError(PARAMETER, f"params error: {which}LimitPrice is required")
    return price
