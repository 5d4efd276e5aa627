"""Several listeners of one feed."""

from collections.abc import Callable
from typing import Any

from engine.errors import ConfigError
from ext.book import OrderBook
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade

__all__ = ["Fanout"]

Callbacks = tuple[Callable[[Any], object], ...]


class Fanout(Listener):
    """A Listener that calls several, in the order given; each as if it were alone.

    One that raises keeps no other from being called. `add` and `remove` work at any time, from callbacks too:
    they count from the next call on. Listeners cost nothing where they do not override a callback::

        feed = engine.Feed(engine.Fanout(strategy, monitor))
    """

    def __init__(self, *listeners: Listener) -> None:
        self.listeners: tuple[Listener, ...] = ()
        self._bind(listeners)

    def add(self, listener: Listener) -> None:
        """Call this one too, after the others."""
        self._bind((*self.listeners, listener))

    def remove(self, listener: Listener) -> None:
        """Do not call this one any more; one that is not there is not an error."""
        self._bind(tuple(one for one in self.listeners if one is not listener))

    def _bind(self, listeners: tuple[Listener, ...]) -> None:
        for listener in listeners:
            if not isinstance(listener, Listener):
                raise ConfigError("listener", listener, "must be an engine.Listener", "derive from it")
        self.listeners = listeners
        self._on_book = self._overriding("on_book")
        self._on_bbo = self._overriding("on_bbo")
        self._on_trade = self._overriding("on_trade")
        self._on_ticker = self._overriding("on_ticker")
        self._on_kline = self._overriding("on_kline")
        self._on_liquidation = self._overriding("on_liquidation")
        self._on_notice = self._overriding("on_notice")
        self._on_gap = self._overriding("on_gap")
        self._on_event = self._overriding("on_event")
        self._on_order = self._overriding("on_order")
        self._on_execution = self._overriding("on_execution")
        self._on_position = self._overriding("on_position")
        self._on_wallet = self._overriding("on_wallet")
        self._on_greeks = self._overriding("on_greeks")

    def _overriding(self, name: str) -> Callbacks:
        return tuple(
            getattr(listener, name)
            for listener in self.listeners
            if getattr(type(listener), name) is not getattr(Listener, name)
        )

    def on_book(self, book: OrderBook) -> None:
        _call(self._on_book, book)

    def on_bbo(self, book: OrderBook) -> None:
        _call(self._on_bbo, book)

    def on_trade(self, trade: Trade) -> None:
        _call(self._on_trade, trade)

    def on_ticker(self, ticker: Ticker) -> None:
        _call(self._on_ticker, ticker)

    def on_kline(self, kline: Kline) -> None:
        _call(self._on_kline, kline)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        _call(self._on_liquidation, liquidation)

    def on_notice(self, notice: Notice) -> None:
        _call(self._on_notice, notice)

    def on_gap(self, gap: Gap) -> None:
        _call(self._on_gap, gap)

    def on_event(self, event: Event) -> None:
        _call(self._on_event, event)

    def on_order(self, event: Any) -> None:
        _call(self._on_order, event)

    def on_execution(self, event: Any) -> None:
        _call(self._on_execution, event)

    def on_position(self, event: Any) -> None:
        _call(self._on_position, event)

    def on_wallet(self, event: Any) -> None:
        _call(self._on_wallet, event)

    def on_greeks(self, event: Any) -> None:
        _call(self._on_greeks, event)


def _call(callbacks: Callbacks, item: object) -> None:
    """Call all; what the first one raised that did is raised afterwards, to be counted and logged."""
    failure: Exception | None = None
    for callback in callbacks:
        try:
            callback(item)
        except Exception as error:  # noqa: BLE001 - one listener's fault must not be another's
            failure = failure or error
    if failure is not None:
        raise failure
