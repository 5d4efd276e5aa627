from libc.stdint cimport int64_t, uint64_t

from ext.carriers cimport Carrier, Carriers

cpdef enum LeaderLimit:
    UNDELIVERED_MAX = 64        # messages that a leg told and its leader has not, of which the contents are remembered
    SHARED_TRADES_MAX = 8192    # trades of a topic that are known by their ids


cdef class Leader(Carriers):
    cdef:
        readonly Carrier leader     # None where no leg is in step
        dict delivered              # the ticker's fields at the last change of the leader, until the new one has told

    cdef bint is_led_by(self, int leg) except -1
    cdef bint heard(self, int leg, str content, int64_t recv_ns) except -1


cdef class TradeLegs(Carriers):
    cdef dict _known
    cdef int64_t last_ms         # of the latest trade, the venue's time

    cdef bint is_first(self, Carrier carrier, uint64_t digest, int64_t time_ms, int64_t recv_ns) except -1
