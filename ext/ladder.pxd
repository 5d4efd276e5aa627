from libc.stdint cimport int64_t, uint64_t

from ext.change cimport Levels


cdef struct Ladder:
    # One side, sorted so that the best price is the last entry. Keys are price mantissas for bids and
    # negated price mantissas for asks: both sides then ascend towards their best.
    int64_t* keys
    int64_t* sizes
    Py_ssize_t start
    Py_ssize_t end
    Py_ssize_t capacity


cdef int update_levels(Ladder* ladder, const Levels* levels, int sign, uint64_t* absent) noexcept nogil
cdef int replace_levels(Ladder* ladder, const Levels* levels, int sign) noexcept nogil
cdef bint holds_levels(const Ladder* ladder, const Levels* levels, int sign) noexcept nogil
cdef bint can_widen_ladder(
    const Ladder* ladder, int price_scale, int price_target, int size_scale, int size_target
) noexcept nogil
cdef void widen_ladder(Ladder* ladder, int64_t key_factor, int64_t size_factor) noexcept nogil
cdef void copy_ladder(Ladder* target, const Ladder* source) except *
cdef int write_canonical(
    bytearray text, char side, const Ladder* ladder, int sign, int price_scale, int size_scale, Py_ssize_t depth
) except -1
