"""The book of the accounts' orders in one market, and how an order meets it and the generated levels."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from sortedcontainers import SortedKeyList

from simulator.exchange.decimals import ZERO
from simulator.exchange.ledger import Ledger
from simulator.exchange.markets import Market
from simulator.exchange.orders import UNKNOWN, Order
from simulator.exchange.requests import in_quote_coin

POST_ONLY = "EC_PostOnlyWillTakeLiquidity"
NOTHING_TO_FILL = "EC_NoImmediateQtyToFill"
NOT_ENOUGH = "EC_NoEnoughQtyToFill"

Trade = tuple[Decimal, Decimal, bool]
"""Price, quantity, whether the taker buys."""


class Book:
    """Price, then time. `filled` is called after the fills of an order, for their effect on positions."""

    def __init__(self, market: Market, ledger: Ledger, filled: Callable[[Order], None]) -> None:
        self.market = market
        self._ledger = ledger
        self._filled = filled
        self._bids: SortedKeyList = SortedKeyList(key=lambda order: (-order.price, order.place))
        self._asks: SortedKeyList = SortedKeyList(key=lambda order: (order.price, order.place))
        self._places = 0

    def _side(self, asks: bool) -> SortedKeyList:
        return self._asks if asks else self._bids

    def resting(self, asks: bool) -> list[Order]:
        """Return the orders of a side, best first."""
        return list(self._side(asks))

    def remove(self, order: Order) -> None:
        """Take an order out of the book; no error where it is not in it."""
        self._side(not order.buys).discard(order)

    def requeue(self, order: Order) -> None:
        """Give an order its new place after those of its price."""
        self._places += 1
        order.place = self._places

    def restore(self, order: Order) -> None:
        """Put an order back at the place it had."""
        self._side(not order.buys).add(order)

    def submit(self, order: Order) -> None:
        """Match an order, let rest what may rest, end what may not. Reports it once at the end."""
        bound = self._bound(order)
        if order.time_in_force in ("PostOnly", "RPI") and self._crosses(order, bound):
            self.end(order, "Cancelled", reason=POST_ONLY)
            return
        if order.time_in_force == "FOK" and self._takeable(order, bound) < order.left:
            self.end(order, "Cancelled", reason=NOT_ENOUGH)
            return
        before = order.filled
        self._sweep(order, bound)
        if order.is_live and order.left > 0:
            if order.kind == "Market" or order.time_in_force in ("IOC", "FOK"):
                self.end(order, self._ended(order), reason=NOTHING_TO_FILL)
            else:
                order.status = "PartiallyFilled" if order.filled else "New"
                self.requeue(order)
                self._side(not order.buys).add(order)
                self._ledger.report(order)
        elif order.is_live:
            order.status = "Filled"
            self._ledger.report(order)
        if order.filled > before:
            self._filled(order)

    def _bound(self, order: Order) -> Decimal:
        if order.kind == "Limit":
            return order.price
        highest, lowest = self.market.quotes.band()
        return highest if order.buys else lowest

    def _ended(self, order: Order) -> str:
        return "PartiallyFilledCanceled" if order.category == "spot" and order.filled else "Cancelled"

    def end(
        self, order: Order, status: str, *, cancel: str = UNKNOWN, reason: str | None = None, smp: str = ""
    ) -> None:
        """End an order that has not filled wholly."""
        self.remove(order)
        order.status, order.cancel_type, order.left = status, cancel, ZERO
        order.reject_reason = reason or order.reject_reason
        order.smp_order_id = smp
        self._ledger.report(order)

    def cancel(self, order: Order, cancel: str = "CancelByUser") -> None:
        """Cancel an order that rests."""
        self.end(order, self._ended(order), cancel=cancel, reason="EC_PerCancelRequest")

    def _best_price(self, order: Order) -> Decimal | None:
        found = [order.price for order in self._side(order.buys)[:1]]
        found += [price for price, _ in self.market.levels(order.buys)[:1]]
        return (min(found) if order.buys else max(found)) if found else None

    def _crosses(self, order: Order, bound: Decimal) -> bool:
        best = self._best_price(order)
        return best is not None and (best <= bound if order.buys else best >= bound)

    def _takeable(self, order: Order, bound: Decimal) -> Decimal:
        offers = [(one.price, one.left) for one in self._side(order.buys)] + self.market.levels(order.buys)
        return sum((qty for price, qty in offers if (price <= bound if order.buys else price >= bound)), ZERO)

    def _sweep(self, order: Order, bound: Decimal) -> None:
        """Take from the other side, best price first; at one price the accounts' orders come first."""
        levels = self.market.levels(order.buys)
        while order.is_live and order.left > 0:
            makers = self._side(order.buys)
            maker: Order | None = makers[0] if makers else None
            level = levels[0] if levels else None
            if maker is not None and (
                level is None or not self._is_better(order.buys, level[0], maker.price)
            ):
                price, there = maker.price, maker.left
            elif level is not None:
                maker, (price, there) = None, level
            else:
                return
            if price > bound if order.buys else price < bound:
                return
            qty = min(there, self._wanted(order, price))
            if not qty:
                order.left = ZERO
                return
            if maker is not None:
                if self._self_match(order, maker):
                    continue
                qty = min(qty, self._held_to_position(maker))
                if not qty:
                    self.cancel(maker, "CancelByReduceOnly")
                    continue
            qty = min(qty, self._held_to_position(order))
            if not qty:
                self.end(order, self._ended(order), cancel="CancelByReduceOnly")
                return
            self._ledger.fill(order, self.market, qty, price, is_maker=False)
            if maker is not None:
                self._fill_maker(maker, qty)
            else:
                self.market.take(order.buys, price, qty)
                levels[0] = (price, there - qty)
                if qty == there:
                    levels.pop(0)

    def _is_better(self, asks: bool, price: Decimal, than: Decimal) -> bool:
        return price < than if asks else price > than

    def _wanted(self, order: Order, price: Decimal) -> Decimal:
        if not in_quote_coin(order):
            return order.left
        step = self.market.rules.step
        return order.left / price // step * step

    def _held_to_position(self, order: Order) -> Decimal:
        """Return the most that an order may fill now: a reduce-only one no more than there is to close."""
        if not order.reduce_only:
            return order.left
        position = order.account.position(order.category, order.symbol, order.position_idx)
        return min(order.left, position.closable(order.buys))

    def _self_match(self, taker: Order, maker: Order) -> bool:
        """Prevent a fill between orders of one account as the incoming order says; return whether it was."""
        if taker.account is not maker.account or taker.smp == "None":
            return False
        if taker.smp in ("CancelMaker", "CancelBoth"):
            self.end(
                maker, self._ended(maker), cancel="CancelBySmp", reason="EC_BySelfMatch", smp=taker.order_id
            )
        if taker.smp in ("CancelTaker", "CancelBoth"):
            self.end(
                taker, self._ended(taker), cancel="CancelBySmp", reason="EC_BySelfMatch", smp=maker.order_id
            )
        return True

    def _fill_maker(self, maker: Order, qty: Decimal) -> None:
        self._ledger.fill(maker, self.market, qty, maker.price, is_maker=True)
        maker.status = "PartiallyFilled" if maker.left > 0 else "Filled"
        if not maker.left:
            self.remove(maker)
        self._ledger.report(maker)
        self._filled(maker)

    def fill(self, order: Order) -> None:
        """Fill the rest of an order that rests, at its price."""
        self._fill_maker(order, order.left)

    def traded(self, trades: Iterable[Trade]) -> None:
        """Others traded at a price: orders that rest there or at a better one fill, up to the quantity."""
        for price, qty, buys in trades:
            self._fill_resting(buys, price, qty)

    def moved(self) -> None:
        """The generated levels have moved: those that crossed resting orders fill them at their own price."""
        self.market.moved()
        for asks in (True, False):
            if self._is_touched(asks):
                for price, qty in self.market.levels(not asks):
                    taken = self._fill_resting(asks, price, qty)
                    if not taken:
                        break
                    self.market.take(not asks, price, taken)

    def _is_touched(self, asks: bool) -> bool:
        """Return whether the generated levels of the other side reach the best resting order of a side."""
        side = self._side(asks)
        if not side:
            return False
        best = self.market.quotes.best(not asks)
        return bool(best >= side[0].price if asks else best <= side[0].price)

    def _fill_resting(self, asks: bool, price: Decimal, qty: Decimal) -> Decimal:
        """Fill the resting orders of a side that stand at a price or better; return how much."""
        left = qty
        while left > 0:
            side = self._side(asks)
            maker: Order | None = side[0] if side else None
            if maker is None or (maker.price > price if asks else maker.price < price):
                break
            fill = min(left, self._held_to_position(maker))
            if not fill:
                self.cancel(maker, "CancelByReduceOnly")
                continue
            self._fill_maker(maker, fill)
            left -= fill
        return qty - left
