"""A Listener in Cython: called through the C vtable, it reads the book's levels without making a Python object.

Build it beside this file with `cythonize -i examples/imbalance.pyx`; examples/imbalance_run.py uses it.
"""

from libc.stdint cimport int64_t

from ext.book cimport OrderBook
from ext.listener cimport Listener


cdef class Imbalance(Listener):
    """Share of the bid side in the size of the best `levels` of both sides, of the book that changed last."""

    cdef:
        readonly double value
        readonly unsigned long long updates
        Py_ssize_t levels

    def __init__(self, Py_ssize_t levels=5):
        self.levels = levels

    cpdef object on_book(self, OrderBook book):
        cdef:
            int64_t bids = 0
            int64_t asks = 0
            Py_ssize_t rank

        # Each side ends with its best level. Sizes are mantissas of one scale, so their ratio needs no division by it.
        for rank in range(1, self.levels + 1):
            if book._bids.end - rank >= book._bids.start:
                bids += book._bids.sizes[book._bids.end - rank]
            if book._asks.end - rank >= book._asks.start:
                asks += book._asks.sizes[book._asks.end - rank]
        self.updates += 1
        if bids + asks > 0:
            self.value = <double>bids / <double>(bids + asks)
