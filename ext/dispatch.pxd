from libc.stdint cimport int64_t, uint64_t

from ext.listener cimport Control, Listener


cdef class Dispatcher:
    cdef:
        readonly str category
        readonly Listener listener
        Control _control
        object _private

    cdef int feed_raw(self, const char* frame, Py_ssize_t size, int64_t recv_ns, int leg, uint64_t position) except -1
    cpdef feed(self, frame, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef connected(self, int leg, int64_t recv_ns, uint64_t position=*)
    cpdef disconnected(self, int leg, int64_t recv_ns, uint64_t position=*, str cause=*, str detail=*)
    cpdef desired(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef confirmed(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef removed(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef lost(self, topics, int64_t start_ns, int64_t recv_ns, str cause, str fault, int leg=*, uint64_t position=*, str detail=*)
