from libc.stdint cimport int64_t

from ext.arbiter cimport Arbiter, BookCarrier
from ext.carriers cimport Carriers
from ext.continuity cimport Continuity
from ext.lateness cimport LegCounts
from ext.topics cimport Topic


cdef class Legs(Continuity):
    cdef:
        dict _leg_counts
        # The frame under way; valid until its call ends.
        const char* _frame
        Py_ssize_t _frame_size
        bint _is_releasing

    cdef LegCounts _counts_of(self, int leg)
    cdef Carriers _share(self, Topic topic)
    cdef bint _is_good(self, Topic topic) except -1
    cdef int _unshare(self, Topic topic) except -1
    cdef int _arbitrate(self, Topic topic, int64_t recv_ns) except -1
    cdef int _take_shared(self, Topic topic, int64_t recv_ns, bint is_alone) except -1
    cdef int _hold(self, Topic topic, int64_t recv_ns) except -1
    cdef int _end_arbitration(self, Topic topic, int leg) except -1
    cdef int _go_on(self, Topic topic) except -1
    cdef int _release(self, Topic topic, int leg, list held) except -1
    cdef int _carry_on(
        self, Topic topic, BookCarrier leg, str cause, str fault, int64_t start_ns, str detail
    ) except -1
    cdef int _ask_on(self, Topic topic, list legs) except -1
