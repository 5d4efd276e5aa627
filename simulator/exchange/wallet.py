"""Balances, what of them is bound, and what is left for a new order."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from simulator.exchange.accounts import Account
from simulator.exchange.decimals import ZERO, money, text
from simulator.exchange.errors import RefusedError
from simulator.exchange.markets import FEES, Market
from simulator.exchange.orders import Order
from simulator.exchange.positions import MAINTENANCE, Position
from simulator.exchange.requests import in_quote_coin

DOLLARS = ("USDT", "USDC", "USD")
UNBOUND = ("spot", "option", "spread")
"""Their orders bind no margin."""


class Wallets:
    """Margin over all coins: what counts is their worth in dollars. `find` returns a market or None."""

    def __init__(self, find: Callable[[str, str], Market | None]) -> None:
        self._find = find

    def usd(self, coin: str) -> Decimal:
        """Return the price of a coin in dollars, 0 where nothing tells it."""
        if coin in DOLLARS:
            return Decimal(1)
        for category, symbol in (
            ("linear", f"{coin}USDT"),
            ("spot", f"{coin}USDT"),
            ("inverse", f"{coin}USD"),
        ):
            market = self._find(category, symbol)
            if market is not None:
                return market.quotes.last()
        return ZERO

    def market(self, category: str, symbol: str) -> Market:
        """Return the market of an order or position that is there."""
        found = self._find(category, symbol)
        if found is None:
            raise KeyError(f"{category} {symbol}")
        return found

    def spot_need(self, order: Order) -> tuple[str, Decimal]:
        """Return the coin that a spot order spends, and how much of it is still bound."""
        market = self.market("spot", order.symbol)
        if not order.buys:
            return market.base, order.left
        if in_quote_coin(order):
            return market.quote, order.left
        return market.quote, order.left * (order.price or market.quotes.band()[0])

    def locked(self, account: Account, coin: str) -> Decimal:
        """Return what open spot orders bind of a coin."""
        found = ZERO
        for order in account.live.values():
            if order.category != "spot":
                continue
            is_bound = order.status != "Untriggered" or order.order_filter == "tpslOrder"
            is_second = order.sibling is not None and order.trigger_direction == 2
            if is_bound and not is_second:
                spent, amount = self.spot_need(order)
                found += amount if spent == coin else ZERO
        return found

    def order_margin(self, order: Order, price: Decimal) -> Decimal:
        """Return the initial margin of what is left of an order at a price, in dollars."""
        if order.category in UNBOUND or order.reduce_only:
            return ZERO
        return self._opening(order, price) * self._share(order.account, order.category, order.symbol)

    def _opening(self, order: Order, price: Decimal) -> Decimal:
        """Return the value of the part of an order that opens; what closes a position needs no margin."""
        position = order.account.position(order.category, order.symbol, order.position_idx)
        closable = position.closable(order.buys)
        return order.value(order.left - closable, price) if order.left > closable else ZERO

    def _share(self, account: Account, category: str, symbol: str) -> Decimal:
        """Return what of a value is margin, a fee included, in dollars."""
        coin = self.usd(self.market(category, symbol).settle)
        return coin * (1 / account.leverage(category, symbol) + FEES[category][1])

    def _order_margins(self, account: Account) -> Decimal:
        values: dict[tuple[str, str], Decimal] = {}
        for one in account.live.values():
            if one.status != "Untriggered" and one.category not in UNBOUND and not one.reduce_only:
                key = (one.category, one.symbol)
                values[key] = values.get(key, ZERO) + self._opening(one, one.price)
        return sum((value * self._share(account, *key) for key, value in values.items()), ZERO)

    def _positions(self, account: Account) -> list[tuple[Position, Market, Decimal]]:
        return [
            (one, market, market.quotes.mark())
            for one in account.positions.values()
            if one.size and (market := self.market(one.category, one.symbol))
        ]

    def position_margin(self, account: Account, position: Position, mark: Decimal) -> Decimal:
        """Return the initial margin of a position in the coin it settles in."""
        return position.value(abs(position.size), mark) / account.leverage(position.category, position.symbol)

    def available(self, account: Account, margins: Decimal) -> Decimal:
        """Return what is free for new orders besides the `margins` of open ones, in dollars."""
        equity = sum((amount * self.usd(coin) for coin, amount in account.balances.items()), ZERO)
        for position, market, mark in self._positions(account):
            if position.category != "option":
                free = position.unrealised(mark) - self.position_margin(account, position, mark)
                equity += free * self.usd(market.settle)
        spot = sum((self.locked(account, coin) * self.usd(coin) for coin in account.balances), ZERO)
        return equity - margins - spot

    def check(self, order: Order) -> None:
        """Raise RefusedError where an order that is not in the books yet asks for more than is free."""
        if order.category == "spot":
            coin, need = self.spot_need(order)
            if need > order.account.balances.get(coin, ZERO) - self.locked(order.account, coin):
                raise RefusedError(170131, "Insufficient balance.")
            return
        market = self.market(order.category, order.symbol)
        price = order.price or market.quotes.mark()
        need = self.order_margin(order, price)
        if need and need > self.available(order.account, self._order_margins(order.account)):
            raise RefusedError(110007, "ab not enough for new order")

    def row(self, account: Account) -> dict[str, Any]:
        """Return the account as the wallet topic and REST show it."""
        positions = self._positions(account)
        coins = [self._coin(account, coin, positions) for coin in account.balances]
        equity = sum((Decimal(coin["usdValue"]) for coin in coins), ZERO)
        balance = sum((amount * self.usd(coin) for coin, amount in account.balances.items()), ZERO)
        held = sum((Decimal(coin["totalPositionIM"]) * self.usd(coin["coin"]) for coin in coins), ZERO)
        least = sum((Decimal(coin["totalPositionMM"]) * self.usd(coin["coin"]) for coin in coins), ZERO)
        margins = self._order_margins(account)
        initial = held + margins
        return {
            "accountType": "UNIFIED",
            "accountIMRate": text(money(initial / equity)) if equity > 0 else "0",
            "accountMMRate": text(money(least / equity)) if equity > 0 else "0",
            "accountLTV": "0",
            "totalEquity": text(money(equity)),
            "totalWalletBalance": text(money(balance)),
            "totalMarginBalance": text(money(equity)),
            "totalAvailableBalance": text(money(max(ZERO, self.available(account, margins)))),
            "totalPerpUPL": text(money(equity - balance)),
            "totalInitialMargin": text(money(initial)),
            "totalMaintenanceMargin": text(money(least)),
            "coin": coins,
        }

    def _coin(
        self, account: Account, coin: str, positions: list[tuple[Position, Market, Decimal]]
    ) -> dict[str, Any]:
        held = [(one, mark) for one, market, mark in positions if market.settle == coin]
        unrealised = sum((one.unrealised(mark) for one, mark in held), ZERO)
        initial = sum((self.position_margin(account, one, mark) for one, mark in held), ZERO)
        least = sum((one.value(abs(one.size), mark) * MAINTENANCE for one, mark in held), ZERO)
        balance = account.balances[coin]
        return {
            "coin": coin,
            "equity": text(money(balance + unrealised)),
            "usdValue": text(money((balance + unrealised) * self.usd(coin))),
            "walletBalance": text(balance),
            "free": "",
            "locked": text(self.locked(account, coin)),
            "spotBorrow": "0",
            "spotHedgingQty": "0",
            "borrowAmount": "0",
            "availableToWithdraw": "",
            "accruedInterest": "0",
            "totalOrderIM": "0",
            "totalPositionIM": text(money(initial)),
            "totalPositionMM": text(money(least)),
            "unrealisedPnl": text(unrealised),
            "cumRealisedPnl": text(account.realised.get(coin, ZERO)),
            "bonus": "0",
            "marginCollateral": True,
            "collateralSwitch": True,
            "colRes": "0",
        }
