"""The calls of a Listener, isolated: one that raises is counted, logged once per kind, and harms nothing else."""

import logging

from ext.book cimport OrderBook
from ext.listener cimport Event, Gap, Item, Kline, Liquidation, Listener, Notice, Ticker, Trade

cdef object _LOGGER = logging.getLogger("tapehead")
cdef dict _ITEM_CALLBACKS = {
    Ticker: "on_ticker",
    Kline: "on_kline",
    Liquidation: "on_liquidation",
    Notice: "on_notice",
}


cdef class Calls:
    """Makes the calls of one listener. Only exceptions of the class Exception are kept from the caller."""

    def __cinit__(self, Listener listener):
        self._listener = listener
        self._logged = set()
        self._takes_books = _is_overridden(listener, "on_book")
        self.takes_bbos = _is_overridden(listener, "on_bbo")

    cdef int book(self, OrderBook book) except -1:
        if not self._takes_books:
            return 0
        try:
            self._listener.on_book(book)
        except Exception as error:
            self._failed("on_book", error)
        return 0

    cdef int bbo(self, OrderBook book) except -1:
        try:
            self._listener.on_bbo(book)
        except Exception as error:
            self._failed("on_bbo", error)
        return 0

    cdef int trade(self, Trade trade) except -1:
        try:
            self._listener.on_trade(trade)
        except Exception as error:
            self._failed("on_trade", error)
        return 0

    cdef int item(self, Item item) except -1:
        try:
            if isinstance(item, Ticker):
                self._listener.on_ticker(<Ticker>item)
            elif isinstance(item, Kline):
                self._listener.on_kline(<Kline>item)
            elif isinstance(item, Liquidation):
                self._listener.on_liquidation(<Liquidation>item)
            else:
                self._listener.on_notice(<Notice>item)
        except Exception as error:
            self._failed(_ITEM_CALLBACKS[type(item)], error)
        return 0

    cdef int gap(self, Gap gap) except -1:
        try:
            self._listener.on_gap(gap)
        except Exception as error:
            self._failed("on_gap", error)
        return 0

    cdef int event(self, Event event) except -1:
        try:
            self._listener.on_event(event)
        except Exception as error:
            self._failed("on_event", error)
        return 0

    cdef int _failed(self, str callback, object error) except -1:
        self.failures += 1
        kind = (callback, type(error))
        if kind not in self._logged:
            self._logged.add(kind)
            _LOGGER.error(
                "%s of %s raised %s; further ones of this kind are counted only",
                callback,
                type(self._listener).__name__,
                type(error).__name__,
                exc_info=error,
            )
        return 0


cdef bint _is_overridden(Listener listener, str callback) except -1:
    """Whether a callback is the listener's own: to call the empty one of the base for each message costs."""
    own = getattr(listener, callback)
    return getattr(own, "__func__", own) is not getattr(Listener, callback)
