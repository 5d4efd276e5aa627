from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cpdef enum BookState:
    EMPTY = 0
    LIVE = 1
    STALE = 2


cdef enum Fit:
    FIT_SAME = 0      # the change is at the book's scales
    FIT_WIDENED = 1   # the book's scales grew
    FIT_OVERFLOW = 2  # some number would exceed 18 digits; book and change are as before


cdef enum Violation:
    CROSSED = 1
    LOCKED = 2
    TOO_DEEP = 4
    NEGATIVE_PRICE = 8


cdef struct Ladder:
    # One side, sorted so that the best price is the last entry. Keys are price mantissas for bids and
    # negated price mantissas for asks: both sides then ascend towards their best.
    int64_t* keys
    int64_t* sizes
    Py_ssize_t start
    Py_ssize_t end
    Py_ssize_t capacity


cdef struct Levels:
    # One side of a decoded message, in the order sent. The scale arrays are the decimals as spelled; until
    # `BookChange.normalise` has brought all numbers to common scales they are also the mantissas' own.
    int64_t* prices
    int64_t* sizes
    uint8_t* price_scales
    uint8_t* size_scales
    Py_ssize_t count
    Py_ssize_t capacity


cdef class BookChange:
    cdef:
        Levels bid_levels
        Levels ask_levels
        readonly bint is_snapshot
        readonly int64_t update_id
        readonly int64_t seq
        readonly int64_t ts_ms
        readonly int64_t cts_ms
        # The scale common to all prices (sizes) once normalised; before that the largest one spelled.
        readonly int price_scale
        readonly int size_scale
        int price_scale_min
        int size_scale_min
        bint is_normalised

    cdef void clear(self) noexcept
    cdef int reserve(self, Levels* side, Py_ssize_t count) except -1
    cdef inline void note_scales(self, int price_min, int price_max, int size_min, int size_max) noexcept nogil:
        """Levels with these scales were added."""
        self.price_scale = max(self.price_scale, price_max)
        self.size_scale = max(self.size_scale, size_max)
        self.price_scale_min = min(self.price_scale_min, price_min)
        self.size_scale_min = min(self.size_scale_min, size_min)

    cdef int normalise(self, int price_scale, int size_scale) noexcept nogil
    cdef list _side(self, const Levels* side)


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
        int _base_price_scale
        int _base_size_scale

    cdef Fit fit(self, BookChange change) noexcept nogil
    cdef bint _can_widen(self, int price_scale, int size_scale) noexcept nogil
    cdef void _widen(self, int price_scale, int size_scale) noexcept nogil
    cdef int _take(
        self, bint is_snapshot, bids, asks, int64_t update_id, int64_t seq, int64_t ts_ms, int64_t cts_ms
    ) except -1
    cdef list _side(self, const Ladder* ladder, int sign, Py_ssize_t count)
    cdef int apply(self, BookChange change) except -1
    cdef bint contains(self, BookChange change) noexcept nogil
    cdef int violations(self) noexcept nogil
    cpdef uint32_t checksum(self, Py_ssize_t depth=*)
