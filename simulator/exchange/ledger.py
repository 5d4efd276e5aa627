"""What a fill and a funding payment do to orders, positions and balances."""

from collections.abc import Callable
from decimal import Decimal
from random import Random

from simulator.exchange.accounts import Account
from simulator.exchange.decimals import ZERO, money, text
from simulator.exchange.executions import Execution
from simulator.exchange.journal import Journal
from simulator.exchange.markets import FEES, FUNDING_RATE, Market
from simulator.exchange.orders import Order
from simulator.exchange.outbox import Outbox
from simulator.exchange.positions import Position
from simulator.exchange.requests import POSITIONED, in_quote_coin


class Ledger:
    """Books fills and tells the outbox and the journal. The same seed gives the same ids."""

    def __init__(self, outbox: Outbox, journal: Journal, now_ms: Callable[[], int], seed: int) -> None:
        self._outbox = outbox
        self._journal = journal
        self._now_ms = now_ms
        self._random = Random(f"{seed}:exchange")  # noqa: S311 (ids, not secrets)

    def new_id(self, category: str = "") -> str:
        """Return an id that nothing else has: a UUID, of spot orders digits."""
        number = self._random.getrandbits(128)
        if category == "spot":
            return str(10**18 + number % 10**18)
        digits = f"{number:032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def report(self, order: Order) -> None:
        """An order has changed: its account's stream, the journal and the list of live orders hear of it."""
        order.updated_ms = self._now_ms()
        account = order.account
        if order.is_live:
            account.live[order.order_id] = order
        else:
            account.live.pop(order.order_id, None)
        self._outbox.order(order)
        self._journal.order(order)
        if order.category in POSITIONED:
            found = account.position(order.category, order.symbol, order.position_idx)
            self._outbox.position(account, found)
        self._outbox.wallet(account)

    def fill(self, order: Order, market: Market, qty: Decimal, price: Decimal, is_maker: bool) -> None:
        """Book a fill of an order; the caller reports the order."""
        account, value = order.account, order.value(qty, price)
        fee_rate = FEES[order.category][0 if is_maker else 1]
        fee_coin, fee = self._fee(order, market, qty, value, fee_rate)
        order.filled += qty
        order.filled_value += value
        order.left = order.qty - (order.filled_value if in_quote_coin(order) else order.filled)
        order.fees[fee_coin] = order.fees.get(fee_coin, ZERO) + fee
        closed, pnl = ZERO, ZERO
        if order.category in POSITIONED:
            closed, pnl = self._move(order, market, qty, price, fee)
        elif order.category == "spot":
            sign = 1 if order.buys else -1
            self._add(account, market.base, sign * qty)
            self._add(account, market.quote, -sign * value)
        self._add(account, fee_coin, -fee)
        execution = Execution(
            exec_id=self.new_id(order.category),
            order=order,
            kind="Trade",
            price=price,
            qty=qty,
            value=value,
            fee=fee,
            fee_rate=fee_rate,
            fee_coin=fee_coin,
            is_maker=is_maker,
            left=order.left,
            closed=closed,
            pnl=pnl,
            mark=market.quotes.mark(),
            time_ms=self._now_ms(),
            seq=market.quotes.seq(),
        )
        self._record(execution)

    def _fee(
        self, order: Order, market: Market, qty: Decimal, value: Decimal, rate: Decimal
    ) -> tuple[str, Decimal]:
        """Return the coin and the fee: a spot buyer pays in what he buys."""
        if order.category == "spot" and order.buys:
            return market.base, money(qty * rate)
        return market.quote if order.category == "spot" else market.settle, money(value * rate)

    def _move(
        self, order: Order, market: Market, qty: Decimal, price: Decimal, fee: Decimal
    ) -> tuple[Decimal, Decimal]:
        account = order.account
        position = account.position(order.category, order.symbol, order.position_idx)
        now_ms, entry, was = self._now_ms(), position.entry, position.size
        closed, pnl = position.fill(order.buys, qty, price)
        position.created_ms = position.created_ms or now_ms
        position.updated_ms, position.seq = now_ms, market.quotes.seq()
        if position.size and was * position.size <= 0:
            position.opened_ms, position.realised = now_ms, ZERO
        position.realised += pnl - fee
        position.realised_ever += pnl - fee
        order.closed_pnl += pnl
        self._add(account, market.settle, pnl)
        account.realised[market.settle] = account.realised.get(market.settle, ZERO) + pnl
        if closed:
            account.closed.append(
                {
                    "symbol": order.symbol,
                    "orderId": order.order_id,
                    "side": order.side,
                    "qty": text(order.qty),
                    "orderPrice": text(order.price),
                    "orderType": order.kind,
                    "execType": "Trade",
                    "closedSize": text(closed),
                    "cumEntryValue": text(money(order.value(closed, entry))),
                    "avgEntryPrice": text(entry),
                    "cumExitValue": text(money(order.value(closed, price))),
                    "avgExitPrice": text(price),
                    "closedPnl": text(pnl - fee),
                    "fillCount": "1",
                    "leverage": text(account.leverage(order.category, order.symbol)),
                    "openFee": "0",
                    "closeFee": text(fee),
                    "createdTime": str(now_ms),
                    "updatedTime": str(now_ms),
                    "category": order.category,
                }
            )
        return closed, pnl

    def fund(self, account: Account, position: Position, market: Market) -> None:
        """Let a position pay (long) or receive (short) its funding at the mark price."""
        mark, now_ms = market.quotes.mark(), self._now_ms()
        value = position.value(abs(position.size), mark)
        fee = money(value * FUNDING_RATE) * (1 if position.size > 0 else -1)
        side = "Sell" if position.size > 0 else "Buy"
        order = Order(
            account, self.new_id(), "", position.category, position.symbol, side, "UNKNOWN", ZERO,
            position_idx=position.idx, created_ms=now_ms, updated_ms=now_ms, status="Filled",
        )  # fmt: skip
        self._add(account, market.settle, -fee)
        position.realised -= fee
        position.realised_ever -= fee
        execution = Execution(
            self.new_id(), order, "Funding", mark, abs(position.size), value, fee, FUNDING_RATE,
            market.settle, False, ZERO, ZERO, ZERO, mark, now_ms, market.quotes.seq(),
        )  # fmt: skip
        self._record(execution)
        self._outbox.position(account, position)

    def _record(self, execution: Execution) -> None:
        execution.order.account.executions.append(execution)
        self._outbox.execution(execution)
        self._outbox.wallet(execution.order.account)
        self._journal.fill(execution)

    def _add(self, account: Account, coin: str, amount: Decimal) -> None:
        account.balances[coin] = account.balances.get(coin, ZERO) + amount
