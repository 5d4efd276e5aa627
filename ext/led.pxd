from libc.stdint cimport int64_t

from ext.legs cimport Legs
from ext.topics cimport Topic


cdef class Led(Legs):
    cdef bint _lose_leader(self, Topic topic, str cause, str fault, int64_t start_ns, str detail) except -1
    cdef bint _lose_trades(self, Topic topic, str cause, str fault, int64_t start_ns, str detail) except -1
    cdef bint _is_between(self, Topic topic, str cause, int64_t start_ns) except -1
    cdef bint _is_missed(self, Topic topic) except -1
    cdef bint _leads(self, Topic topic, str content) except -1
    cdef int _confirm_full(self, Topic topic, int leg) except -1
    cdef bint _leads_full(self, Topic topic) except -1
    cdef int _tell_followers(self, Topic topic) except -1
    cdef bint _leads_ticker(self, Topic topic) except -1
    cdef Py_ssize_t _drop_late(self, Topic topic, Py_ssize_t count) except -1
