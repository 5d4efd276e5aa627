"""Orders that wait for a price: conditional ones, take-profit and stop-loss, trailing stops."""

from collections.abc import Callable
from decimal import Decimal

from simulator.exchange.accounts import Account
from simulator.exchange.decimals import ZERO
from simulator.exchange.errors import RefusedError
from simulator.exchange.ledger import Ledger
from simulator.exchange.markets import Market
from simulator.exchange.orders import Order
from simulator.exchange.requests import CONTRACTS
from simulator.exchange.wallet import Wallets

TAKE_PROFIT, STOP_LOSS, TRAILING = "TakeProfit", "StopLoss", "TrailingStop"
CREATE_TYPES = {
    TAKE_PROFIT: "CreateByTakeProfit",
    STOP_LOSS: "CreateByStopLoss",
    TRAILING: "CreateByTrailingStop",
    "PartialTakeProfit": "CreateByPartialTakeProfit",
    "PartialStopLoss": "CreateByPartialStopLoss",
}
OF_POSITIONS = tuple(CREATE_TYPES)


class Triggers:
    """The waiting orders of one market. `submit` puts an order into the book when its price has come."""

    def __init__(
        self, market: Market, ledger: Ledger, wallets: Wallets, submit: Callable[[Order], None]
    ) -> None:
        self.market = market
        self.waiting: dict[str, Order] = {}
        self._ledger = ledger
        self._wallets = wallets
        self._submit = submit

    def wait(self, order: Order) -> None:
        """Let an order wait for its price."""
        order.status = "Untriggered"
        order.account.orders[order.order_id] = order
        self.waiting[order.order_id] = order
        self._ledger.report(order)

    def cancel(self, order: Order, cancel: str = "CancelByUser") -> None:
        """End a waiting order; so does the other one of its pair."""
        self.waiting.pop(order.order_id, None)
        is_plain = order.category in CONTRACTS and order.stop == "Stop"
        order.status, order.cancel_type = "Cancelled" if is_plain else "Deactivated", cancel
        order.left, order.reject_reason = ZERO, "EC_PerCancelRequest"
        self._ledger.report(order)
        self._forget_level(order)

    def _forget_level(self, order: Order) -> None:
        """A position no longer shows the level of an order for all of it that has gone."""
        self.show_level(order, ZERO)
        if order.whole and order.stop == TRAILING:
            order.account.position(order.category, order.symbol, order.position_idx).trailing_stop = ZERO

    def show_level(self, order: Order, price: Decimal) -> None:
        """Let a position show the level of an order for all of it; other orders show nowhere."""
        position = order.account.position(order.category, order.symbol, order.position_idx)
        if order.whole and order.stop == TAKE_PROFIT:
            position.take_profit = price
        elif order.whole and order.stop == STOP_LOSS:
            position.stop_loss = price

    def look(self, prices: dict[str, Decimal]) -> None:
        """Trigger what waits for these prices (by source: LastPrice, MarkPrice, IndexPrice)."""
        for order in list(self.waiting.values()):
            price = prices.get(order.trigger_by)
            if price is None or order.order_id not in self.waiting:
                continue
            if order.trail:
                self._follow(order, price)
            if not order.trigger_price:
                continue
            rises = order.trigger_direction == 1
            if price >= order.trigger_price if rises else price <= order.trigger_price:
                self._fire(order)

    def _follow(self, order: Order, price: Decimal) -> None:
        """Move the trigger of a trailing stop after the best price since it is active."""
        if order.active_price:
            reached = price <= order.active_price if order.buys else price >= order.active_price
            if not reached:
                return
            order.active_price = ZERO
        wanted = price + order.trail if order.buys else price - order.trail
        if not order.trigger_price:
            order.trigger_price = wanted
        else:
            better = min if order.buys else max
            order.trigger_price = better(order.trigger_price, wanted)

    def _fire(self, order: Order) -> None:
        self.waiting.pop(order.order_id)
        if order.sibling is not None and order.sibling.order_id in self.waiting:
            self.cancel(order.sibling, "CancelByOCO")
        order.sibling = None
        if order.whole or order.reduce_only:
            position = order.account.position(order.category, order.symbol, order.position_idx)
            closable = position.closable(order.buys)
            if not closable:
                self.cancel(order, "CancelByTpSlTsClear")
                return
            order.qty = order.left = closable if order.whole else min(order.qty, closable)
        self._forget_level(order)
        order.status = "Triggered"
        self._ledger.report(order)
        order.status = "New"
        del order.account.live[order.order_id]  # it is not to count against itself
        try:
            self._wallets.check(order)
        except RefusedError:
            order.status, order.left, order.reject_reason = "Rejected", ZERO, "EC_Others"
            self._ledger.report(order)
            return
        self._submit(order)

    def of_position(self, account: Account, idx: int, stop: str = "") -> list[Order]:
        """Return what waits to close a position, of one kind or of all."""
        return [
            one
            for one in self.waiting.values()
            if one.account is account
            and one.position_idx == idx
            and one.stop in ((stop,) if stop else OF_POSITIONS)
        ]

    def protect(
        self,
        account: Account,
        idx: int,
        stop: str,
        price: Decimal,
        trigger_by: str,
        *,
        now_ms: int,
        qty: Decimal = ZERO,
        limit_price: Decimal = ZERO,
        trail: Decimal = ZERO,
        active_price: Decimal = ZERO,
        parent: Order | None = None,
    ) -> Order | None:
        """Add what closes a position at a price: all of it where `qty` is 0, in place of an earlier one.

        Returns the order; None where there is no position.
        """
        market = self.market
        position = account.position(market.category, market.symbol, idx)
        if not position.size:
            return None
        whole = not qty
        if whole:
            for earlier in self.of_position(account, idx, stop):
                self.cancel(earlier, "CancelByTpSlTsClear")
        is_long = position.size > 0
        rises = is_long if stop in (TAKE_PROFIT, "PartialTakeProfit") else not is_long
        order = Order(
            account,
            order_id=self._ledger.new_id(market.category),
            link_id="",
            category=market.category,
            symbol=market.symbol,
            side="Sell" if is_long else "Buy",
            kind="Limit" if limit_price else "Market",
            qty=qty or abs(position.size),
            price=limit_price,
            time_in_force="GTC" if limit_price else "IOC",
            position_idx=idx,
            reduce_only=True,
            close_on_trigger=True,
            trigger_price=price,
            trigger_direction=1 if rises else 2,
            trigger_by=trigger_by,
            tpsl_mode="Full" if whole else "Partial",
            stop=stop,
            create_type=CREATE_TYPES[stop],
            whole=whole,
            trail=trail,
            active_price=active_price,
            parent_link_id=parent.link_id if parent is not None else "",
            last_on_create=market.quotes.last(),
            created_ms=now_ms,
        )
        order.left = order.qty
        self.show_level(order, price)
        if stop == TRAILING:
            position.trailing_stop = trail
        self.wait(order)
        return order

    def after_fill(self, order: Order, now_ms: int) -> None:
        """Let a fill have its effect on what protects the position: attach to it, or clear it when flat."""
        if order.category == "spot":
            self._protect_coins(order, now_ms)
            return
        if order.category not in CONTRACTS:
            return
        account, idx = order.account, order.position_idx
        position = account.position(order.category, order.symbol, idx)
        if not position.size:
            for one in self.of_position(account, idx):
                self.cancel(one, "CancelByTpSlTsClear")
            return
        if order.reduce_only or (position.size > 0) != order.buys:
            return
        wanted = (
            (TAKE_PROFIT, order.take_profit, order.tp_trigger_by, order.tp_limit_price),
            (STOP_LOSS, order.stop_loss, order.sl_trigger_by, order.sl_limit_price),
        )
        if order.tpsl_mode != "Partial":
            for stop, price, trigger_by, _ in wanted:
                if (
                    price
                    and getattr(position, "take_profit" if stop == TAKE_PROFIT else "stop_loss") != price
                ):
                    self.protect(account, idx, stop, price, trigger_by, now_ms=now_ms, parent=order)
        elif not order.is_live:
            made = [
                self.protect(
                    account, idx, f"Partial{stop}", price, trigger_by,
                    now_ms=now_ms, qty=order.filled, limit_price=limit, parent=order,
                )
                for stop, price, trigger_by, limit in wanted
                if price
            ]  # fmt: skip
            if len(made) == 2 and made[0] is not None and made[1] is not None:
                made[0].sibling, made[1].sibling = made[1], made[0]

    def _protect_coins(self, order: Order, now_ms: int) -> None:
        """Let a spot order that is done be followed by the opposite orders that came with it."""
        step = self.market.rules.step
        qty = (order.filled - order.fees.get(self.market.base, ZERO)) // step * step
        if order.is_live or not qty:
            return
        made: list[Order] = []
        for price, limit, rises in (
            (order.take_profit, order.tp_limit_price, order.buys),
            (order.stop_loss, order.sl_limit_price, not order.buys),
        ):
            if price:
                made.append(self._coin_stop(order, qty, price, limit, 1 if rises else 2, now_ms))
        if len(made) == 2:
            made[0].sibling, made[1].sibling = made[1], made[0]
        for one in made:
            self.wait(one)

    def _coin_stop(
        self, order: Order, qty: Decimal, price: Decimal, limit: Decimal, direction: int, now_ms: int
    ) -> Order:
        return Order(
            order.account,
            order_id=self._ledger.new_id("spot"),
            link_id="",
            category="spot",
            symbol=order.symbol,
            side="Sell" if order.buys else "Buy",
            kind="Limit" if limit else "Market",
            qty=qty,
            left=qty,
            price=limit,
            time_in_force="GTC" if limit else "IOC",
            market_unit="baseCoin",
            trigger_price=price,
            trigger_direction=direction,
            trigger_by="LastPrice",
            order_filter="tpslOrder",
            stop="tpslOrder",
            parent_link_id=order.link_id,
            last_on_create=self.market.quotes.last(),
            created_ms=now_ms,
        )
