from libc.stdint cimport int64_t, uint32_t, uint64_t

from ext.change cimport BookChange
from ext.ladder cimport Ladder

cpdef enum BookState:
    EMPTY = 0
    LIVE = 1
    STALE = 2


cdef enum BookKind:
    PLAIN = 0
    RPI = 1        # ordinary sizes of orderbook.rpi; its `rpi` has the others
    RPI_ONLY = 2
    FULL = 3       # the whole depth; `depth` is 0


cdef enum Fit:
    FIT_SAME = 0      # the change is at the book's scales
    FIT_WIDENED = 1   # the book's scales grew
    FIT_OVERFLOW = 2  # some number would exceed 18 digits; book and change are as before


cdef enum Violation:
    CROSSED = 1
    LOCKED = 2
    TOO_DEEP = 4
    NEGATIVE_PRICE = 8


cdef class OrderBook:
    cdef:
        readonly str category
        readonly str symbol
        readonly str topic
        readonly int depth
        readonly BookState state
        readonly int price_scale
        readonly int size_scale
        readonly int64_t update_id
        readonly int64_t seq
        readonly int64_t ts_ms
        readonly int64_t cts_ms
        readonly int64_t recv_ns
        readonly uint64_t position
        readonly int leg
        readonly uint64_t absent_deletes
        # The message that led to the present state; valid during the callback only.
        readonly BookChange change
        readonly OrderBook rpi
        BookKind kind_code
        Ladder _bids
        Ladder _asks
        int _base_price_scale
        int _base_size_scale

    cdef Fit fit(self, BookChange change) noexcept nogil
    cdef bint _can_widen(self, int price_scale, int size_scale) noexcept nogil
    cdef void _widen(self, int price_scale, int size_scale) noexcept nogil
    cdef int check_live(self) except -1
    cdef int copy_into(self, OrderBook twin) except -1
    cdef int _take(
        self, bint is_snapshot, bids, asks, int64_t update_id, int64_t seq, int64_t ts_ms, int64_t cts_ms
    ) except -1
    cdef list _side(self, const Ladder* ladder, int sign, Py_ssize_t count)
    cdef int apply(self, BookChange change) except -1
    cdef bint contains(self, BookChange change) noexcept nogil
    cdef int violations(self) noexcept nogil
    cdef int write_change(self, BookChange target) except -1
    cdef Py_ssize_t trim(self, Py_ssize_t levels_max) noexcept nogil
    cdef list _merged(self, list plain, list rpi, int sign, Py_ssize_t count)
    cpdef uint32_t checksum(self, Py_ssize_t depth=*)


cdef bint have_same_best(OrderBook one, OrderBook other) noexcept nogil
