"""What one leg brought first, and what it brought late and by how much, over all topics it shares with others."""

from libc.stdint cimport int64_t, uint64_t


cdef class LegCounts:
    """The counts of one leg."""

    def __init__(self, int leg):
        self.leg = leg

    cdef void was_late(self, int64_t lateness_ns) noexcept:
        """A message came that another leg had brought `lateness_ns` before (wall clock: below 0 counts as 0)."""
        cdef int bucket = 0
        cdef int64_t rest
        lateness_ns = max(lateness_ns, 0)
        rest = lateness_ns >> 10
        while rest and bucket < LATENESS_BUCKETS - 1:
            rest >>= 1
            bucket += 1
        self.late += 1
        self.late_ns_sum += <uint64_t>lateness_ns
        self.late_ns_max = max(self.late_ns_max, lateness_ns)
        self._late_histogram[bucket] += 1

    cdef dict as_dict(self):
        """The counts by name; `late_histogram`: {lateness below this many ns: how often}, without empty ones."""
        cdef int bucket
        return {
            "leg": self.leg,
            "wins": self.wins,
            "late": self.late,
            "late_ns_sum": self.late_ns_sum,
            "late_ns_max": self.late_ns_max,
            "late_histogram": {
                1024 << bucket: self._late_histogram[bucket]
                for bucket in range(LATENESS_BUCKETS)
                if self._late_histogram[bucket]
            },
            "mismatches": self.mismatches,
            "held": self.held,
            "unfollowed": self.unfollowed,
        }
