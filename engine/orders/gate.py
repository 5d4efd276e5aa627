"""Keeps a `Guard` current with feed, account and connections, and asks it before anything is sent."""

import contextlib
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final, Protocol

from engine.bybit.instruments import Instrument
from engine.clock import Clock
from engine.errors import UsageError
from engine.orders.account import Account
from engine.orders.guards import Block, Refused
from engine.orders.limits import Guard, Limits
from engine.orders.order import Intent, Order
from ext.book import BookState, OrderBook
from ext.guard import GuardLimit, RateWindow

__all__ = ["Books", "Gate"]

NS_PER_MS: Final = 1_000_000
FEW: Final = (1, 50, 200, 1000)
DEPTHS: Final = {"linear": FEW, "inverse": FEW, "spot": FEW, "option": (25, 100)}
SAME_PRICES: Final = {"demo": "mainnet"}  # demo trades at mainnet's prices, and has no streams of its own


class Books(Protocol):
    """Where books come from: `engine.Feed`."""

    environment: str

    def book(self, category: str, symbol: str, depth: int | str) -> OrderBook | None:
        """Return a book that is subscribed."""


class Gate:
    """One for a client. ``ahead_ms`` is how far this machine's clock is ahead of the venue's."""

    def __init__(
        self, limits: Limits, account: Account, books: Books | None, environment: str, clock: Clock
    ) -> None:
        self.guard = Guard(limits)
        self._account = account
        self._books = books
        self._clock = clock
        self.instruments: dict[tuple[str, str], Instrument] = {}
        self.rate = RateWindow(min(limits.max_orders_per_s, GuardLimit.ORDERS_PER_S_MAX))
        self.before_look: Callable[[], object] | None = None  # what is not entered yet must not be overlooked
        is_other = books is not None and books.environment not in (environment, SAME_PRICES.get(environment))
        self.guard.block(Block.ENVIRONMENT, is_other)

    def check(self, intent: Intent, ahead_ms: float) -> Intent | Refused:
        """Return the intent as it may be sent, or why it may not."""
        lag_ms = self._refresh(intent.category, intent.symbol, ahead_ms)
        return self.guard.check(intent, self._mono_ms(), lag_ms)

    def check_amend(
        self, order: Order, qty: Decimal | None, price: Decimal | None, ahead_ms: float
    ) -> Intent | Refused:
        """Return what the order would become, or why it may not."""
        lag_ms = self._refresh(order.intent.category, order.intent.symbol, ahead_ms)
        return self.guard.check_amend(order, qty, price, self._mono_ms(), lag_ms)

    def listed(self, instrument: Instrument) -> None:
        """Take a symbol's rules."""
        key = instrument.category, instrument.symbol
        self.guard.listed(instrument)
        self.instruments[key] = instrument
        self.exposed([key])

    def is_listed(self, category: str, symbol: str) -> bool:
        """Whether a symbol's rules are known."""
        return (category, symbol) in self.instruments

    def exposed(self, symbols: Iterable[tuple[str, str]]) -> None:
        """Orders or positions of these symbols changed."""
        self._before_look()
        count = len(self._account.open_orders())
        for category, symbol in symbols:
            if (category, symbol) in self.instruments:
                exposure = self._account.exposure(category, symbol)
                self.guard.exposed(category, symbol, exposure, count)

    def sent(self) -> None:
        """An order went out."""
        now_ns = self._clock.now().mono_ns
        self.guard.sent(now_ns // NS_PER_MS)
        self.rate.note(now_ns)

    def follow(self, category: str, symbol: str) -> None:
        """Have the compiled guard of a symbol look at the book as it is, and at that of now."""
        limits = self.guard.limits_of(category, symbol)
        book = self._book(category, symbol) if self.guard.limits.needs_book else None
        if limits.book is not book:
            limits.follow(book)
        self._refresh(category, symbol, 0.0)

    def _before_look(self) -> None:
        if self.before_look is not None:
            self.before_look()

    def _refresh(self, category: str, symbol: str, ahead_ms: float) -> int:
        """Take the book as it is now; return how late its last message came, in ms."""
        self._before_look()
        book = self._book(category, symbol)
        if book is None or book.state is not BookState.LIVE:
            self.guard.book(category, symbol, 0, 0, is_live=False)
            return 0
        scale = self.guard.limits_of(category, symbol).price_scale - book.price_scale
        bid, ask = book.best_bid, book.best_ask
        self.guard.book(
            category, symbol, _rescaled(bid[0], scale) if bid else 0, _rescaled(ask[0], scale) if ask else 0
        )
        return max(0, round(book.recv_ns / NS_PER_MS - ahead_ms) - book.ts_ms)

    def _book(self, category: str, symbol: str) -> OrderBook | None:
        if self._books is None:
            return None
        for depth in DEPTHS[category]:
            with contextlib.suppress(UsageError):  # of a category without subscriptions
                if (book := self._books.book(category, symbol, depth)) is not None:
                    return book
        return None

    def _mono_ms(self) -> int:
        return self._clock.now().mono_ns // NS_PER_MS


def _rescaled(mantissa: int, scale: int) -> int:
    factor: int = 10 ** abs(scale)
    return mantissa * factor if scale >= 0 else mantissa // factor
