from libc.stdint cimport int64_t, uint64_t

from ext.ledger cimport Ledger
from ext.topics cimport Topic

cdef enum:
    ALL_LEGS = -1


cdef class Decided(Ledger):
    cpdef connected(self, int leg, int64_t recv_ns, uint64_t position=*)
    cpdef disconnected(self, int leg, int64_t recv_ns, uint64_t position=*, str cause=*, str detail=*)
    cpdef ended(self, int leg, int64_t recv_ns, uint64_t position=*)
    cpdef desired(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef confirmed(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef removed(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef lost(
        self, topics, int64_t start_ns, int64_t recv_ns, str cause, str fault, int leg=*, uint64_t position=*, str detail=*
    )
    cpdef audit(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef noted(self, str kind, str topic, str detail, int64_t recv_ns, int leg=*, uint64_t position=*)

    cdef list _carried(self, int leg)
    cdef int _remove(self, Topic topic) except -1
