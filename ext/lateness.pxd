from libc.stdint cimport int64_t, uint64_t

cdef enum:
    LATENESS_BUCKETS = 24  # powers of two: below 1,024 ns, below 2,048 ns, ..., the last: 4.3 s and more


cdef class LegCounts:
    cdef:
        readonly int leg
        uint64_t wins            # messages (trades) that this leg brought first
        uint64_t late            # those that another leg had brought before
        uint64_t late_ns_sum
        int64_t late_ns_max
        uint64_t mismatches      # contents that differed from the other leg's
        uint64_t held            # messages that waited for the book to come up to them
        uint64_t unfollowed      # messages of a topic that follows another leg
        uint64_t[LATENESS_BUCKETS] _late_histogram

    cdef void was_late(self, int64_t lateness_ns) noexcept
    cdef dict as_dict(self)
