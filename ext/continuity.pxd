from libc.stdint cimport int64_t

from ext.book cimport Fit
from ext.decided cimport Decided
from ext.decoder cimport Decoder
from ext.topics cimport Topic

cpdef enum StormLimit:
    # Confirmations until the rule of a depth is relaxed. Few prove nothing: where prices change fast, what a lost message
    # said is overwritten before the snapshot comes, in 3 of 4 losses when that takes 50 messages.
    CONFIRMATIONS_MIN = 32


cdef class Continuity(Decided):
    cdef:
        Decoder _decoder
        dict _confirmations     # depth -> jumps that its snapshots showed to have lost nothing
        set _contradicted       # depths where one did

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
    cdef bint _says_the_same(self, Topic topic) except -1
    cdef bint _apply_more(self, Topic topic) except -1
    cdef bint _apply_rpi(self, Topic topic) except -1
    cdef bint _break_both(self, Topic topic, Topic peer) except -1
    cdef bint _conclude(self, Topic topic) except -1
    cdef int _break_by_jump(self, Topic topic, str detail) except -1
    cdef int _follow(self, Topic topic) except -1
    cdef int _judge_shadow(self, Topic topic) except -1
