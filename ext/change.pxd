from libc.stdint cimport int64_t, uint8_t


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

    cdef bint is_plain_book(self) noexcept nogil
    cdef int normalise(self, int price_scale, int size_scale) noexcept nogil
    cdef list _side(self, const Levels* side)


cdef int read_levels(BookChange change, Levels* side, object levels) except -1
