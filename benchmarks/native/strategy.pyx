"""A strategy in Cython: its listener and its loop over recorded frames run without a Python call."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from ext.book cimport OrderBook
from ext.dispatch cimport Dispatcher
from ext.listener cimport Listener


cdef class BestPrices(Listener):
    """Reads the best prices of each book change: mantissas, at the book's price scale."""

    cdef:
        readonly int64_t bid
        readonly int64_t ask
        readonly int64_t changes

    cpdef object on_book(self, OrderBook book):
        self.bid = book._bids.keys[book._bids.end - 1]
        self.ask = -book._asks.keys[book._asks.end - 1]
        self.changes += 1


def feed_all(Dispatcher dispatcher, list frames, int64_t recv_ns):
    """Feed every frame (bytes objects) in order."""
    cdef bytes frame
    for frame in frames:
        dispatcher.feed_raw(PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), recv_ns, 0, 0)
