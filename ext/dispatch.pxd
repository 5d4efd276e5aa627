from libc.stdint cimport int64_t, uint64_t

from ext.answered cimport Answered
from ext.decoded cimport FrameKind


cdef class Dispatcher(Answered):
    cdef set _unknown_topics

    cdef int feed_raw(self, const char* frame, Py_ssize_t size, int64_t recv_ns, int leg, uint64_t position) except -1
    cpdef feed(self, frame, int64_t recv_ns, int leg=*, uint64_t position=*)
    cdef int _dispatch(self, const char* frame, Py_ssize_t size) except -1
    cdef int _take_trades(self) except -1
    cdef int _take_ticker(self) except -1
    cdef int _take_items(self, FrameKind kind) except -1
    cdef int _take_malformed(self, str detail) except -1
