"""The exchange without its doors: orders are created, amended and cancelled, and the markets move."""

import heapq
import itertools
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from simulator.exchange.accounts import Account, Accounts
from simulator.exchange.decimals import number
from simulator.exchange.errors import PARAMETER, RefusedError
from simulator.exchange.journal import Journal
from simulator.exchange.ledger import Ledger
from simulator.exchange.markets import Market
from simulator.exchange.matching import Book, Trade
from simulator.exchange.orders import Order
from simulator.exchange.outbox import Outbox, Publish
from simulator.exchange.positions import Position
from simulator.exchange.requests import (
    CONTRACTS,
    FILTERS,
    POSITIONED,
    check_band,
    check_qty,
    one_of,
    parse,
    price_of,
)
from simulator.exchange.triggers import Triggers
from simulator.exchange.wallet import Wallets

FindMarket = Callable[[str, str], Market | None]

ACTIVE_MAX = {"linear": 500, "inverse": 500, "spot": 500, "option": 50, "spread": 50}
CONDITIONAL_MAX = {"linear": 10, "inverse": 10, "spot": 30}
CATEGORIES = ("linear", "inverse", "spot", "option")
CANCEL_ALL_MAX = 500


class Engine:
    """Accounts, markets and what happens between them. Runs on one thread; `now_ms` tells the time.

    `find` returns a trading market by category and symbol, `publish` sends rows of the private streams,
    `watch` is told of a market at its first order: from then on `moved` is to be called.
    """

    def __init__(
        self,
        find: FindMarket,
        publish: Publish,
        watch: Callable[[Market], None],
        journal: Journal,
        now_ms: Callable[[], int],
        seed: int = 1,
    ) -> None:
        self._watch = watch
        self.accounts = Accounts()
        self.wallets = Wallets(find)
        self.journal = journal
        self.now_ms = now_ms
        self.outbox = Outbox(publish, self.position_row, self.wallets.row)
        self.ledger = Ledger(self.outbox, journal, now_ms, seed)
        self.books: dict[tuple[str, str], tuple[Book, Triggers]] = {}
        self._find = find
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def position_row(self, account: Account, position: Position) -> dict[str, Any]:
        """Return a position as its topic shows it."""
        mark = self.wallets.market(position.category, position.symbol).quotes.mark()
        leverage = account.leverage(position.category, position.symbol)
        return position.row(mark, leverage, streamed=True)

    def market(self, category: Any, symbol: Any) -> Market:
        """Return a trading market, or raise RefusedError."""
        if category not in (*CATEGORIES, "spread"):
            raise RefusedError(PARAMETER, f"params error: category invalid {category!r}")
        found = self._find(category, symbol) if isinstance(symbol, str) else None
        if found is None:
            if category == "spot":
                raise RefusedError(170121, "Invalid symbol.")
            raise RefusedError(PARAMETER, f"params error: symbol invalid {symbol}")
        return found

    def book(self, market: Market) -> tuple[Book, Triggers]:
        """Return the book and the waiting orders of a market, made at their first use."""
        key = (market.category, market.symbol)
        if key not in self.books:
            book = Book(market, self.ledger, self._filled)
            self._watch(market)
            self.books[key] = book, Triggers(market, self.ledger, self.wallets, book.submit)
        return self.books[key]

    def _filled(self, order: Order) -> None:
        market = self.wallets.market(order.category, order.symbol)
        book, triggers = self.book(market)
        triggers.after_fill(order, self.now_ms())
        if order.category not in POSITIONED:
            return
        position = order.account.position(order.category, order.symbol, order.position_idx)
        for one in book.resting(asks=True) + book.resting(asks=False):
            is_of_it = one.account is order.account and one.position_idx == position.idx
            if is_of_it and one.reduce_only and not position.closable(one.buys):
                book.cancel(one, "CancelByReduceOnly")

    def later(self, due_ms: int, act: Callable[[], None]) -> None:
        """Do something at a moment."""
        heapq.heappush(self._later, (due_ms, next(self._numbers), act))

    def next_ms(self) -> int | None:
        """Return when something that was put off is due."""
        return self._later[0][0] if self._later else None

    def tick(self) -> None:
        """Do what is due."""
        now_ms = self.now_ms()
        while self._later and self._later[0][0] <= now_ms:
            heapq.heappop(self._later)[2]()
        self.outbox.send()

    def accept(self, account: Account, category: Any, body: dict[str, Any]) -> Order:
        """Check a create request and give the order its id; it is in no book yet. Raises RefusedError."""
        market = self.market(category, body.get("symbol"))
        order = parse(account, market, body)
        if order.link_id and (self._space(category), order.link_id) in account.links:
            if category == "spot":
                raise RefusedError(170141, "Duplicate clientOrderId")
            raise RefusedError(110072, "OrderLinkedID is duplicate")
        self._check_count(order)
        if order.reduce_only:
            self._hold_to_position(order)
        if not order.trigger_price or order.order_filter == "tpslOrder":
            self.wallets.check(order)
        order.order_id = self.ledger.new_id(category)
        order.created_ms = self.now_ms()
        order.last_on_create = market.quotes.last()
        if order.link_id:
            account.links[self._space(category), order.link_id] = order
        return order

    def _space(self, category: str) -> str:
        """Return where an orderLinkId is unique."""
        return category if category in ("spot", "spread", "option") else "contract"

    def _check_count(self, order: Order) -> None:
        same = [
            one
            for one in order.account.live.values()
            if (one.category, one.symbol) == (order.category, order.symbol)
            and (one.status == "Untriggered") == bool(order.trigger_price)
        ]
        highest = CONDITIONAL_MAX if order.trigger_price else ACTIVE_MAX
        if len(same) < highest.get(order.category, ACTIVE_MAX["linear"]):
            return
        if order.category == "spot":
            raise RefusedError(170810, "Exceeded the maximum number of orders.")
        if order.trigger_price:
            raise RefusedError(110009, "The number of stop orders exceeds the maximum allowable limit.")
        raise RefusedError(110020, f"You can't have more than {ACTIVE_MAX[order.category]} active orders.")

    def _hold_to_position(self, order: Order) -> None:
        position = order.account.position(order.category, order.symbol, order.position_idx)
        closable = position.closable(order.buys)
        if order.trigger_price:
            return
        if not closable:
            raise RefusedError(110017, "current position is zero, cannot fix reduce-only order qty")
        order.qty = order.left = min(order.qty, closable)

    def place(self, order: Order) -> None:
        """Put an accepted order to work; the streams hear of it at the next `outbox.send`."""
        order.account.orders[order.order_id] = order
        book, triggers = self.book(self.wallets.market(order.category, order.symbol))
        if order.trigger_price:
            triggers.wait(order)
        else:
            book.submit(order)

    def order(self, account: Account, category: Any, body: dict[str, Any]) -> Order:
        """Return the order that a request names by orderId or orderLinkId. Raises RefusedError."""
        market = self.market(category, body.get("symbol"))
        order_id, link_id = body.get("orderId"), body.get("orderLinkId")
        if order_id:
            found = account.orders.get(str(order_id))
        elif link_id:
            found = account.links.get((self._space(category), str(link_id)))
        else:
            raise RefusedError(PARAMETER, "params error: orderId or orderLinkId is required")
        if found is None or found.order_id not in account.orders or found.symbol != market.symbol:
            raise self.not_there(category)
        return found

    def not_there(self, category: str) -> RefusedError:
        """Return the refusal of an order that does not exist or is final."""
        if category == "spot":
            return RefusedError(170213, "Order does not exist.")
        return RefusedError(110001, "order not exists or too late to cancel")

    def cancel(self, order: Order, cancel: str = "CancelByUser") -> None:
        """Cancel a live order, or raise RefusedError."""
        if not order.is_live:
            raise self.not_there(order.category)
        book, triggers = self.book(self.wallets.market(order.category, order.symbol))
        if order.status == "Untriggered":
            triggers.cancel(order, cancel)
        else:
            book.cancel(order, cancel)

    def cancel_all(self, account: Account, category: Any, body: dict[str, Any]) -> list[Order]:
        """Cancel what a request means, oldest first; return the orders. Raises RefusedError."""
        if category not in CATEGORIES:
            raise RefusedError(PARAMETER, f"params error: category invalid {category!r}")
        symbol, base, settle = (body.get(name) for name in ("symbol", "baseCoin", "settleCoin"))
        if category in CONTRACTS and not (symbol or base or settle):
            raise RefusedError(PARAMETER, "params error: symbol, baseCoin or settleCoin is required")
        if symbol:
            self.market(category, symbol)
        wanted = one_of(body, "orderFilter", (*FILTERS, ""), "")
        found = []
        for order in list(account.live.values())[:CANCEL_ALL_MAX]:
            market = self.wallets.market(order.category, order.symbol)
            of_it = order.symbol == symbol if symbol else (base in (None, "", market.base))
            of_coin = symbol or base or settle in (None, "", market.settle)
            if order.category == category and of_it and of_coin and self._is_of(order, wanted, body):
                found.append(order)
        for order in found:
            if order.is_live:
                self.cancel(order)
        return found

    def cancel_product(self, account: Account, product: str) -> None:
        """Cancel all orders of OPTIONS, DERIVATIVES or SPOT, as disconnect-cancel-all does."""
        categories = {"DERIVATIVES": CONTRACTS, "SPOT": ("spot",)}.get(product, ("option",))
        for order in list(account.live.values()):
            if order.category in categories and order.is_live:
                self.cancel(order, "CancelByDCP")

    def _is_of(self, order: Order, wanted: str, body: dict[str, Any]) -> bool:
        if body.get("stopOrderType") == "Stop" and order.stop != "Stop":
            return False
        if order.category == "spot":
            return order.order_filter == (wanted or "Order")
        return not wanted or (wanted == "StopOrder") == (order.status == "Untriggered")

    def amend(self, order: Order, body: dict[str, Any]) -> None:
        """Change a live order, or raise RefusedError and change nothing."""
        if not order.is_live:
            raise self.not_there(order.category)
        market = self.wallets.market(order.category, order.symbol)
        book, triggers = self.book(market)
        old = (order.qty, order.price, order.trigger_price, order.take_profit, order.stop_loss)
        qty = number(body["qty"], "qty") if body.get("qty") else order.qty
        price = price_of(body, "price", market) or order.price
        trigger = price_of(body, "triggerPrice", market) or order.trigger_price
        profit = price_of(body, "takeProfit", market) if body.get("takeProfit") else order.take_profit
        loss = price_of(body, "stopLoss", market) if body.get("stopLoss") else order.stop_loss
        if (qty, price, trigger, profit, loss) == old:
            raise RefusedError(
                PARAMETER, "The order remains unchanged as the parameters entered match the existing ones."
            )
        if qty <= order.filled:
            raise RefusedError(
                170313 if order.category == "spot" else 110064, "qty is not above what has filled"
            )
        left = order.left
        book.remove(order)
        order.qty, order.price, order.trigger_price, order.take_profit, order.stop_loss = (
            qty, price, trigger, profit, loss,
        )  # fmt: skip
        order.left = qty - order.filled
        order.account.live.pop(order.order_id)
        try:
            check_qty(order, market)
            check_band(order, market)
            if order.status != "Untriggered":
                self.wallets.check(order)
        except RefusedError:
            order.qty, order.price, order.trigger_price, order.take_profit, order.stop_loss = old
            order.left = left
            order.account.live[order.order_id] = order
            if order.is_open:
                book.restore(order)
            raise
        order.account.live[order.order_id] = order
        if order.status == "Untriggered":
            triggers.show_level(order, order.trigger_price)
            self.ledger.report(order)
        elif order.price == old[1] and qty <= old[0]:
            book.restore(order)
            self.ledger.report(order)
        else:
            book.submit(order)

    def moved(self, market: Market, trades: Iterable[Trade]) -> None:
        """A market has moved: others traded, and its levels and prices are new."""
        if (market.category, market.symbol) not in self.books:
            return
        book, triggers = self.book(market)
        book.traded(trades)
        book.moved()
        if triggers.waiting:
            quotes = market.quotes
            triggers.look(
                {"LastPrice": quotes.last(), "MarkPrice": quotes.mark(), "IndexPrice": quotes.index()}
            )
        self.outbox.send()

    def printed(self, market: Market, price: Decimal, qty: Decimal, buys: bool) -> None:
        """Let others trade once at a price, which is last, mark and index price for that moment."""
        book, triggers = self.book(market)
        book.traded([(price, qty, buys)])
        triggers.look({"LastPrice": price, "MarkPrice": price, "IndexPrice": price})
        self.outbox.send()

    def fund(self) -> None:
        """Let every position of a perpetual pay or receive its funding."""
        for account in self.accounts.by_uid.values():
            for position in account.positions.values():
                if position.size and position.category in CONTRACTS:
                    market = self.wallets.market(position.category, position.symbol)
                    if not market.instrument.delivery_ms():
                        self.ledger.fund(account, position, market)
        self.outbox.send()
