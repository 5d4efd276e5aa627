from libc.stdint cimport int64_t

from ext.book cimport Fit
from ext.decided cimport Decided
from ext.decoder cimport Decoder
from ext.topics cimport Topic


cdef class Continuity(Decided):
    cdef:
        int _forbidden
        Decoder _decoder

    cdef Topic _topic(self)
    cdef bint _admits(self, Topic topic) except -1
    cdef int _take_book(self) except -1
    cdef int _take_alone(self, Topic topic) except -1
    cdef int _take_snapshot(self, Topic topic) except -1
    cdef bint _is_repeat(self, Topic topic) except -1
    cdef Fit _fit(self, Topic topic) except *
    cdef int _take_delta(self, Topic topic) except -1
    cdef int _apply(self, Topic topic) except -1
    cdef int _call_book(self, Topic topic) except -1
    cdef int _break(self, Topic topic, str cause, str detail, int64_t missing=*) except -1
