"""ccxt trades on the exchange at WS and REST; prints what it saw. Runs in the peers' environment.

Usage: trade_ccxt.py WS REST KEY SECRET
"""

import asyncio
import json
import sys
from typing import Any

import ccxt.pro

SYMBOL, SPOT = "BTC/USDT:USDT", "BTC/USDT"
TIMEOUT_S = 30


def moved(urls: Any, ws: str, rest: str) -> Any:
    """Return the urls with other hosts, all else as it is."""
    if isinstance(urls, dict):
        return {name: moved(one, ws, rest) for name, one in urls.items()}
    if isinstance(urls, str) and urls.startswith(("wss://", "https://")):
        scheme, _, tail = urls.partition("://")
        path = tail.partition("/")[2]
        return (ws if scheme == "wss" else rest) + (f"/{path}" if path else "")
    return urls


async def orders_until(exchange: Any, status: str, order_id: str) -> None:
    """Watch orders until one has a status."""
    while True:
        for order in await exchange.watch_orders(SYMBOL):
            if order["id"] == order_id and order["status"] == status:
                return


async def held_position(exchange: Any) -> list[Any]:
    """Watch positions until one is held: side and contracts."""
    while True:
        for position in await exchange.watch_positions([SYMBOL]):
            if position["contracts"]:
                return [position["side"], position["contracts"]]


async def trade(exchange: Any) -> dict[str, Any]:
    """Use it as ccxt's users do."""
    seen: dict[str, Any] = {}
    await exchange.load_markets()
    price = (await exchange.fetch_ticker(SYMBOL))["last"]
    low = float(exchange.price_to_precision(SYMBOL, price * 0.97))
    seen["before"] = (await exchange.fetch_balance())["USDT"]["total"]

    watching = asyncio.create_task(exchange.watch_orders(SYMBOL))
    trades = asyncio.create_task(exchange.watch_my_trades(SYMBOL))
    balance = asyncio.create_task(exchange.watch_balance())
    positions = asyncio.create_task(held_position(exchange))
    await asyncio.sleep(0.5)  # ccxt does not tell when a subscription is there

    order = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, low, {"clientOrderId": "ccxt-1"})
    seen["watched"] = [one["status"] for one in await watching]
    await exchange.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, low)
    seen["edited"] = [one["amount"] for one in await exchange.fetch_open_orders(SYMBOL)]
    canceled = asyncio.create_task(orders_until(exchange, "canceled", order["id"]))
    await exchange.cancel_order(order["id"], SYMBOL)
    await canceled
    seen["after_cancel"] = (await exchange.fetch_open_orders(SYMBOL)) == []

    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    seen["trade"] = [one["amount"] for one in await trades]
    seen["balance_came"] = (await balance)["USDT"]["total"] > 0
    seen["watched_position"] = await positions
    seen["positions"] = [(one["side"], one["contracts"]) for one in await exchange.fetch_positions([SYMBOL])]
    stop = {"category": "linear", "symbol": "BTCUSDT", "tpslMode": "Full", "positionIdx": 0}
    await exchange.private_post_v5_position_trading_stop({**stop, "takeProfit": "90000", "stopLoss": "80000"})
    (position,) = await exchange.fetch_positions([SYMBOL])
    seen["stops"] = [position["info"]["takeProfit"], position["info"]["stopLoss"]]
    await exchange.private_post_v5_position_trading_stop({**stop, "takeProfit": "0", "stopLoss": "0"})
    await exchange.create_order(
        SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": low, "reduceOnly": True}
    )
    seen["conditional"] = len(await exchange.fetch_open_orders(SYMBOL, params={"trigger": True}))
    batch = [
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": low},
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.02, "price": low},
    ]
    seen["batch"] = len(await exchange.create_orders(batch))
    await exchange.cancel_all_orders(SYMBOL)
    seen["open"] = len(await exchange.fetch_open_orders(SYMBOL))
    seen["fills"] = [one["side"] for one in await exchange.fetch_my_trades(SYMBOL)]
    await exchange.set_leverage(5, SYMBOL)

    by_socket = await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, low)
    await exchange.edit_order_ws(by_socket["id"], SYMBOL, "limit", "buy", 0.03, low)
    seen["by_socket"] = [one["amount"] for one in await exchange.fetch_open_orders(SYMBOL)]
    await exchange.cancel_order_ws(by_socket["id"], SYMBOL)

    await exchange.create_order(SPOT, "market", "buy", 0.01, price)
    seen["coins"] = (await exchange.fetch_balance())["BTC"]["total"] > 0
    try:
        await exchange.create_order(SYMBOL, "limit", "buy", 400, low)
    except ccxt.InsufficientFunds:
        seen["refused"] = "InsufficientFunds"
    return seen


async def main(ws: str, rest: str, key: str, secret: str) -> None:
    """Trade, say what was seen, close."""
    exchange = ccxt.pro.bybit({"apiKey": key, "secret": secret})
    exchange.urls["api"] = moved(exchange.urls["api"], ws, rest)
    try:
        print(json.dumps(await asyncio.wait_for(trade(exchange), TIMEOUT_S)))
    finally:
        await exchange.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
