from libc.stdint cimport int64_t

from ext.book cimport OrderBook


cdef class ChecksumBook(OrderBook):
    cdef:
        readonly str rule
        readonly unsigned long long mismatches
        # Price mantissa -> (price, size) as spelled.
        dict _bid_texts
        dict _ask_texts

    cdef bint _take_checked(
        self,
        bint is_snapshot,
        bids,
        asks,
        int64_t update_id,
        int64_t seq,
        int64_t ts_ms,
        int64_t cts_ms,
        object checksum,
    ) except -1
    cpdef int64_t venue_checksum(self)
