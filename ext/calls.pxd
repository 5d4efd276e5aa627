from libc.stdint cimport uint64_t

from ext.book cimport OrderBook
from ext.listener cimport Event, Gap, Item, Listener, Trade


cdef class Calls:
    cdef:
        Listener _listener
        set _logged
        bint _takes_books
        bint takes_bbos
        uint64_t failures

    cdef int book(self, OrderBook book) except -1
    cdef int bbo(self, OrderBook book) except -1
    cdef int trade(self, Trade trade) except -1
    cdef int item(self, Item item) except -1
    cdef int gap(self, Gap gap) except -1
    cdef int event(self, Event event) except -1
    cdef int _failed(self, str callback, object error) except -1
