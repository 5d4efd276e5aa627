from libc.stdint cimport int64_t

from ext.lateness cimport LegCounts


cdef class Carrier:
    cdef:
        readonly int leg
        readonly bint in_step
        int64_t since_ns         # from when on, of what is no arbitrated book
        LegCounts counts
        dict fields              # of a ticker that this leg does not lead: merged, None until its snapshot
        list undelivered         # contents heard while another leg led, and not from that one
        list owed                # contents that the leader has told and this leg has not, oldest first


cdef class Carriers:
    cdef:
        readonly list carriers

    cdef Carrier of(self, int leg)
    cdef Carrier add(self, LegCounts counts)
    cdef int remove(self, int leg) except -1
    cdef Carrier _new(self)
    cdef int elect(self, Carrier carrier, int64_t recv_ns) except -1
    cdef int64_t since_ns(self) except? -1
    cdef bint is_in_step(self) except -1
    cdef bint is_in_step_without(self, int leg) except -1
    cdef bint has_another(self, int leg) except -1
    cdef int put_out(self, int leg) except -1
    cdef int put_all_out(self) except -1
    cdef bint is_settled(self) except -1
