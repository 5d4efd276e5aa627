"""What `tick_to_order` measures, in Cython: a strategy that answers each book with an order, and a bare echo."""

from libc.stdint cimport int64_t
from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from ext.book cimport OrderBook
from ext.listener cimport Listener
from ext.ticket cimport Ticket


cdef class Quoter(Listener):
    """Buys at the best bid of each book."""

    cdef:
        Ticket _ticket
        int64_t _qty
        readonly int64_t refused

    def __init__(self, Ticket ticket not None, int64_t qty):
        self._ticket = ticket
        self._qty = qty

    cpdef object on_book(self, OrderBook book):
        if self._ticket.limits.book is not book:
            self._ticket.limits.follow(book)
        if self._ticket.send(self._qty, book._bids.keys[book._bids.end - 1]) < 0:
            self.refused += 1


cdef class Echo(WSListener):
    """Sends the same bytes for each frame, over another connection."""

    cdef:
        WSTransport _orders
        bytes _reply

    def __init__(self, WSTransport orders not None, bytes reply not None):
        self._orders = orders
        self._reply = reply

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        self._orders.send(WSMsgType.TEXT, self._reply)
