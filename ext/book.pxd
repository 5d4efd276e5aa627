from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cpdef enum BookState:
    EMPTY = 0
    LIVE = 1
    STALE = 2


cdef struct Ladder:
    # One side, sorted so that the best price is the last entry. Keys are price mantissas for bids and
    # negated price mantissas for asks: both sides then ascend towards their best.
    int64_t* keys
    int64_t* sizes
    Py_ssize_t start
    Py_ssize_t end
    Py_ssize_t capacity


cdef struct Levels:
    # One side of a decoded message, in the order sent. A number is mantissa / 10**scale; scales stand per number
    # until `BookChange.normalise` has brought all of them to one.
    int64_t* prices
    int64_t* sizes
    uint8_t* price_scales
    uint8_t* size_scales
    Py_ssize_t count
    Py_ssize_t capacity


cdef class BookChange:
    cdef:
        Levels bids
        Levels asks
        readonly bint is_snapshot
        readonly int64_t update_id
        readonly int64_t seq
        readonly int64_t ts_ms
        readonly int64_t cts_ms
        # The scale common to all prices (sizes) after `normalise`; before it the largest scale seen.
        readonly int price_scale
        readonly int size_scale

    cdef void clear(self) noexcept
    cdef int reserve(self, Levels* side, Py_ssize_t count) except -1
    cdef int normalise(self, int price_scale, int size_scale) noexcept nogil


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
        Ladder _bids
        Ladder _asks

    cdef int apply(self, BookChange change) except -1
    cdef int widen(self, int price_scale, int size_scale) except -1
    cdef void set_state(self, BookState state) noexcept
    cdef int violated(self, int allowed) noexcept nogil
    cpdef uint32_t checksum(self, Py_ssize_t depth=*)
